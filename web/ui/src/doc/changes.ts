/** Every way a document changes, as data. `apply` is pure; nodes that a change does not touch keep their identity. */

import { type InputRef, type OutputRef, outputType } from './connect';
import type { Definitions, NodeDef } from './definitions';
import { shapeOf } from './definitions';
import {
  type Doc,
  type DocLink,
  type DocNode,
  highestLink,
  highestNode,
  keyOf,
  nodeAt,
  nodesByKey,
  type Point,
  positionOf,
} from './document';
import { isObject, type Json, type JsonObject } from './json';
import { startValues, withValue } from './values';

export type Change =
  | {
      readonly kind: 'add';
      readonly nodes: readonly DocNode[];
      readonly links: readonly DocLink[];
      readonly groups?: readonly JsonObject[];
    }
  | { readonly kind: 'remove'; readonly nodes: readonly string[] }
  | { readonly kind: 'move'; readonly to: Readonly<Record<string, Point>> }
  | { readonly kind: 'resize'; readonly node: string; readonly size: Point; readonly pos: Point }
  | { readonly kind: 'value'; readonly node: string; readonly name: string; readonly value: Json }
  | { readonly kind: 'patch'; readonly nodes: readonly string[]; readonly fields: JsonObject }
  | {
      readonly kind: 'flag';
      readonly nodes: readonly string[];
      readonly flag: 'collapsed' | 'pinned';
      readonly on: boolean;
    }
  | { readonly kind: 'link'; readonly from: OutputRef; readonly to: InputRef }
  | { readonly kind: 'unlink'; readonly links: readonly number[] }
  | { readonly kind: 'group'; readonly place: number; readonly group: JsonObject | null }
  | { readonly kind: 'all'; readonly changes: readonly Change[] };

type Of<K extends Change['kind']> = Extract<Change, { kind: K }>;
type Apply<K extends Change['kind']> = (doc: Doc, change: Of<K>, definitions: Definitions) => Doc;

const APPLY: { readonly [K in Change['kind']]: Apply<K> } = {
  add: (doc, { nodes, links, groups }) => ({
    ...doc,
    nodes: [...doc.nodes, ...nodes],
    links: [...doc.links, ...links],
    groups: [...doc.groups, ...(groups ?? [])],
  }),
  remove: (doc, { nodes }) => {
    const gone = new Set(nodes);
    return remember(
      {
        ...doc,
        nodes: doc.nodes.filter((each) => !gone.has(keyOf(each))),
        links: doc.links.filter((each) => !gone.has(each.from) && !gone.has(each.to)),
      },
      doc,
    );
  },
  move: (doc, { to }) =>
    eachNode(doc, Object.keys(to), (node) => ({ ...node, pos: [...(to[keyOf(node)] ?? positionOf(node))] })),
  resize: (doc, { node, size, pos }) => eachNode(doc, [node], (each) => ({ ...each, pos: [...pos], size: [...size] })),
  value: (doc, { node, name, value }, definitions) =>
    eachNode(doc, [node], (each) => withValue(shapeOf(definitions, each), each, name, value)),
  patch: (doc, { nodes, fields }) => eachNode(doc, nodes, (node) => ({ ...node, ...fields })),
  flag: (doc, { nodes, flag, on }) =>
    eachNode(doc, nodes, (node) => ({ ...node, flags: { ...(isObject(node.flags) ? node.flags : {}), [flag]: on } })),
  link: (doc, { from, to }, definitions) => {
    const kept = doc.links.filter((each) => each.to !== to.node || each.input !== to.input);
    const type = outputType(doc, definitions, from);
    const made: DocLink = {
      id: highestLink(doc) + 1,
      from: from.node,
      output: from.output,
      to: to.node,
      input: to.input,
      type,
    };
    return remember(withSlots({ ...doc, links: [...kept, made] }, definitions, from.node, to.node), doc);
  },
  unlink: (doc, { links }) => {
    const gone = new Set(links);
    return remember({ ...doc, links: doc.links.filter((each) => !gone.has(each.id)) }, doc);
  },
  group: (doc, { place, group }) => ({
    ...doc,
    groups:
      group === null
        ? doc.groups.filter((_, at) => at !== place)
        : doc.groups.map((each, at) => (at === place ? group : each)),
  }),
  all: (doc, { changes }, definitions) => changes.reduce((now, each) => apply(now, each, definitions), doc),
};

