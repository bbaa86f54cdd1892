/** Places for nodes that have none, and a tidy order for those that have: layers from left to right. */

import dagre from '@dagrejs/dagre';
import { apply, makeNode } from './changes';
import { type Definitions, shapeOf } from './definitions';
import { type Doc, type DocNode, EMPTY, keyOf, type Point } from './document';
import { isArray, isObject, type Json, type JsonObject } from './json';
import { layoutNode } from './layout';
import { startValues, withValue } from './values';

/** Where each node goes. `keys`: only these are moved. */
export function arrange(doc: Doc, definitions: Definitions, keys?: ReadonlySet<string>): Record<string, Point> {
  const graph = new dagre.graphlib.Graph();
  graph.setGraph({ rankdir: 'LR', nodesep: 32, ranksep: 72 });
  graph.setDefaultEdgeLabel(() => ({}));
  const chosen = doc.nodes.filter((each) => !keys || keys.has(keyOf(each)));
  for (const node of chosen) {
    const shape = shapeOf(definitions, node);
    const { width, height } = layoutNode(shape, node, shape.isOutput);
    graph.setNode(keyOf(node), { width, height });
  }
  for (const link of doc.links)
    if (graph.hasNode(link.from) && graph.hasNode(link.to)) graph.setEdge(link.from, link.to);
  dagre.layout(graph);
  return Object.fromEntries(
    chosen.map((each) => {
      const { x, y, width, height } = graph.node(keyOf(each));
      return [keyOf(each), [Math.round(x - width / 2), Math.round(y - height / 2)]];
    }),
  );
}

/** Sockets for the links of a node nobody here knows. */
const linkSlots = (inputs: Json | undefined): readonly Json[] =>
  Object.entries(isObject(inputs) ? inputs : {})
    .filter(([, value]) => isArray(value))
    .map(([name]) => ({ name, type: '*', link: null }));

/** Draw a workflow in the form for programs. */
export function arrangeApi(file: JsonObject, definitions: Definitions): Doc {
  const nodes = Object.entries(file).flatMap(([id, raw]): DocNode[] => {
    if (!isObject(raw)) return [];
    const type = String(raw.class_type);
    const title: JsonObject =
      isObject(raw._meta) && typeof raw._meta.title === 'string' ? { title: raw._meta.title } : {};
    const number = Number(id);
    const key = Number.isSafeInteger(number) && String(number) === id ? number : id;
    const def = definitions.get(type);
    if (def)
      return [
        { ...makeNode(EMPTY, def, [0, 0], [270, 0]), widgets_values: startValues(def, 'fixed'), ...title, id: key },
      ];
    return [
      {
        id: key,
        type,
        pos: [0, 0],
        size: [270, 100],
        mode: 0,
        flags: {},
        inputs: linkSlots(raw.inputs),
        ...title,
        properties: { inputs: raw.inputs ?? {} },
      },
    ];
  });
  let doc: Doc = { ...EMPTY, nodes };
  for (const [id, raw] of Object.entries(file)) {
    const inputs = isObject(raw) && isObject(raw.inputs) ? raw.inputs : {};
    for (const [input, value] of Object.entries(inputs)) {
      const isLink =
        isArray(value) && value.length === 2 && typeof value[0] === 'string' && typeof value[1] === 'number';
      if (isLink)
        doc = apply(
          doc,
          { kind: 'link', from: { node: String(value[0]), output: Number(value[1]) }, to: { node: id, input } },
          definitions,
        );
      else if (definitions.has(String(isObject(raw) ? raw.class_type : '')))
        doc = {
          ...doc,
          nodes: doc.nodes.map((each) =>
            keyOf(each) === id ? withValue(shapeOf(definitions, each), each, input, value) : each,
          ),
        };
    }
  }
  return apply(doc, { kind: 'move', to: arrange(doc, definitions) }, definitions);
}
