/** Node by node: what became of it in the last run, why and how long it took; and what would become of it now. */

import { useEffect, useState } from 'react';
import { shapeOf } from '../doc/definitions';
import { type Doc, nodeAt, titleOf, writeFile } from '../doc/document';
import type { JobNode, Prediction } from '../net/api';
import { Refused } from '../net/http';
import { pagesOf, useJob, useJobs, usePrediction } from '../net/queries';
import { getWhole, goTo, useDefinitions, useDocument } from '../state/documents';
import { useRuns } from '../state/runs';
import { useTabs } from '../state/tabs';
import { locate } from '../state/view';
import { t } from '../words';
import { STATES, shownBytes } from './jobs';

const NEXT: Readonly<Record<string, string>> = {
  runs: 'would run',
  reused: 'would be reused',
  depends: 'depends on what the others make',
};
const WAIT_MS = 400;

/** The workflow as it was when nothing had been changed for a moment. */
function useSettled(): Doc {
  const doc = useDocument((state) => state.doc);
  const [settled, setSettled] = useState(getWhole);
  // biome-ignore lint/correctness/useExhaustiveDependencies: the shown graph says that the whole one changed
  useEffect(() => {
    const timer = setTimeout(() => setSettled(getWhole()), WAIT_MS);
    return () => clearTimeout(timer);
  }, [doc]);
  return settled;
}

export default function Timing() {
  const doc = useSettled();
  const tab = useTabs((state) => state.active);
  const ours = useRuns((state) => state.jobs);
  const jobs = pagesOf(useJobs()).flatMap((each) => each.jobs);
  const last = jobs.find((each) => ours[each.id] === tab && each.ended);
  const { data: job } = useJob(last?.id);
  const { data: next, error } = usePrediction(writeFile(doc), last?.id);
  const names = useNames(doc);
  const ran = new Map((job?.nodes ?? []).map((each) => [each.node, each]));
  const will = new Map((next?.nodes ?? []).map((each) => [each.node, each]));
  const all = [...new Set([...ran.keys(), ...will.keys()])];
  const seconds = (id: string): number => ran.get(id)?.seconds ?? 0;
  const most = Math.max(0.001, ...all.map(seconds));
  return (
    <>
      {job ? <Last job={job} /> : <p className="faint">{t('Run this workflow to see what each node did, and why.')}</p>}
      <Next next={next} error={error} />
      <ul className="timing">
        {all
          .sort((a, b) => seconds(b) - seconds(a))
          .map((id) => (
            <Row key={id} id={id} name={names(id, ran.get(id))} ran={ran.get(id)} will={will.get(id)} most={most} />
          ))}
      </ul>
    </>
  );
}

/** The title of a node of a run; of one inside a subgraph, that of the subgraph. */
function useNames(doc: Doc): (id: string, ran: JobNode | undefined) => string {
  const definitions = useDefinitions((state) => state.definitions);
  return (id, ran) => {
    const shown = ran?.display ?? id;
    const node = nodeAt(doc, shown) ?? nodeAt(doc, shown.split(':')[0] ?? '');
    return node ? titleOf(node, shapeOf(definitions, node).title) : ran?.class_type || id;
  };
}

function Last({
  job,
}: {
  readonly job: { readonly nodes?: readonly JobNode[]; readonly peak_memory?: number | null };
}) {
  const nodes = job.nodes ?? [];
  const count = (state: string): number => nodes.filter((each) => each.state === state).length;
  return (
    <p>
      {t('{{seconds}} s in all; {{ran}} nodes ran, {{reused}} were reused.', {
        seconds: nodes.reduce((sum, each) => sum + (each.seconds ?? 0), 0).toFixed(2),
        ran: count('ran'),
        reused: count('reused'),
      })}
      {typeof job.peak_memory === 'number' &&
        ` ${t('{{memory}} of memory at most.', { memory: shownBytes(job.peak_memory) })}`}
    </p>
  );
}

/** Why the server cannot tell: what is missing, in its words. */
function reason(error: unknown): string {
  if (error instanceof Refused) return error.message;
  return t('The server does not tell.');
}

function Next({ next, error }: { readonly next: Prediction | undefined; readonly error: unknown }) {
  if (error) return <p className="notice">{t('What would run now: {{reason}}', { reason: reason(error) })}</p>;
  if (!next) return null;
  const rest = next.runs + next.depends;
  return (
    <p className="notice">
      {rest === 0
        ? t('Nothing was changed since: another run would reuse all of it.')
        : t('If it ran now: {{runs}} to run, {{depends}} that depend on them, {{reused}} reused.', {
            runs: next.runs,
            depends: next.depends,
            reused: next.reused,
          })}
    </p>
  );
}

/** The memory that a node asked for, of a node that ran a network; and what was done where it ran out. */
function NodeMemory({ node }: { readonly node: JobNode }) {
  const { need, relief } = (node.memory ?? {}) as { readonly need?: unknown; readonly relief?: unknown };
  return (
    <>
      {typeof need === 'number' && need > 0 && (
        <span className="faint">{t('{{memory}} of memory', { memory: shownBytes(need) })}</span>
      )}
      {Array.isArray(relief) && relief.length > 0 && (
        <span className="next">{t('Memory ran out: {{relief}}', { relief: relief.map(String).join(', ') })}</span>
      )}
    </>
  );
}

interface RowProps {
  readonly id: string;
  readonly name: string;
  readonly ran: JobNode | undefined;
  readonly will: Prediction['nodes'][number] | undefined;
  readonly most: number;
}

function Row({ id, name, ran, will, most }: RowProps) {
  const seconds = ran?.seconds ?? 0;
  const place = ran?.display ?? id;
  return (
    <li>
      <button
        type="button"
        className="link-button"
        title={t('Locate {{name}} ({{node}})', { name, node: place })}
        onClick={() => locate(goTo(place))}
      >
        <span className="timing-head">
          <strong>{name}</strong>
          {ran && (
            <span>
              {t(STATES[ran.state] ?? ran.state)} · {seconds.toFixed(3)} s
            </span>
          )}
        </span>
        {ran && <span className="timing-bar" style={{ width: `${Math.max(1, (100 * seconds) / most)}%` }} />}
        {ran?.why && <span className="faint">{ran.why}</span>}
        {ran && <NodeMemory node={ran} />}
        {will && (
          <span className={will.state === 'reused' ? 'next is-reused' : 'next'}>
            {[t(NEXT[will.state] ?? will.state), will.why].filter(Boolean).join(': ')}
          </span>
        )}
      </button>
    </li>
  );
}