/** Change a document. Gives the same object if the change names nothing that is there. */
export function apply(doc: Doc, change: Change, definitions: Definitions): Doc {
  return (APPLY[change.kind] as Apply<Change['kind']>)(doc, change as never, definitions);
}

function eachNode(doc: Doc, keys: readonly string[], make: (node: DocNode) => DocNode): Doc {
  const wanted = new Set(keys.filter((key) => nodesByKey(doc).has(key)));
  if (wanted.size === 0) return doc;
  return { ...doc, nodes: doc.nodes.map((each) => (wanted.has(keyOf(each)) ? make(each) : each)) };
}

/** Ids of what is deleted are not given again: the file's counters remember the highest. */
function remember(doc: Doc, before: Doc): Doc {
  const counters = { lastNodeId: highestNode(before), lastLinkId: Math.max(highestLink(before), highestLink(doc)) };
  const root =
    doc.root.version === 1
      ? { ...doc.root, state: { ...(isObject(doc.root.state) ? doc.root.state : {}), ...counters } }
      : { ...doc.root, last_node_id: counters.lastNodeId, last_link_id: counters.lastLinkId };
  return { ...doc, root };
}

/** Give both ends of a new link a slot in the file's lists, which other editors read. */
function withSlots(doc: Doc, definitions: Definitions, from: string, to: string): Doc {
  return eachNode(doc, [from, to], (node) => {
    const shape = shapeOf(definitions, node);
    const inputs = Array.isArray(node.inputs) && node.inputs.length > 0 ? node.inputs : inputSlots(shape);
    const outputs = Array.isArray(node.outputs) && node.outputs.length > 0 ? node.outputs : outputSlots(shape);
    return inputs === node.inputs && outputs === node.outputs ? node : { ...node, inputs, outputs };
  });
}

const inputSlots = (def: NodeDef): readonly Json[] =>
  def.inputs.map((each) => ({
    name: each.name,
    type: each.type,
    link: null,
    ...(each.widget ? { widget: { name: each.name } } : {}),
  }));
const outputSlots = (def: NodeDef): readonly Json[] =>
  def.outputs.map((each) => ({ name: each.name, type: each.type, links: [] }));

/** A new node of a type, numbered after all others. `ahead`: how many more were numbered before it in this change. */
export function makeNode(doc: Doc, def: NodeDef, pos: Point, size: Point, ahead = 0): DocNode {
  return {
    id: highestNode(doc) + 1 + ahead,
    type: def.type,
    pos: [...pos],
    size: [...size],
    flags: {},
    order: doc.nodes.length,
    mode: 0,
    inputs: inputSlots(def),
    outputs: outputSlots(def),
    properties: { 'Node name for S&R': def.type },
    widgets_values: startValues(def),
  };
}

/** What the clipboard holds: a small workflow of its own. */
export interface Clip {
  readonly nodes: readonly DocNode[];
  readonly links: readonly DocLink[];
}

/** Copy nodes, the links among them, and (for a paste that keeps them) the links into them. */
export function copy(doc: Doc, keys: readonly string[]): Clip {
  const wanted = new Set(keys);
  return {
    nodes: doc.nodes.filter((each) => wanted.has(keyOf(each))),
    links: doc.links.filter((each) => wanted.has(each.to)),
  };
}

/** The change that adds a copy; `keepIncoming`: links from nodes outside the copy are made again. */
export function pasteChange(
  doc: Doc,
  clip: Clip,
  offset: Point,
  keepIncoming: boolean,
): { change: Change; keys: string[] } {
  const renamed = new Map<string, number>();
  let id = highestNode(doc);
  for (const node of clip.nodes) renamed.set(keyOf(node), ++id);
  const nodes = clip.nodes.map((node): DocNode => {
    const [x, y] = positionOf(node);
    return { ...node, id: renamed.get(keyOf(node)) ?? 0, pos: [x + offset[0], y + offset[1]] };
  });
  let link = highestLink(doc);
  const links = clip.links.flatMap((each): DocLink[] => {
    const to = renamed.get(each.to);
    const inside = renamed.get(each.from);
    const outside = keepIncoming && nodeAt(doc, each.from) ? each.from : undefined;
    const from = inside !== undefined ? String(inside) : outside;
    if (to === undefined || from === undefined) return [];
    return [{ id: ++link, from, output: each.output, to: String(to), input: each.input, type: each.type }];
  });
  return { change: { kind: 'add', nodes, links }, keys: nodes.map(keyOf) };
}
