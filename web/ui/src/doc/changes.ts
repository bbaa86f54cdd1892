/** Every way a document changes, as data. `apply` is pure; nodes that a change does not touch keep their identity. */

import { checkConnection, type InputRef, type OutputRef, outputType } from './connect';
import type { Definitions, NodeDef } from './definitions';
import { NEW_PORT, PORTS_IN, PORTS_OUT, shapeOf } from './definitions';
import {
  type Doc,
  type DocLink,
  type DocNode,
  highestLink,
  highestNode,
  keyOf,
  linksOutOf,
  nodeAt,
  nodesByKey,
  type Point,
  positionOf,
  slotsOf,
  subgraphAt,
} from './document';
import { isArray, isObject, type Json, type JsonObject } from './json';
import { addReroute, moveReroute, prune, removeReroute } from './reroutes';
import { startValues, valuesOf, withValue } from './values';

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
  /** The definitions of all subgraphs. */
  | { readonly kind: 'define'; readonly subgraphs: readonly JsonObject[] }
  /** The top of the file: what is neither a node nor a link. */
  | { readonly kind: 'root'; readonly root: JsonObject }
  | { readonly kind: 'reroute'; readonly link: number; readonly pos: Point }
  | { readonly kind: 'moveReroute'; readonly id: number; readonly pos: Point }
  | { readonly kind: 'removeReroute'; readonly id: number }
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
    const rest = {
      ...doc,
      nodes: doc.nodes.filter((each) => !gone.has(keyOf(each))),
      links: doc.links.filter((each) => !gone.has(each.from) && !gone.has(each.to)),
    };
    return remember(prune(rest, doc), doc);
  },
  move: (doc, { to }) =>
    eachNode(doc, Object.keys(to), (node) => ({ ...node, pos: [...(to[keyOf(node)] ?? positionOf(node))] })),
  resize: (doc, { node, size, pos }) => eachNode(doc, [node], (each) => ({ ...each, pos: [...pos], size: [...size] })),
  value: (doc, { node, name, value }, definitions) =>
    eachNode(doc, [node], (each) => withValue(shapeOf(definitions, each), each, name, value)),
  patch: (doc, { nodes, fields }) => eachNode(doc, nodes, (node) => ({ ...node, ...fields })),
  flag: (doc, { nodes, flag, on }) =>
    eachNode(doc, nodes, (node) => ({ ...node, flags: { ...(isObject(node.flags) ? node.flags : {}), [flag]: on } })),
  link: (before, { from: start, to: end }, definitions) => {
    const { doc, from, to } = withPorts(before, definitions, start, end);
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
    const linked = withSlots({ ...doc, links: [...kept, made] }, definitions, from.node, to);
    return remember(prune(takeForm(linked, definitions, from.node, to), doc), doc);
  },
  unlink: (doc, { links }) => {
    const gone = new Set(links);
    return remember(prune({ ...doc, links: doc.links.filter((each) => !gone.has(each.id)) }, doc), doc);
  },
  group: (doc, { place, group }) => ({
    ...doc,
    groups:
      group === null
        ? doc.groups.filter((_, at) => at !== place)
        : doc.groups.map((each, at) => (at === place ? group : each)),
  }),
  define: (doc, { subgraphs }) => ({ ...doc, subgraphs }),
  root: (doc, { root }) => ({ ...doc, root }),
  reroute: (doc, { link, pos }) => addReroute(doc, link, pos),
  moveReroute: (doc, { id, pos }) => moveReroute(doc, id, pos),
  removeReroute: (doc, { id }) => removeReroute(doc, id),
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

export type Moved = { readonly ok: true; readonly change: Change } | { readonly ok: false; readonly reason: string };
/** The change that gives all links of an output to another one; or why one of them refuses. */
export function moveLinks(doc: Doc, definitions: Definitions, from: OutputRef, to: OutputRef): Moved {
  const links = linksOutOf(doc, from.node).filter((each) => each.output === from.output);
  const changes: Change[] = [{ kind: 'unlink', links: links.map((each) => each.id) }];
  const without = apply(doc, changes[0] as Change, definitions);
  for (const each of links) {
    const end = { node: each.to, input: each.input };
    const verdict = checkConnection(without, definitions, to, end);
    if (!verdict.ok) return { ok: false, reason: verdict.reason };
    changes.push({ kind: 'link', from: to, to: end });
  }
  return { ok: true, change: { kind: 'all', changes } };
}

/** Give both ends of a new link a slot in the file's lists, which other editors read. */
function withSlots(doc: Doc, definitions: Definitions, from: string, to: InputRef): Doc {
  return eachNode(doc, [from, to.node], (node) => {
    const shape = shapeOf(definitions, node);
    let inputs = slotsOf(node, 'inputs');
    if (inputs.length === 0) inputs = inputSlots(shape);
    if (keyOf(node) === to.node && !inputs.some((each) => each.name === to.input))
      inputs = [...inputs, ...inputSlots(shape).filter((each) => each.name === to.input)];
    const outputs = Array.isArray(node.outputs) && node.outputs.length > 0 ? node.outputs : outputSlots(shape);
    if (slotsOf(node, 'inputs').length === inputs.length && outputs === node.outputs) return node;
    return { ...node, inputs, outputs };
  });
}

