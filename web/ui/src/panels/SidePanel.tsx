/** The panel at the right: the graph as a list, the queue, the pictures, or what is wrong. */

import { X } from 'lucide-react';
import { type ReactNode, useEffect, useState } from 'react';
import { ariaLabelOf } from '../canvas/NodeView';
import { shapeOf } from '../doc/definitions';
import { type DocNode, keyOf, linksInto, nodeAt, titleOf } from '../doc/document';
import { writeJson } from '../doc/json';
import * as api from '../net/api';
import { missingTypes, openText } from '../net/run';
import { useDefinitions, useDocument } from '../state/documents';
import { readOutput, useRuns } from '../state/runs';
import { useTabs } from '../state/tabs';
import { locate, type Panel, say, useView } from '../state/view';

const PANELS: Readonly<Record<NonNullable<Panel>, readonly [string, () => ReactNode]>> = {
  outline: ['Outline', () => <Outline />],
  queue: ['Queue and history', () => <Queue />],
  gallery: ['Pictures', () => <Gallery />],
  problems: ['Problems', () => <Problems />],
};

export function SidePanel() {
  const panel = useView((state) => state.panel);
  if (!panel) return null;
  const [title, body] = PANELS[panel];
  return (
    <aside className="side" aria-label={title}>
      <div className="side-head">
        <h2>{title}</h2>
        <button
          type="button"
          className="icon-button"
          aria-label={`Close ${title}`}
          onClick={() => useView.setState({ panel: null })}
        >
          <X size={16} />
        </button>
      </div>
      <div className="side-body">{body()}</div>
    </aside>
  );
}

/** The graph in words, in the order in which it runs: for screen readers and for finding one's way. */
function Outline() {
  const doc = useDocument((state) => state.doc);
  const definitions = useDefinitions((state) => state.definitions);
  const selected = useView((state) => state.selected);
  const tab = useTabs((state) => state.active);
  const runs = useRuns((state) => state.nodes[tab]);
  if (doc.nodes.length === 0) return <p className="faint">This workflow is empty.</p>;
  const name = (node: DocNode | undefined): string => (node ? titleOf(node, shapeOf(definitions, node).title) : '?');
  return (
    <ol className="outline">
      {ordered(doc.nodes, (key) => [...linksInto(doc, key).values()].map((each) => each.from)).map((node) => {
        const key = keyOf(node);
        const links = [...linksInto(doc, key).values()];
        return (
          <li key={key}>
            <button type="button" aria-pressed={selected.has(key)} onClick={() => locate(key)}>
              {name(node)} <span className="faint">{key}</span>
              <span className="hidden">{ariaLabelOf(node, shapeOf(definitions, node), runs?.[key] ?? {})}</span>
            </button>
            {links.length > 0 && (
              <ul aria-label={`Links into ${name(node)}`}>
                {links.map((each) => (
                  <li key={each.id}>{`${each.input || 'input'} ← ${name(nodeAt(doc, each.from))}`}</li>
                ))}
              </ul>
            )}
          </li>
        );
      })}
    </ol>
  );
}

/** Nodes after those they depend on. */
function ordered(nodes: readonly DocNode[], before: (key: string) => readonly string[]): readonly DocNode[] {
  const byKey = new Map(nodes.map((each) => [keyOf(each), each]));
  const done = new Set<string>();
  const found: DocNode[] = [];
  for (const start of byKey.keys()) {
    const stack: (readonly [string, boolean])[] = [[start, false]];
    for (let top = stack.pop(); top; top = stack.pop()) {
      const [key, isReady] = top;
      const node = byKey.get(key);
      if (isReady && node) found.push(node);
      else if (!done.has(key)) {
        done.add(key);
        stack.push([key, true], ...before(key).map((each) => [each, false] as const));
      }
    }
  }
  return found;
}

const complain = (error: unknown): void => say(error instanceof Error ? error.message : String(error), 'error');

