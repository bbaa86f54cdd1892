/** What stands in the way of a run: what the editor sees by itself, and what the server said of the last run. */

import { useDeferredValue } from 'react';
import { shapeOf } from '../doc/definitions';
import { nodeAt, titleOf } from '../doc/document';
import { type DocProblem, isModelFile, problemsOf } from '../doc/problems';
import { complain, missingTypes } from '../net/run';
import { change, getDefinitions, getDoc, getWhole, prefixOf, useDefinitions, useDocument } from '../state/documents';
import { type NodeError, useRuns } from '../state/runs';
import { useTabs } from '../state/tabs';
import { locate, say } from '../state/view';
import { t } from '../words';

/** The problems of the shown graph; none before the server has told which nodes there are. */
export function useProblems(): readonly DocProblem[] {
  const doc = useDeferredValue(useDocument((state) => state.doc)); // typing goes first
  const { definitions, isLoaded } = useDefinitions();
  return isLoaded ? problemsOf(doc, definitions) : [];
}

const nameOf = (key: string): string => {
  const node = nodeAt(getDoc(), key);
  return node ? titleOf(node, shapeOf(getDefinitions(), node).title) : key;
};

/** A problem in words, without its node: what was found, what would do. */
function said({ code, input, found, wanted }: DocProblem): string {
  const name = input ?? '';
  switch (code) {
    case 'required_input_missing':
      return t('{{name}} needs a link', { name });
    case 'return_type_mismatch':
      return t('{{name}} takes {{wanted}}; its link gives {{found}}', { name, wanted, found });
    case 'value_not_in_list':
      return isModelFile(found)
        ? t('{{name}}: the model {{found}} is not here', { name, found })
        : t('{{name}}: {{found}} is none of the choices', { name, found });
    case 'value_smaller_than_min':
      return t('{{name}}: {{found}} is below {{wanted}}', { name, found, wanted });
    case 'value_bigger_than_max':
      return t('{{name}}: {{found}} is above {{wanted}}', { name, found, wanted });
    case 'dependency_cycle':
      return t('It depends on itself: the links go round in a circle.');
    case 'prompt_no_outputs':
      return t('Nothing of this workflow makes anything: add a node such as Save Image.');
    default:
      return t('The node type {{found}} is missing', { found });
  }
}

/** The groups of the list, in the order in which they are put right. */
const GROUPS: readonly (readonly [string, (each: DocProblem) => boolean])[] = [
  ['Missing models', (each) => each.code === 'value_not_in_list' && isModelFile(each.found)],
  ['Inputs without a link', (each) => each.code === 'required_input_missing'],
  [
    'Values and links that do not fit',
    (each) => each.code !== 'required_input_missing' && each.code !== 'invalid_prompt' && !isModelFile(each.found),
  ],
];

export function Problems() {
  const doc = useDocument((state) => state.doc);
  const isLoaded = useDefinitions((state) => state.isLoaded);
  const tab = useTabs((state) => state.active);
  const { nodes, problem } = useRuns();
  const prefix = useDocument((state) => prefixOf(state.outer));
  const missing = isLoaded ? missingTypes(getWhole()) : [];
  const seen = useProblems();
  const failed = Object.entries(nodes[tab] ?? {})
    .filter(([id]) => id.startsWith(prefix))
    .flatMap(([id, run]) => (run.errors ?? []).map((error) => [id.slice(prefix.length), error] as const))
    .filter(([key]) => nodeAt(doc, key));
  const told = new Set(failed.map(([key, { input }]) => `${key} ${input}`)); // the server says it better
  const found = seen.filter((each) => !told.has(`${each.node} ${each.input}`));
  const isFine = missing.length + found.length + failed.length === 0;
  return (
    <>
      {isFine && <p className="faint">{problem ?? t('Nothing stands in the way of a run.')}</p>}
      {!isFine && (
        <div className="tools">
          <button type="button" className="button small" onClick={() => copyReport(missing, found, failed)}>
            {t('Copy a report')}
          </button>
        </div>
      )}
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
                    <Locate key={String(each.id)} node={String(each.id)} />
                  ))}
              </li>
            ))}
          </ul>
        </>
      )}
      {GROUPS.map(([title, belongs]) => (
        <Group key={title} title={t(title)} list={found.filter(belongs)} />
      ))}
      {failed.length > 0 && (
        <>
          <h3>{t('The last run')}</h3>
          <ul className="problems">
            {failed.map(([key, error]) => (
              <li key={key + error.input + error.message}>
                {`${nameOf(key)}${error.input ? `, ${error.input}` : ''}: ${error.message}`} <Locate node={key} />
              </li>
            ))}
          </ul>
        </>
      )}
    </>
  );
}

function Group({ title, list }: { readonly title: string; readonly list: readonly DocProblem[] }) {
  if (list.length === 0) return null;
  return (
    <>
      <h3>{title}</h3>
      <ul className="problems">
        {list.map((each) => (
          <li key={`${each.node} ${each.input} ${each.code}`}>
            {each.node ? `${nameOf(each.node)}: ${said(each)}` : said(each)} {each.node && <Locate node={each.node} />}
            {each.choices.length > 0 && (
              <span className="choices">
                {each.choices.map((choice) => (
                  <button
                    type="button"
                    key={String(choice)}
                    className="button small"
                    title={t('Take this one instead')}
                    onClick={() => change({ kind: 'value', node: each.node, name: each.input ?? '', value: choice })}
                  >
                    {String(choice)}
                  </button>
                ))}
              </span>
            )}
          </li>
        ))}
      </ul>
    </>
  );
}

/** Everything that is wrong, as a text for whoever can help. */
function copyReport(
  missing: readonly string[],
  found: readonly DocProblem[],
  failed: readonly (readonly [string, NodeError])[],
): void {
  const lines = [
    ...missing.map((type) => `missing node type: ${type}`),
    ...found.map((each) => `${each.code}: ${each.node ? `${nameOf(each.node)} (${each.node}): ` : ''}${said(each)}`),
    ...failed.map(([key, { input, message, details }]) =>
      [`${nameOf(key)} (${key})${input ? `, ${input}` : ''}: ${message}`, details].filter(Boolean).join('\n'),
    ),
  ];
  const { clipboard } = navigator as { readonly clipboard?: Clipboard }; // none on plain http, but for this machine
  if (clipboard) void clipboard.writeText(lines.join('\n')).then(() => say(t('The report is copied.')), complain);
  else say(lines.join('\n'));
}

const Locate = ({ node }: { readonly node: string }) => (
  <button
    type="button"
    className="button small"
    aria-label={t('Locate {{name}} ({{node}})', { name: nameOf(node), node })}
    onClick={() => locate(node)}
  >
    {t('Locate')}
  </button>
);
