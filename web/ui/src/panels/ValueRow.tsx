/** A field of a node outside the canvas: in the properties and in the form. */

import { ControlField, Field } from '../canvas/Field';
import { hasControl, type InputDef, shapeOf } from '../doc/definitions';
import { type DocNode, keyOf, linksInto, titleOf } from '../doc/document';
import { controlOf, valuesOf } from '../doc/values';
import { useDefinitions, useDocument } from '../state/documents';
import { t } from '../words';

export function ValueRow({
  node,
  input,
  prefix,
}: {
  readonly node: DocNode;
  readonly input: InputDef;
  readonly prefix: string;
}) {
  const definitions = useDefinitions((state) => state.definitions);
  const key = keyOf(node);
  const isLinked = useDocument((state) => linksInto(state.doc, key).has(input.name));
  const shape = shapeOf(definitions, node);
  const values = valuesOf(shape, node);
  const label = `${prefix} ${titleOf(node, shape.title)}: ${input.name}`;
  const tooltip = typeof input.options.tooltip === 'string' ? input.options.tooltip : undefined;
  return (
    <div className={`value-row ${input.options.multiline === true ? 'is-long' : ''}`} title={tooltip}>
      <span className="row-label">{input.name}</span>
      <Field node={key} input={input} value={values[input.name] ?? null} label={label} isLinked={isLinked} />
      {hasControl(input) && !isLinked && (
        <ControlField
          node={key}
          input={input}
          value={values[controlOf(input.name)] ?? null}
          label={t('{{label}} after a run', { label })}
        />
      )}
    </div>
  );
}
