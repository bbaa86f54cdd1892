/** The queue and the history: what runs, what waits and in which order, what came of the rest. */

import { ArrowDown, ArrowUp, Pause, Play } from 'lucide-react';
import { useState } from 'react';
import { writeJson } from '../doc/json';
import type { Job } from '../net/api';
import * as api from '../net/api';
import { changed, pagesOf, useJob, useJobs } from '../net/queries';
import { complain, openText } from '../net/run';
import { overall, useRuns } from '../state/runs';
import { openDialog, say, useView } from '../state/view';
import { t } from '../words';
import { STATES, shortName, shownBytes, timesOf, usePicturesOf } from './jobs';

type Act = (what: Promise<unknown>) => void;
const act: Act = (what) => void what.then(() => changed('jobs'), complain);

export function Queue() {
  const found = useJobs();
  const pages = pagesOf(found);
  const picturesOf = usePicturesOf();
  const jobs = [...new Map(pages.flatMap((each) => each.jobs).map((each) => [each.id, each])).values()];
  const running = jobs.filter((each) => each.state === 'running');
  const waiting = jobs.filter((each) => each.state === 'queued');
  const ended = jobs.filter((each) => each.state !== 'running' && each.state !== 'queued');
  const isPaused = pages[0]?.paused === true;
  return (
    <>
      <div className="tools">
        <button type="button" className="button small" onClick={() => act(api.pauseQueue(!isPaused))}>
          {isPaused ? <Play size={12} /> : <Pause size={12} />}
          {t(isPaused ? 'Resume the queue' : 'Pause the queue')}
        </button>
        <button
          type="button"
          className="button small"
          disabled={waiting.length === 0}
          onClick={() => act(api.clearQueue())}
        >
          {t('Clear all waiting')}
        </button>
      </div>
      {isPaused && <p className="notice">{t('Paused: what runs will end, nothing more is started.')}</p>}
      <h3>{t('Running and waiting')}</h3>
      {running.length + waiting.length === 0 && <p className="faint">{t('Nothing is running.')}</p>}
      <ul className="jobs">
        {running.map((each) => (
          <Running key={each.id} job={each} />
        ))}
        {waiting.map((each, place) => (
          <Waiting key={each.id} job={each} place={place} isLast={place === waiting.length - 1} />
        ))}
      </ul>
      <h3>{t('Ended')}</h3>
      {ended.length === 0 && <p className="faint">{t('What you ran is listed here, with its pictures.')}</p>}
      <ul className="jobs">
        {ended.map((each) => (
          <Ended key={each.id} job={each} urls={picturesOf(each)} />
        ))}
      </ul>
      {found.hasNextPage && (
        <button
          type="button"
          className="button small"
          disabled={found.isFetchingNextPage}
          onClick={() => void found.fetchNextPage()}
        >
          {t('Show older ones')}
        </button>
      )}
    </>
  );
}

const JobName = ({ job }: { readonly job: Job }) => (
  <span className="job-name" title={job.id}>
    {shortName(job.id)}
  </span>
);

function Running({ job }: { readonly job: Job }) {
  const isOurs = useRuns((state) => job.id in state.jobs);
  const ours = useRuns((state) => Math.round(100 * overall(state, state.jobs[job.id])));
  const part = isOurs ? ours : Math.round(100 * (job.progress ?? 0));
  const name = shortName(job.id);
  return (
    <li>
      <span className="glyph glyph-running" />
      <span className="job-words">
        <JobName job={job} />
        <progress max={100} value={part} aria-label={t('Progress of {{job}}', { job: name })} />
      </span>
      <button
        type="button"
        className="button small"
        aria-label={t('Stop {{job}}', { job: name })}
        onClick={() => act(api.cancelJob(job.id))}
      >
        {t('Stop')}
      </button>
    </li>
  );
}

function Waiting({ job, place, isLast }: { readonly job: Job; readonly place: number; readonly isLast: boolean }) {
  const name = shortName(job.id);
  return (
    <li>
      <span className="glyph glyph-queued" /> <JobName job={job} />
      <button
        type="button"
        className="icon-button"
        aria-label={t('Move {{job}} up', { job: name })}
        disabled={place === 0}
        onClick={() => act(api.moveJob(job.id, place))}
      >
        <ArrowUp size={14} />
      </button>
      <button
        type="button"
        className="icon-button"
        aria-label={t('Move {{job}} down', { job: name })}
        disabled={isLast}
        onClick={() => act(api.moveJob(job.id, place + 2))}
      >
        <ArrowDown size={14} />
      </button>
      <button
        type="button"
        className="button small"
        aria-label={t('Remove {{job}}', { job: name })}
        onClick={() => act(api.cancelJob(job.id))}
      >
        {t('Remove')}
      </button>
    </li>
  );
}