/** A link to the last socket of a subgraph's inputs or outputs makes a new one, named after the other end. */
function withPorts(
  doc: Doc,
  definitions: Definitions,
  from: OutputRef,
  to: InputRef,
): { readonly doc: Doc; readonly from: OutputRef; readonly to: InputRef } {
  const source = nodeAt(doc, from.node);
  const target = nodeAt(doc, to.node);
  if (source?.type === PORTS_IN && target && from.output >= slotsOf(source, 'outputs').length) {
    const slots = slotsOf(source, 'outputs');
    const wanted = shapeOf(definitions, target).inputs.find((each) => each.name === to.input);
    const made = { name: freeName(to.input || 'input', slots), type: wanted?.type ?? '*', links: [] };
    const grown = eachNode(doc, [from.node], (node) => ({ ...node, outputs: [...slots, made] }));
    return { doc: grown, from: { node: from.node, output: slots.length }, to };
  }
  if (target?.type === PORTS_OUT && source && to.input === NEW_PORT) {
    const slots = slotsOf(target, 'inputs');
    const given = shapeOf(definitions, source).outputs[from.output];
    const name = freeName(given?.name || 'output', slots);
    const made = { name, type: given?.type ?? '*', link: null };
    const grown = eachNode(doc, [to.node], (node) => ({ ...node, inputs: [...slots, made] }));
    return { doc: grown, from, to: { node: to.node, input: name } };
  }
  return { doc, from, to };
}

function freeName(wanted: string, slots: readonly JsonObject[]): string {
  const taken = new Set(slots.map((each) => each.name));
  let name = wanted;
  for (let count = 2; taken.has(name); count++) name = `${wanted} ${count}`;
  return name;
}

/** A primitive that is linked for the first time becomes a field like the one it feeds, with its value. */
function takeForm(doc: Doc, definitions: Definitions, from: string, to: InputRef): Doc {
  const source = nodeAt(doc, from);
  const target = nodeAt(doc, to.node);
  if (source?.type !== 'PrimitiveNode' || !target) return doc;
  const shape = shapeOf(definitions, target);
  const input = shape.inputs.find((each) => each.name === to.input);
  const slot = slotsOf(source, 'outputs')[0];
  if (!input?.widget || (slot?.type !== undefined && slot.type !== '*')) return doc;
  const value = valuesOf(shape, target)[input.name] ?? null;
  const hasOwn = input.widget === 'int' || input.widget === 'combo';
  const outputs = [{ ...slot, name: input.type, type: input.type, links: [], widget: { name: input.name } }];
  const link = doc.links.at(-1);
  const grown = eachNode(doc, [from], (node) => ({
    ...node,
    outputs,
    title: typeof node.title === 'string' && node.title ? node.title : input.name,
    widgets_values: hasOwn ? [value, 'fixed'] : [value],
  }));
  return { ...grown, links: grown.links.map((each) => (each === link ? { ...each, type: input.type } : each)) };
}

const inputSlots = (def: NodeDef): readonly JsonObject[] =>
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
    widgets_values: def.subgraph ? [] : startValues(def), // a subgraph's own values stand inside it
  };
}

/** What the clipboard holds: a small workflow of its own. */
export interface Clip {
  readonly nodes: readonly DocNode[];
  readonly links: readonly DocLink[];
  /** The definitions of the subgraphs among the nodes, and of those inside them. */
  readonly subgraphs?: readonly JsonObject[];
}

/** The definitions that nodes stand for, nested ones too: each once. */
function definitionsOf(doc: Doc, nodes: readonly Json[], found = new Map<string, JsonObject>()): readonly JsonObject[] {
  for (const node of nodes) {
    const id = isObject(node) ? String(node.type) : '';
    const definition = found.has(id) ? undefined : subgraphAt(doc.subgraphs, id);
    if (!definition) continue;
    found.set(id, definition);
    definitionsOf(doc, isArray(definition.nodes) ? definition.nodes : [], found);
  }
  return [...found.values()];
}

/** Copy nodes, the links among them, and (for a paste that keeps them) the links into them. */
export function copy(doc: Doc, keys: readonly string[]): Clip {
  const wanted = new Set(keys);
  const nodes = doc.nodes.filter((each) => wanted.has(keyOf(each)));
  return { nodes, links: doc.links.filter((each) => wanted.has(each.to)), subgraphs: definitionsOf(doc, nodes) };
}

/**
 * The change that adds a copy; `keepIncoming`: links from nodes outside the copy are made again, where they fit: the copy
 * may come from another workflow, whose nodes have the same ids.
 */
export function pasteChange(
  doc: Doc,
  definitions: Definitions,
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
  const bare: Doc = { ...doc, nodes: [...doc.nodes, ...nodes] };
  const fits = (from: string, output: number, to: string, input: string): boolean =>
    checkConnection(bare, definitions, { node: from, output }, { node: to, input }).ok;
  const links = clip.links.flatMap((each): DocLink[] => {
    const to = renamed.get(each.to);
    const inside = renamed.get(each.from);
    const outside = keepIncoming && nodeAt(doc, each.from) ? each.from : undefined;
    const from = inside !== undefined ? String(inside) : outside;
    if (to === undefined || from === undefined) return [];
    if (inside === undefined && !fits(from, each.output, String(to), each.input)) return [];
    return [{ id: ++link, from, output: each.output, to: String(to), input: each.input, type: each.type }];
  });
  const absent = (clip.subgraphs ?? []).filter((each) => !subgraphAt(doc.subgraphs, String(each.id)));
  const added: Change = { kind: 'add', nodes, links };
  const defined: Change = { kind: 'define', subgraphs: [...doc.subgraphs, ...absent] };
  const made: Change = absent.length ? { kind: 'all', changes: [defined, added] } : added;
  return { change: made, keys: nodes.map(keyOf) };
}
