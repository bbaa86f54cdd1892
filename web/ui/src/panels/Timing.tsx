/** What became of each node in the last run: reused or run, why, and how long it took; and what would run again now. */

import { useEffect, useState } from 'react';
import { shapeOf } from '../doc/definitions';
import { keyOf, linksInto, nodeAt, titleOf } from '../doc/document';
import * as api from '../net/api';
import { goTo, useDefinitions, useDocument } from '../state/documents';
import { useRuns } from '../state/runs';
import { useTabs } from '../state/tabs';
import { locate } from '../state/view';
import { t } from '../words';
import { useHistory } from './history';

const STATES: Readonly<Record<string, string>> = { ran: 'ran', reused: 'reused', failed: 'failed', running: 'running' };

export default function Timing() {
  const doc = useDocument((state) => state.outer[0]?.doc ?? state.doc);
  const definitions = useDefinitions((state) => state.definitions);
  const tab = useTabs((state) => state.active);
  const jobs = useRuns((state) => state.jobs);
  const done = useHistory();
  const last = done.find((each) => jobs[each.id] === tab);
  const [nodes, setNodes] = useState<readonly api.JobNode[] | null>(null);
  useEffect(() => {
    let isLate = false;
    if (!last) setNodes(null);
    else
      void api.jobNodes(last.id).then(
        (found) => !isLate && setNodes(found),
        () => !isLate && setNodes(null),
      );
    return () => {
      isLate = true;
    };
  }, [last]);
  if (!nodes) return <p className="faint">{t('Run this workflow to see what each node did, and why.')}</p>;
  const most = Math.max(0.001, ...nodes.map((each) => each.seconds));
  const total = nodes.reduce((sum, each) => sum + each.seconds, 0);
  const sorted = [...nodes].sort((a, b) => b.seconds - a.seconds);
  const name = (each: api.JobNode): string => {
    const node = nodeAt(doc, each.display) ?? nodeAt(doc, each.display.split(':')[0] ?? '');
    return node ? titleOf(node, shapeOf(definitions, node).title) : each.type || each.node;
  };
  const changed = changedNodes(last?.workflow, doc);
  return (
    <>
      <p>
        {t('{{seconds}} s in all; {{ran}} nodes ran, {{reused}} were reused.', {
          seconds: total.toFixed(2),
          ran: nodes.filter((each) => each.state === 'ran').length,
          reused: nodes.filter((each) => each.state === 'reused').length,
        })}
      </p>
      <p className="notice">
        {changed.size === 0
          ? t('Nothing was changed since: another run would reuse all of it.')
          : t('Changed since: another run has to look at {{count}} nodes anew.', { count: changed.size })}
      </p>
      <ul className="timing">
        {sorted.map((each) => (
          <li key={each.node}>
            <button
              type="button"
              className="link-button"
              aria-label={t('Locate {{name}} ({{node}})', { name: name(each), node: each.display })}
              onClick={() => locate(goTo(each.display))}
            >
              <span className="timing-head">
                <strong>{name(each)}</strong>
                <span>
                  {t(STATES[each.state] ?? each.state)} · {each.seconds.toFixed(3)} s
                </span>
              </span>
              <span className="timing-bar" style={{ width: `${Math.max(1, (100 * each.seconds) / most)}%` }} />
              {each.why && <span className="faint">{each.why}</span>}
              {changed.has(each.display) && <span className="changed">{t('would be looked at anew')}</span>}
            </button>
          </li>
        ))}
      </ul>
    </>
  );
}

/** The nodes whose values or links differ from those of a job, and all that depend on them. */
function changedNodes(workflow: unknown, doc: Parameters<typeof nodeAt>[0]): ReadonlySet<string> {
  const before = new Map<string, string>();
  const raw = workflow as { nodes?: readonly { id: unknown }[] } | null;
  for (const node of raw?.nodes ?? []) before.set(String(node.id), comparable(node));
  const found = new Set(doc.nodes.filter((each) => before.get(keyOf(each)) !== comparable(each)).map(keyOf));
  for (let size = -1; size !== found.size; ) {
    size = found.size;
    for (const node of doc.nodes)
      if ([...linksInto(doc, keyOf(node)).values()].some((each) => found.has(each.from))) found.add(keyOf(node));
  }
  return found;
}

const comparable = (node: unknown): string => {
  const { type, widgets_values, mode } = node as Record<string, unknown>;
  const inputs = (node as { inputs?: readonly { name?: unknown; link?: unknown }[] }).inputs ?? [];
  const links = inputs.filter((each) => each.link !== null).map((each) => [each.name, each.link]);
  return JSON.stringify([type, mode ?? 0, widgets_values, links], (_, value) =>
    typeof value === 'bigint' ? String(value) : value,
  );
};
