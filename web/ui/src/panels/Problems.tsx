/** What stands in the way of a run. */

import { shapeOf } from '../doc/definitions';
import { type DocNode, keyOf, linksInto, nodeAt, titleOf } from '../doc/document';
import { missingTypes } from '../net/run';
import { getWhole, prefixOf, useDefinitions, useDocument } from '../state/documents';
import { useRuns } from '../state/runs';
import { useTabs } from '../state/tabs';
import { locate } from '../state/view';
import { t } from '../words';

/** What keeps the workflow from running, each with a way to the node. */
export function Problems() {
  const doc = useDocument((state) => state.doc);
  const { definitions, isLoaded } = useDefinitions();
  const tab = useTabs((state) => state.active);
  const { nodes, problem } = useRuns();
  const prefix = useDocument((state) => prefixOf(state.outer));
  const missing = isLoaded ? missingTypes(getWhole()) : [];
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
    .filter(([id]) => id.startsWith(prefix))
    .flatMap(([id, run]) => (run.errors ?? []).map((error) => [id.slice(prefix.length), error] as const))
    .filter(([key]) => nodeAt(doc, key));
  const name = (node: DocNode): string => titleOf(node, shapeOf(definitions, node).title);
  const isFine = missing.length + unfed.length + failed.length === 0;
  return (
    <>
      {isFine && <p className="faint">{problem ?? t('Nothing stands in the way of a run.')}</p>}
      {missing.length > 0 && (
        <>
          <h3>{t('Missing node types')}</h3>
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
          <h3>{t('Inputs without a link')}</h3>
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
          <h3>{t('The last run')}</h3>
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
  <button
    type="button"
    className="button small"
    aria-label={t('Locate {{name}} ({{node}})', { name, node })}
    onClick={() => locate(node)}
  >
    {t('Locate')}
  </button>
);