function useHistory(): readonly api.PastJob[] {
  const turn = useRuns((state) => state.turn);
  const [jobs, setJobs] = useState<readonly api.PastJob[]>([]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: the count says that something ended
  useEffect(() => {
    let isLate = false;
    const timer = setTimeout(
      () =>
        void api.history().then(
          (found) => !isLate && setJobs(found),
          () => undefined,
        ),
      120,
    );
    return () => {
      isLate = true;
      clearTimeout(timer);
    };
  }, [turn]);
  return jobs;
}

function Queue() {
  const turn = useRuns((state) => state.turn);
  const [queue, setQueue] = useState<Awaited<ReturnType<typeof api.queue>>>({ running: [], pending: [] });
  const jobs = useHistory();
  // biome-ignore lint/correctness/useExhaustiveDependencies: the count says that the queue changed
  useEffect(() => {
    let isLate = false;
    void api.queue().then(
      (found) => !isLate && setQueue(found),
      () => undefined,
    );
    return () => {
      isLate = true;
    };
  }, [turn]);
  const act = (what: Promise<unknown>): void =>
    void what.then(() => useRuns.setState((state) => ({ turn: state.turn + 1 })), complain);
  return (
    <>
      <h3>Running and waiting</h3>
      {queue.running.length + queue.pending.length === 0 && <p className="faint">Nothing is running.</p>}
      <ul className="jobs">
        {queue.running.map((each) => (
          <li key={each.id}>
            <span className="glyph glyph-running" /> <JobName job={each} />{' '}
            <button
              type="button"
              className="button small"
              aria-label={`Stop ${short(each)}`}
              onClick={() => act(api.interrupt())}
            >
              Stop
            </button>
          </li>
        ))}
        {queue.pending.map((each) => (
          <li key={each.id}>
            <span className="glyph glyph-queued" /> <JobName job={each} />{' '}
            <button
              type="button"
              className="button small"
              aria-label={`Remove ${short(each)}`}
              onClick={() => act(api.dropJobs([each.id]))}
            >
              Remove
            </button>
          </li>
        ))}
      </ul>
      <h3>Ended</h3>
      <ul className="jobs">
        {jobs.map((each) => (
          <li key={each.id}>
            <span
              className={`glyph glyph-${each.status === 'success' ? 'finished' : 'error'}`}
              role="img"
              aria-label={each.status === 'success' ? 'done' : 'failed or stopped'}
            />
            <Thumb job={each} />
            <span className="job-words">
              <JobName job={each} />
              {each.message && <span className="bad">{each.message}</span>}
            </span>
            <button
              type="button"
              className="button small"
              aria-label={`Open the workflow of ${short(each)}`}
              onClick={() => openText(writeJson(each.workflow), `Job ${each.number}.json`)}
            >
              Open
            </button>
            <button
              type="button"
              className="button small"
              aria-label={`Delete ${short(each)}`}
              onClick={() => act(api.dropHistory([each.id]))}
            >
              Delete
            </button>
          </li>
        ))}
      </ul>
    </>
  );
}

const short = (job: api.QueuedJob): string => `job ${job.number}`;
const JobName = ({ job }: { readonly job: api.QueuedJob }) => (
  <span className="job-name" title={job.id}>
    {short(job)}
  </span>
);
const picturesOf = (job: api.PastJob): readonly string[] =>
  Object.values(job.outputs).flatMap((each) => readOutput(each).images ?? []);

function Thumb({ job }: { readonly job: api.PastJob }) {
  const urls = picturesOf(job);
  if (!urls[0]) return <span className="thumb-empty" />;
  return (
    <button
      type="button"
      className="thumb small"
      aria-label={`Show the pictures of ${short(job)}`}
      onClick={() => useView.setState({ lightbox: { urls, at: 0 } })}
    >
      <img src={`${urls[0]}&preview=webp;80`} alt="" loading="lazy" decoding="async" />
    </button>
  );
}

function Gallery() {
  const urls = useHistory()
    .flatMap(picturesOf)
    .filter((url) => url.includes('type=output'));
  if (urls.length === 0) return <p className="faint">Pictures that you make are shown here.</p>;
  return (
    <ul className="gallery">
      {urls.map((url, at) => (
        <li key={url}>
          <button
            type="button"
            className="thumb"
            aria-label={`Picture ${at + 1} of ${urls.length}`}
            onClick={() => useView.setState({ lightbox: { urls, at } })}
          >
            <img src={`${url}&preview=webp;80`} alt="" loading="lazy" decoding="async" />
          </button>
        </li>
      ))}
    </ul>
  );
}

/** What keeps the workflow from running, each with a way to the node. */
function Problems() {
  const doc = useDocument((state) => state.doc);
  const { definitions, isLoaded } = useDefinitions();
  const tab = useTabs((state) => state.active);
  const { nodes, problem } = useRuns();
  const missing = isLoaded ? missingTypes(doc) : [];
  const unfed = isLoaded
    ? doc.nodes.flatMap((node) => {
        const def = definitions.get(node.type);
        if (!def || def.isVirtual || (typeof node.mode === 'number' && [2, 4].includes(node.mode))) return [];
        const into = linksInto(doc, keyOf(node));
        return def.inputs
          .filter((each) => !each.widget && !each.optional && !into.has(each.name))
          .map((each) => [node, each.name] as const);
      })
    : [];
  const failed = Object.entries(nodes[tab] ?? {})
    .flatMap(([key, run]) => (run.errors ?? []).map((error) => [key, error] as const))
    .filter(([key]) => nodeAt(doc, key));
  const name = (node: DocNode): string => titleOf(node, shapeOf(definitions, node).title);
  const isFine = missing.length + unfed.length + failed.length === 0;
  return (
    <>
      {isFine && <p className="faint">{problem ?? 'Nothing stands in the way of a run.'}</p>}
      {missing.length > 0 && (
        <>
          <h3>Missing node types</h3>
          <ul className="problems">
            {missing.map((type) => (
              <li key={type}>
                <code>{type}</code>{' '}
                {doc.nodes
                  .filter((each) => each.type === type)
                  .map((each) => (
                    <Locate key={keyOf(each)} node={keyOf(each)} name={name(each)} />
                  ))}
              </li>
            ))}
          </ul>
        </>
      )}
      {unfed.length > 0 && (
        <>
          <h3>Inputs without a link</h3>
          <ul className="problems">
            {unfed.map(([node, input]) => (
              <li key={`${keyOf(node)} ${input}`}>
                {`${name(node)}: ${input}`} <Locate node={keyOf(node)} name={name(node)} />
              </li>
            ))}
          </ul>
        </>
      )}
      {failed.length > 0 && (
        <>
          <h3>The last run</h3>
          <ul className="problems">
            {failed.map(([key, error]) => {
              const node = nodeAt(doc, key);
              return (
                <li key={key + error.input + error.message}>
                  {`${node ? name(node) : key}${error.input ? `, ${error.input}` : ''}: ${error.message}`}{' '}
                  <Locate node={key} name={node ? name(node) : key} />
                </li>
              );
            })}
          </ul>
        </>
      )}
    </>
  );
}

const Locate = ({ node, name }: { readonly node: string; readonly name: string }) => (
  <button type="button" className="button small" aria-label={`Locate ${name} (${node})`} onClick={() => locate(node)}>
    Locate
  </button>
);
