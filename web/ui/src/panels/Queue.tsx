/** The queue and the history: what runs, what waits and in which order, what came of the rest. */

import { ArrowDown, ArrowUp, Pause, Play } from 'lucide-react';
import { useEffect, useState } from 'react';
import { writeJson } from '../doc/json';
import * as api from '../net/api';
import { complain, openText } from '../net/run';
import { overall, useRuns } from '../state/runs';
import { openDialog, useView } from '../state/view';
import { t } from '../words';
import { picturesOf, useHistory } from './history';

const NOTHING = { running: [], pending: [], isPaused: false };
type Shown = Awaited<ReturnType<typeof api.queue>> & { readonly isPaused: boolean };

export function Queue() {
  const turn = useRuns((state) => state.turn);
  const [queue, setQueue] = useState<Shown>(NOTHING);
  const jobs = useHistory();
  // biome-ignore lint/correctness/useExhaustiveDependencies: the count says that the queue changed
  useEffect(() => {
    let isLate = false;
    void Promise.all([api.queue(), api.isPaused()]).then(
      ([found, isPaused]) => !isLate && setQueue({ ...found, isPaused }),
      () => undefined,
    );
    return () => {
      isLate = true;
    };
  }, [turn]);
  const act = (what: Promise<unknown>): void =>
    void what.then(() => useRuns.setState((state) => ({ turn: state.turn + 1 })), complain);
  const count = queue.pending.length;
  return (
    <>
      <div className="tools">
        <button type="button" className="button small" onClick={() => act(api.pauseQueue(!queue.isPaused))}>
          {queue.isPaused ? <Play size={12} /> : <Pause size={12} />}
          {t(queue.isPaused ? 'Resume the queue' : 'Pause the queue')}
        </button>
        <button type="button" className="button small" disabled={count === 0} onClick={() => act(api.clearQueue())}>
          {t('Clear all waiting')}
        </button>
      </div>
      {queue.isPaused && <p className="notice">{t('Paused: what runs will end, nothing more is started.')}</p>}
      <h3>{t('Running and waiting')}</h3>
      {queue.running.length + count === 0 && <p className="faint">{t('Nothing is running.')}</p>}
      <ul className="jobs">
        {queue.running.map((each) => (
          <Running key={each.id} job={each} stop={() => act(api.interrupt())} />
        ))}
        {queue.pending.map((each, place) => (
          <li key={each.id}>
            <span className="glyph glyph-queued" /> <JobName job={each} />
            <button
              type="button"
              className="icon-button"
              aria-label={t('Move {{job}} up', { job: short(each) })}
              disabled={place === 0}
              onClick={() => act(api.moveJob(each.id, place))}
            >
              <ArrowUp size={14} />
            </button>
            <button
              type="button"
              className="icon-button"
              aria-label={t('Move {{job}} down', { job: short(each) })}
              disabled={place === count - 1}
              onClick={() => act(api.moveJob(each.id, place + 2))}
            >
              <ArrowDown size={14} />
            </button>
            <button
              type="button"
              className="button small"
              aria-label={t('Remove {{job}}', { job: short(each) })}
              onClick={() => act(api.dropJobs([each.id]))}
            >
              {t('Remove')}
            </button>
          </li>
        ))}
      </ul>
      <h3>{t('Ended')}</h3>
      <ul className="jobs">
        {jobs.map((each) => (
          <Ended key={each.id} job={each} act={act} />
        ))}
      </ul>
    </>
  );
}

function Running({ job, stop }: { readonly job: api.QueuedJob; readonly stop: () => void }) {
  const part = useRuns((state) => Math.round(100 * overall(state, state.jobs[job.id])));
  return (
    <li>
      <span className="glyph glyph-running" />
      <span className="job-words">
        <JobName job={job} />
        <progress max={100} value={part} aria-label={t('Progress of {{job}}', { job: short(job) })} />
      </span>
      <button type="button" className="button small" aria-label={t('Stop {{job}}', { job: short(job) })} onClick={stop}>
        {t('Stop')}
      </button>
    </li>
  );
}

function Ended({ job, act }: { readonly job: api.PastJob; readonly act: (what: Promise<unknown>) => void }) {
  const isFine = job.status === 'success';
  const name = short(job);
  return (
    <li className="job-ended">
      <span
        className={`glyph glyph-${isFine ? 'finished' : 'error'}`}
        role="img"
        aria-label={t(isFine ? 'done' : 'failed or stopped')}
      />
      <Thumb job={job} />
      <span className="job-words">
        <JobName job={job} />
        {job.message && <span className="bad">{job.message}</span>}
        <span className="job-tools">
          <button
            type="button"
            className="button small"
            aria-label={t('Open the workflow of {{job}}', { job: name })}
            onClick={() => openText(writeJson(job.workflow), short(job))}
          >
            {t('Open')}
          </button>
          <button
            type="button"
            className="button small"
            aria-label={t('Run {{job}} again', { job: name })}
            onClick={() => act(api.retryJob(job.id))}
          >
            {t('Again')}
          </button>
          <button
            type="button"
            className="button small"
            aria-label={t('Compare the workflow of {{job}} with the open one', { job: name })}
            onClick={() => openDialog({ kind: 'diff', other: job.workflow, name })}
          >
            {t('Compare')}
          </button>
          <button
            type="button"
            className="button small"
            aria-label={t('Delete {{job}}', { job: name })}
            onClick={() => act(api.dropHistory([job.id]))}
          >
            {t('Delete')}
          </button>
        </span>
      </span>
    </li>
  );
}

/** Jobs go by the start of their id: their numbers are places in the queue, and change. */
const short = (job: api.QueuedJob): string => t('job {{id}}', { id: job.id.slice(0, 8) });
const JobName = ({ job }: { readonly job: api.QueuedJob }) => (
  <span className="job-name" title={job.id}>
    {short(job)}
  </span>
);

function Thumb({ job }: { readonly job: api.PastJob }) {
  const urls = picturesOf(job);
  if (!urls[0]) return <span className="thumb-empty" />;
  return (
    <button
      type="button"
      className="thumb small"
      aria-label={t('Show the pictures of {{job}}', { job: short(job) })}
      onClick={() => useView.setState({ lightbox: { urls, at: 0 } })}
    >
      <img src={`${urls[0]}&preview=webp;80`} alt="" loading="lazy" decoding="async" />
    </button>
  );
}
