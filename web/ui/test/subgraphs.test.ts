import { expect, test } from 'vitest';
import { apply, type Change, makeNode } from '../src/doc/changes';
import { shapeOf } from '../src/doc/definitions';
import { type Doc, keyOf, linksInto, nodeAt, readFile, slotsOf, writeFile } from '../src/doc/document';
import { parseJson, writeJson } from '../src/doc/json';
import { pointsOf } from '../src/doc/reroutes';
import {
  convertToSubgraph,
  enterSubgraph,
  INPUTS,
  leaveSubgraph,
  OUTPUTS,
  unpackSubgraph,
  withSubgraphs,
} from '../src/doc/subgraphs';
import { valuesOf } from '../src/doc/values';
import { chain, DEFINITIONS, everyRule } from './support';

const definitionsOf = (doc: Doc) => withSubgraphs(DEFINITIONS, doc.subgraphs);
const change = (doc: Doc, what: Change): Doc => apply(doc, what, definitionsOf(doc));
/** Links by what they join, whatever their numbers. */
const joined = (doc: Doc): string[] => {
  const name = (key: string): string => `${nodeAt(doc, key)?.type}@${String(nodeAt(doc, key)?.title ?? '')}`;
  return doc.links.map((each) => `${name(each.from)}.${each.output}→${name(each.to)}.${each.input}`).sort();
};

/** The chain with its encoder and sampler in a subgraph. */
function packed(): { doc: Doc; key: string; id: string } {
  const before = chain();
  const made = convertToSubgraph(before, DEFINITIONS, ['2', '3'], 'Inside', 'aaaa-bbbb');
  const doc = change(before, made.change);
  return { doc, key: made.key, id: 'aaaa-bbbb' };
}

test('a selection becomes a subgraph with an input for each outer source and an output for each used one', () => {
  const { doc, key } = packed();
  const shape = shapeOf(definitionsOf(doc), nodeAt(doc, key) as never);
  expect(shape.isUnknown).toBeUndefined();
  expect(shape.title).toBe('Inside');
  const outside = new Set(
    chain()
      .links.filter((each) => ['2', '3'].includes(each.to) && !['2', '3'].includes(each.from))
      .map((each) => `${each.from}.${each.output}`),
  );
  expect(shape.inputs).toHaveLength(outside.size);
  expect(doc.nodes.map(keyOf)).not.toContain('2');
  for (const each of shape.inputs) expect(linksInto(doc, key).has(each.name)).toBe(true);
});

test('unpacking a subgraph gives the graph that it was made of', () => {
  const { doc, key } = packed();
  const made = unpackSubgraph(doc, definitionsOf(doc), key);
  const back = change(doc, made?.change as Change);
  expect(joined(back)).toEqual(joined(chain()));
  expect(back.nodes.map((each) => writeJson(each.widgets_values)).sort()).toEqual(
    chain()
      .nodes.map((each) => writeJson(each.widgets_values))
      .sort(),
  );
});

test('a subgraph that is opened and left unchanged leaves the same document', () => {
  const { doc, id } = packed();
  const inner = enterSubgraph(doc, id) as Doc;
  expect(inner.nodes.map(keyOf).sort()).toEqual(['2', '3', INPUTS, OUTPUTS].sort());
  expect(leaveSubgraph(doc, id, inner, inner)).toBe(doc);
  const touched = { ...inner, nodes: [...inner.nodes] };
  expect(writeFile(leaveSubgraph(doc, id, inner, touched)).definitions).toEqual(writeFile(doc).definitions);
});

test('what is changed inside a subgraph is in the file, and nothing else is', () => {
  const { doc, id } = packed();
  const inner = enterSubgraph(doc, id) as Doc;
  const moved = change(inner, { kind: 'move', to: { '2': [999, 7] } });
  const after = leaveSubgraph(doc, id, inner, moved);
  const [written] = after.subgraphs;
  const before = doc.subgraphs[0] ?? {};
  expect(written?.nodes).toEqual(
    (before.nodes as { id: number }[]).map((each) => (each.id === 2 ? { ...each, pos: [999, 7] } : each)),
  );
  expect({ ...written, nodes: 0 }).toEqual({ ...before, nodes: 0 });
  expect(after.nodes).toBe(doc.nodes);
});

