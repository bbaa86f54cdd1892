/** The graph as a list. */

import { ariaLabelOf } from '../canvas/NodeView';
import { shapeOf } from '../doc/definitions';
import { type DocNode, keyOf, linksInto, nodeAt, titleOf } from '../doc/document';
import { prefixOf, useDefinitions, useDocument } from '../state/documents';
import { useRuns } from '../state/runs';
import { useTabs } from '../state/tabs';
import { locate, useView } from '../state/view';
import { t } from '../words';

/** The graph in words, in the order in which it runs: for screen readers and for finding one's way. */
export function Outline() {
  const doc = useDocument((state) => state.doc);
  const definitions = useDefinitions((state) => state.definitions);
  const selected = useView((state) => state.selected);
  const tab = useTabs((state) => state.active);
  const prefix = useDocument((state) => prefixOf(state.outer));
  const runs = useRuns((state) => state.nodes[tab]);
  if (doc.nodes.length === 0) return <p className="faint">{t('This workflow is empty.')}</p>;
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
              <span className="hidden">
                {ariaLabelOf(node, shapeOf(definitions, node), runs?.[prefix + key] ?? {})}
              </span>
            </button>
            {links.length > 0 && (
              <ul aria-label={t('Links into {{name}}', { name: name(node) })}>
                {links.map((each) => (
                  <li key={each.id}>{`${each.input || t('input')} ← ${name(nodeAt(doc, each.from))}`}</li>
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
