/** The chosen nodes: name, colour, mode, values; and which values the form shows. */

import { shapeOf } from '../doc/definitions';
import { BYPASSED, type DocNode, keyOf, MUTED, modeOf, nodeAt, titleOf } from '../doc/document';
import { isFormField, toggleFormField } from '../doc/form';
import { change, useDefinitions, useDocument } from '../state/documents';
import { openDialog, useView } from '../state/view';
import { t } from '../words';
import { ValueRow } from './ValueRow';

const COLOURS: Readonly<Record<string, string>> = {
  '': 'None',
  '#3f789e': 'Blue',
  '#3f8a5a': 'Green',
  '#a1763a': 'Amber',
  '#a04848': 'Red',
  '#8a5d9e': 'Violet',
};
const MODES: Readonly<Record<number, string>> = { 0: 'Runs', [MUTED]: 'Muted', [BYPASSED]: 'Bypassed' };

export function Properties() {
  const selected = useView((state) => state.selected);
  const doc = useDocument((state) => state.doc);
  const nodes = [...selected].flatMap((key) => nodeAt(doc, key) ?? []);
  if (nodes.length === 0) return <p className="faint">{t('Choose a node to see what it is made of.')}</p>;
  return nodes.slice(0, 20).map((node) => <One key={keyOf(node)} node={node} />);
}

function One({ node }: { readonly node: DocNode }) {
  const definitions = useDefinitions((state) => state.definitions);
  const doc = useDocument((state) => state.doc);
  const isInside = useDocument((state) => state.outer.length > 0);
  const key = keyOf(node);
  const shape = shapeOf(definitions, node);
  const title = titleOf(node, shape.title);
  const patch = (fields: Record<string, string | number>, gesture?: string): void =>
    change({ kind: 'patch', nodes: [key], fields }, gesture);
  return (
    <section className="form" aria-label={title}>
      <label>
        {t('Name')}
        <input
          className="field"
          value={typeof node.title === 'string' ? node.title : ''}
          placeholder={shape.title}
          onChange={(event) => patch({ title: event.target.value }, `title ${key}`)}
        />
      </label>
      <p className="faint">
        {`${shape.title} · ${key}`}
        {shape.deprecated ? ` · ${t('outdated')}` : ''}{' '}
        <button type="button" className="button small" onClick={() => openDialog({ kind: 'help', type: node.type })}>
          {t('What is this?')}
        </button>
      </p>
      <div className="pair">
        <label>
          {t('Colour')}
          <select
            className="field"
            value={typeof node.color === 'string' ? node.color : ''}
            onChange={(event) => patch({ color: event.target.value })}
          >
            {Object.entries(COLOURS).map(([value, words]) => (
              <option key={value} value={value}>
                {t(words)}
              </option>
            ))}
          </select>
        </label>
        <label>
          {t('Mode')}
          <select
            className="field"
            value={modeOf(node)}
            onChange={(event) => patch({ mode: Number(event.target.value) })}
          >
            {Object.entries(MODES).map(([value, words]) => (
              <option key={value} value={value}>
                {t(words)}
              </option>
            ))}
          </select>
        </label>
      </div>
      {shape.inputs
        .filter((each) => each.widget)
        .map((input) => (
          <div key={input.name} className="with-pin">
            <ValueRow node={node} input={input} prefix={t('Properties of')} />
            {!isInside && (
              <input
                type="checkbox"
                aria-label={t('Show {{name}} of {{title}} in the form', { name: input.name, title })}
                title={t('Show in the form')}
                checked={isFormField(doc, key, input.name)}
                onChange={() => change({ kind: 'root', root: toggleFormField(doc, key, input.name) })}
              />
            )}
          </div>
        ))}
    </section>
  );
}