test('a link to the last socket of the inputs or outputs makes a new one', () => {
  const { doc, id, key } = packed();
  const inner = enterSubgraph(doc, id) as Doc;
  const count = slotsOf(nodeAt(inner, INPUTS) as never, 'outputs').length;
  const fields = shapeOf(DEFINITIONS, nodeAt(inner, '3') as never).inputs.filter((each) => each.widget);
  const field = fields[0]?.name ?? '';
  const linked = change(inner, {
    kind: 'link',
    from: { node: INPUTS, output: count },
    to: { node: '3', input: field },
  });
  const outs = slotsOf(nodeAt(linked, OUTPUTS) as never, 'inputs').length;
  const both = change(linked, { kind: 'link', from: { node: '2', output: 0 }, to: { node: OUTPUTS, input: '+' } });
  const after = leaveSubgraph(doc, id, inner, both);
  const shape = shapeOf(definitionsOf(after), nodeAt(after, key) as never);
  expect(shape.inputs.at(-1)).toMatchObject({ name: field, widget: fields[0]?.widget, isPromoted: true });
  expect(shape.outputs).toHaveLength(outs + 1);
  // its value is the one inside, until one is typed on the instance
  const inside = valuesOf(shapeOf(DEFINITIONS, nodeAt(inner, '3') as never), nodeAt(inner, '3') as never)[field];
  expect(valuesOf(shape, nodeAt(after, key) as never)[field]).toEqual(inside);
  const typed = change(after, { kind: 'value', node: key, name: field, value: 77 });
  expect(valuesOf(shapeOf(definitionsOf(typed), nodeAt(typed, key) as never), nodeAt(typed, key) as never)[field]).toBe(
    77,
  );
  // and unpacking puts what was typed into the node
  const made = unpackSubgraph(typed, definitionsOf(typed), key);
  const back = change(typed, made?.change as Change);
  const sampler = back.nodes.find((each) => each.type === nodeAt(inner, '3')?.type) as never;
  expect(valuesOf(shapeOf(DEFINITIONS, sampler), sampler)[field]).toBe(77);
});

test('a file with subgraphs, points and unknown keys is written as it was, also after its subgraph was edited and undone', () => {
  const text = everyRule();
  const doc = readFile(parseJson(text));
  for (const each of doc.subgraphs) {
    const inner = enterSubgraph(doc, String(each.id)) as Doc;
    expect(inner).not.toBeNull();
    const moved = change(inner, { kind: 'move', to: { [keyOf(inner.nodes[0] as never)]: [1, 2] } });
    const back = { ...moved, nodes: inner.nodes };
    expect(writeFile(leaveSubgraph(doc, String(each.id), inner, back))).toEqual(writeFile(doc));
  }
});

test('a primitive takes the form and the value of the first field that it feeds', () => {
  const field = shapeOf(DEFINITIONS, nodeAt(chain(), '3') as never).inputs.find((each) => each.widget === 'int');
  const primitive = makeNode(chain(), DEFINITIONS.get('PrimitiveNode') as never, [0, 0], [200, 0]);
  const doc = change(change(chain(), { kind: 'add', nodes: [primitive], links: [] }), {
    kind: 'link',
    from: { node: keyOf(primitive), output: 0 },
    to: { node: '3', input: field?.name ?? '' },
  });
  const node = nodeAt(doc, keyOf(primitive)) as never;
  const shape = shapeOf(DEFINITIONS, node);
  expect(shape.inputs.map((each) => each.widget)).toEqual(['int']);
  expect(shape.outputs[0]?.type).toBe('INT');
  const sampler = nodeAt(chain(), '3') as never;
  expect(valuesOf(shape, node).value).toEqual(valuesOf(shapeOf(DEFINITIONS, sampler), sampler)[field?.name ?? '']);
  expect(slotsOf(nodeAt(doc, '3') as never, 'inputs').find((each) => each.name === field?.name)).toMatchObject({
    widget: { name: field?.name },
  });
});

test.each([0.4, 1])('a link of a version %s file runs through points, which go with it', (version) => {
  const root = version === 1 ? { ...chain().root, version: 1 } : chain().root;
  let doc: Doc = { ...chain(), root };
  const link = doc.links[0]?.id ?? 0;
  const points = (): unknown =>
    pointsOf(doc, doc.links.find((each) => each.id === link) as never).map((each) => each.pos);
  doc = change(doc, { kind: 'reroute', link, pos: [10, 20] });
  doc = change(doc, { kind: 'reroute', link, pos: [30, 40] });
  expect(points()).toEqual([
    [10, 20],
    [30, 40],
  ]);
  doc = readFile(parseJson(writeJson(writeFile(doc)))); // the file keeps them
  expect(points()).toEqual([
    [10, 20],
    [30, 40],
  ]);
  doc = change(doc, { kind: 'moveReroute', id: 1, pos: [11, 21] });
  expect(points()).toEqual([
    [11, 21],
    [30, 40],
  ]);
  doc = change(doc, { kind: 'removeReroute', id: 1 });
  expect(points()).toEqual([[30, 40]]);
  doc = change(doc, { kind: 'unlink', links: [link] });
  expect(writeJson(writeFile(doc))).not.toContain('"pos":[30,40]');
});