const GLYPHS: Readonly<Record<string, string>> = { succeeded: 'finished', failed: 'error', cancelled: 'queued' };

function Ended({ job, urls }: { readonly job: Job; readonly urls: readonly string[] }) {
  const [isOpen, setIsOpen] = useState(false);
  const name = shortName(job.id);
  const withWorkflow = (what: (workflow: Awaited<ReturnType<typeof api.workflowOf>>) => void): void =>
    void api.workflowOf(job.id).then(what, complain);
  const tools: readonly (readonly [string, string, () => void])[] = [
    [
      'Open',
      t('Open the workflow of {{job}}', { job: name }),
      () => withWorkflow((all) => openText(writeJson(all), name)),
    ],
    ['Again', t('Run {{job}} again', { job: name }), () => act(api.retryJob(job.id))],
    [
      'Compare',
      t('Compare the workflow of {{job}} with the open one', { job: name }),
      () => withWorkflow((other) => openDialog({ kind: 'diff', other, name })),
    ],
    ['Delete', t('Delete {{job}}', { job: name }), () => act(api.forgetJob(job.id))],
  ];
  return (
    <li className="job-ended">
      <span
        className={`glyph glyph-${GLYPHS[job.state] ?? 'cached'}`}
        role="img"
        aria-label={t(STATES[job.state] ?? job.state)}
      />
      <Thumb job={job} urls={urls} />
      <span className="job-words">
        <JobName job={job} />
        <span className="faint">{timesOf(job)}</span>
        {job.errors?.map((each) => (
          <span key={each.message} className={job.state === 'failed' ? 'bad' : 'faint'}>
            {each.message}
          </span>
        ))}
        <span className="job-tools">
          {tools.map(([words, label, perform]) => (
            <button key={words} type="button" className="button small" aria-label={label} onClick={perform}>
              {t(words)}
            </button>
          ))}
          <button
            type="button"
            className="button small"
            aria-label={t('Details of {{job}}', { job: name })}
            aria-expanded={isOpen}
            onClick={() => setIsOpen(!isOpen)}
          >
            {t('Details')}
          </button>
        </span>
        {isOpen && <Details id={job.id} />}
      </span>
    </li>
  );
}

/** What a job took, node by node, and its whole id. */
function Details({ id }: { readonly id: string }) {
  const { data: job, isError } = useJob(id);
  if (!job) return <span className="faint">{isError ? t('The server does not tell.') : '…'}</span>;
  const copy = (): void => {
    const { clipboard } = navigator as { readonly clipboard?: Clipboard }; // none on plain http, but for this machine
    if (clipboard) void clipboard.writeText(id).then(() => say(t('The id is copied.')), complain);
    else say(t('Copying needs https here: mark the id and press Ctrl+C.'));
  };
  return (
    <span className="job-details">
      <span className="job-id">
        <code>{id}</code>
        <button type="button" className="button small" aria-label={t('Copy the id of {{id}}', { id })} onClick={copy}>
          {t('Copy')}
        </button>
      </span>
      {typeof job.peak_memory === 'number' && (
        <span>{t('{{memory}} of memory at most', { memory: shownBytes(job.peak_memory) })}</span>
      )}
      {(job.deaths ?? 0) > 0 && (
        <span className="bad">{t('Its worker died {{count}} times.', { count: job.deaths ?? 0 })}</span>
      )}
      {job.nodes?.map((each) => (
        <span key={each.node} className="job-node">
          <span>{`${each.class_type ?? ''} (${each.node})`}</span>
          <span className="faint">{`${t(STATES[each.state] ?? each.state)} · ${(each.seconds ?? 0).toFixed(3)} s`}</span>
        </span>
      ))}
    </span>
  );
}

function Thumb({ job, urls }: { readonly job: Job; readonly urls: readonly string[] }) {
  if (!urls[0]) return <span className="thumb-empty" />;
  return (
    <button
      type="button"
      className="thumb small"
      aria-label={t('Show the pictures of {{job}}', { job: shortName(job.id) })}
      onClick={() => useView.setState({ lightbox: { urls, at: 0 } })}
    >
      <img src={`${urls[0]}&preview=webp;80`} alt="" loading="lazy" decoding="async" />
    </button>
  );
}
