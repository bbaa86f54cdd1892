/**
 * The document: an editor's workflow file (0.4 or 1) as plain JSON, its links resolved to names.
 *
 * A node *is* the object of the file, so what this editor does not know stays as it was. Only links are held in a form
 * of their own: files name their ends by place in lists, and those places shift when a node's definition changes.
 */

import { isArray, isObject, type Json, type JsonObject } from './json';

export interface DocNode extends JsonObject {
  readonly id: number | string;
  readonly type: string;
}

export interface DocLink {
  readonly id: number;
  readonly from: string;
  readonly output: number;
  readonly to: string;
  readonly input: string;
  readonly type: Json;
  /** The link as the file had it. */
  readonly raw?: Json;
}

export interface Doc {
  /** The file's top level, for its unknown keys and their order. */
  readonly root: JsonObject;
  readonly nodes: readonly DocNode[];
  readonly links: readonly DocLink[];
  readonly groups: readonly JsonObject[];
  /** Links whose ends do not exist; written back as they were. */
  readonly dangling: readonly Json[];
  /** The definitions of all subgraphs of the file, whichever graph is open. */
  readonly subgraphs: readonly JsonObject[];
}

export type Point = readonly [number, number];

export const MUTED = 2;
export const BYPASSED = 4;
const TOLERATED_FORMS = 'a workflow file has "nodes" (saved by an editor) or nodes with "class_type" (for programs)';

const NO_SUBGRAPHS: readonly JsonObject[] = [];
export const EMPTY: Doc = {
  root: { version: 0.4 },
  nodes: [],
  links: [],
  groups: [],
  dangling: [],
  subgraphs: NO_SUBGRAPHS,
};

const pair = (value: Json | undefined, fallback: Point): Point => {
  const [x, y] = isArray(value) ? value : isObject(value) ? [value['0'], value['1']] : [];
  return [typeof x === 'number' ? x : fallback[0], typeof y === 'number' ? y : fallback[1]];
};

export const keyOf = (node: DocNode): string => String(node.id);
export const positionOf = (node: DocNode): Point => pair(node.pos, [0, 0]);
export const sizeOf = (node: DocNode): Point => pair(node.size, [0, 0]);
export const modeOf = (node: DocNode): number => (typeof node.mode === 'number' ? node.mode : 0);
export const isCollapsed = (node: DocNode): boolean => isObject(node.flags) && node.flags.collapsed === true;
export const isPinned = (node: DocNode): boolean => isObject(node.flags) && node.flags.pinned === true;
export const slotsOf = (node: DocNode, side: 'inputs' | 'outputs'): readonly JsonObject[] =>
  isArray(node[side]) ? (node[side] as readonly Json[]).filter(isObject) : [];
export const titleOf = (node: DocNode, fallback: string): string =>
  typeof node.title === 'string' && node.title !== '' ? node.title : fallback;

const indexes = new WeakMap<readonly DocNode[], Map<string, DocNode>>();
/** Nodes by key; made once for each list of nodes. */
export function nodesByKey(doc: Doc): ReadonlyMap<string, DocNode> {
  let found = indexes.get(doc.nodes);
  if (!found) {
    found = new Map(doc.nodes.map((each) => [keyOf(each), each]));
    indexes.set(doc.nodes, found);
  }
  return found;
}
export const nodeAt = (doc: Doc, key: string): DocNode | undefined => nodesByKey(doc).get(key);

interface LinkIndex {
  readonly into: ReadonlyMap<string, ReadonlyMap<string, DocLink>>;
  /** All of them, also where two inputs of a node have the same name. */
  readonly allInto: ReadonlyMap<string, readonly DocLink[]>;
  readonly outOf: ReadonlyMap<string, readonly DocLink[]>;
  readonly byId: ReadonlyMap<number, DocLink>;
}
const linkIndexes = new WeakMap<readonly DocLink[], LinkIndex>();
function linkIndex(doc: Doc): LinkIndex {
  let found = linkIndexes.get(doc.links);
  if (!found) {
    const into = new Map<string, Map<string, DocLink>>();
    const outOf = new Map<string, DocLink[]>();
    const allInto = new Map<string, DocLink[]>();
    for (const link of doc.links) {
      const list = allInto.get(link.to);
      if (list) list.push(link);
      else allInto.set(link.to, [link]);
      const inputs = into.get(link.to) ?? new Map<string, DocLink>();
      into.set(link.to, inputs.set(link.input, link));
      outOf.set(link.from, [...(outOf.get(link.from) ?? []), link]);
    }
    found = { into, allInto, outOf, byId: new Map(doc.links.map((each) => [each.id, each])) };
    linkIndexes.set(doc.links, found);
  }
  return found;
}
const NO_LINKS: ReadonlyMap<string, DocLink> = new Map();
const NONE: readonly DocLink[] = [];
/** The links into a node, by input. */
export const linksInto = (doc: Doc, key: string): ReadonlyMap<string, DocLink> =>
  linkIndex(doc).into.get(key) ?? NO_LINKS;
export const linkAt = (doc: Doc, id: number): DocLink | undefined => linkIndex(doc).byId.get(id);
export const linksOutOf = (doc: Doc, key: string): readonly DocLink[] => linkIndex(doc).outOf.get(key) ?? NONE;

/** The definition of a subgraph by its id, also one that stands inside another definition. */
export function subgraphAt(subgraphs: readonly JsonObject[], id: string): JsonObject | undefined {
  for (const each of subgraphs) {
    if (each.id === id) return each;
    const inner = subgraphAt(subgraphsIn(each), id);
    if (inner) return inner;
  }
  return undefined;
}

/** Whether JSON is a workflow in the form for programs: every value is a node. */
export const isApiForm = (value: Json): value is JsonObject =>
  isObject(value) &&
  Object.values(value).length > 0 &&
  Object.values(value).every((each) => isObject(each) && typeof each.class_type === 'string');

/** Read an editor's file. Throws Error that says what is wrong with it. */
export function readFile(file: Json): Doc {
  if (!isObject(file) || !isArray(file.nodes)) throw new Error(`This is no workflow: ${TOLERATED_FORMS}.`);
  const nodes = file.nodes.map((each, place): DocNode => {
    if (!isObject(each) || typeof each.type !== 'string' || !['number', 'string'].includes(typeof each.id))
      throw new Error(`nodes[${place}]: a node has an "id" and a "type".`);
    return each as DocNode;
  });
  const keys = new Map(nodes.map((each) => [keyOf(each), each]));
  if (keys.size !== nodes.length) throw new Error('Two nodes of this workflow have the same id.');
  const targets = new Map<number, [string, string]>();
  for (const node of nodes)
    for (const slot of slotsOf(node, 'inputs'))
      if (typeof slot.link === 'number' && typeof slot.name === 'string')
        targets.set(slot.link, [keyOf(node), slot.name]);
  const links: DocLink[] = [];
  const dangling: Json[] = [];
  for (const raw of isArray(file.links) ? file.links : []) {
    const link = readLink(raw, keys, targets);
    if (link) links.push(link);
    else dangling.push(raw);
  }
  const groups = (isArray(file.groups) ? file.groups : []).filter(isObject);
  return { root: file, nodes, links, groups, dangling, subgraphs: subgraphsIn(file) };
}

/** The definitions that a file, or a definition, holds. */
export const subgraphsIn = (file: JsonObject): readonly JsonObject[] => {
  const found = isObject(file.definitions) ? file.definitions.subgraphs : null;
  return isArray(found) && found.every(isObject) ? found : NO_SUBGRAPHS;
};

function readLink(
  raw: Json,
  nodes: ReadonlyMap<string, DocNode>,
  targets: ReadonlyMap<number, [string, string]>,
): DocLink | null {
  const [id, from, output, to, slot, type] = isArray(raw)
    ? raw
    : isObject(raw)
      ? [raw.id, raw.origin_id, raw.origin_slot, raw.target_id, raw.target_slot, raw.type]
      : [];
  if (typeof id !== 'number') return null;
  const target = nodes.get(String(to));
  const named = targets.get(id);
  const place = slotsOf(target ?? ({} as DocNode), 'inputs')[Number(slot)];
  const input = named && named[0] === String(to) ? named[1] : place?.name;
  if (!nodes.has(String(from)) || !target || typeof input !== 'string' || !Number.isInteger(Number(output)))
    return null;
  return { id, from: String(from), output: Number(output), to: String(to), input, type: type ?? '*', raw };
}

/** Write an editor's file in the version it had. Untouched nodes are the objects they were. */
export function writeFile(doc: Doc): JsonObject {
  const file = writeGraph(doc);
  if (doc.subgraphs === subgraphsIn(doc.root)) return file;
  const kept = isObject(file.definitions) ? file.definitions : {};
  return { ...file, definitions: { ...kept, subgraphs: doc.subgraphs } };
}

/** Write one graph, without the subgraphs that it uses. */
export function writeGraph(doc: Doc): JsonObject {
  const isNew = doc.root.version === 1;
  const places = new Map<DocLink, number>();
  const nodes = doc.nodes.map((node) => writeNode(doc, node, places));
  const links = doc.links.map((link): Json => writeLink(doc, link, places.get(link) ?? 0, isNew));
  const counters = { lastNodeId: highestNode(doc), lastLinkId: highestLink(doc) };
  const top: Record<string, Json> = { ...doc.root, nodes, links: inOrder(doc, links), groups: doc.groups };
  if (isNew) top.state = { ...(isObject(doc.root.state) ? doc.root.state : {}), ...counters };
  else Object.assign(top, { last_node_id: counters.lastNodeId, last_link_id: counters.lastLinkId });
  if (top.version === undefined) top.version = 0.4;
  return top;
}

/** A link in the form that it had: a list or an object, with what else it held; a new one as its version has it. */
function writeLink(doc: Doc, link: DocLink, slot: number, isNew: boolean): Json {
  const { raw } = link;
  const source = nodeAt(doc, link.from)?.id ?? link.from;
  const target = nodeAt(doc, link.to)?.id ?? link.to;
  if (isObject(raw) || (isNew && !isArray(raw)))
    return {
      ...(isObject(raw) ? raw : {}),
      id: link.id,
      origin_id: source,
      origin_slot: link.output,
      target_id: target,
      target_slot: slot,
      type: link.type,
    };
  return [link.id, source, link.output, target, slot, link.type, ...(isArray(raw) ? raw.slice(6) : [])];
}

/** The written links and those that dangle, in the order of the file. */
function inOrder(doc: Doc, links: readonly Json[]): readonly Json[] {
  if (doc.dangling.length === 0) return links;
  const before = new Map((isArray(doc.root.links) ? doc.root.links : []).map((each, at) => [each, at] as const));
  const raws = [...doc.links.map((each) => each.raw ?? null), ...doc.dangling];
  const place = (at: number): number => before.get(raws[at] ?? null) ?? before.size;
  const all = [...links, ...doc.dangling].map((each, at) => ({ each, at: place(at) }));
  return all.sort((a, b) => a.at - b.at).map(({ each }) => each);
}

const idOfLink = (raw: Json): Json | undefined => (isArray(raw) ? raw[0] : isObject(raw) ? raw.id : undefined);
const losts = new WeakMap<JsonObject, ReadonlySet<string>>();
/** What slots of the file name as their link that is none: it stays there, as `node link`. */
function lostOf(doc: Doc): ReadonlySet<string> {
  const known = losts.get(doc.root);
  if (known) return known;
  const dangling = new Set(doc.dangling.map(idOfLink));
  const good = new Set((isArray(doc.root.links) ? doc.root.links : []).map(idOfLink).filter((id) => !dangling.has(id)));
  const found = new Set<string>();
  for (const node of isArray(doc.root.nodes) ? (doc.root.nodes as readonly DocNode[]) : []) {
    const ids = [
      ...slotsOf(node, 'inputs').map((slot) => slot.link),
      ...slotsOf(node, 'outputs').flatMap((slot) => (isArray(slot.links) ? slot.links : [])),
    ];
    for (const id of ids) if (id !== null && id !== undefined && !good.has(id)) found.add(`${node.id} ${String(id)}`);
  }
  losts.set(doc.root, found);
  return found;
}

function writeNode(doc: Doc, node: DocNode, places: Map<DocLink, number>): DocNode {
  const into = linkIndex(doc).allInto.get(keyOf(node)) ?? NONE;
  const outOf = linksOutOf(doc, keyOf(node));
  const isLost = (id: Json): boolean => lostOf(doc).has(`${node.id} ${String(id)}`);
  const slots = slotsOf(node, 'inputs');
  const taken = new Map<number, DocLink>();
  const rest = into.filter((link) => {
    const at = slots.findIndex((slot, place) => slot.link === link.id && slot.name === link.input && !taken.has(place));
    if (at >= 0) taken.set(at, link);
    return at < 0;
  });
  const added: JsonObject[] = [];
  for (const link of rest) {
    const at = slots.findIndex((slot, place) => slot.name === link.input && !taken.has(place));
    taken.set(at < 0 ? slots.length + added.length : at, link);
    if (at < 0) added.push({ name: link.input, type: link.type, link: link.id });
  }
  for (const [place, link] of taken) places.set(link, place);
  const inputs = [...slots, ...added].map((slot, place) => {
    const link = taken.get(place)?.id ?? null;
    const now = slot.link ?? null;
    return now === link || (link === null && isLost(now)) ? slot : { ...slot, link };
  });
  const outputs = slotsOf(node, 'outputs').map((slot, place) => {
    const links = outOf.filter((each) => each.output === place).map((each) => each.id);
    const all = isArray(slot.links) ? slot.links : [];
    const lost = all.filter(isLost);
    const before = all.filter((each) => !lost.includes(each));
    const isSame = before.length === links.length && before.every((each) => links.includes(Number(each)));
    return isSame ? slot : { ...slot, links: [...links, ...lost] };
  });
  const same = (side: 'inputs' | 'outputs', slots: readonly JsonObject[]): boolean => {
    const before = slotsOf(node, side);
    return before.length === slots.length && before.every((each, place) => each === slots[place]);
  };
  if (same('inputs', inputs) && same('outputs', outputs)) return node;
  return { ...node, inputs, outputs };
}

const whole = (value: Json | undefined): number => (Number.isSafeInteger(Number(value)) ? Number(value) : 0);
/** The highest node number of a document; ids are never used twice, also after a deletion. */
export const highestNode = (doc: Doc): number =>
  Math.max(
    whole(doc.root.last_node_id),
    isObject(doc.root.state) ? whole(doc.root.state.lastNodeId) : 0,
    ...doc.nodes.map((each) => whole(each.id)),
  );
export const highestLink = (doc: Doc): number =>
  Math.max(
    whole(doc.root.last_link_id),
    isObject(doc.root.state) ? whole(doc.root.state.lastLinkId) : 0,
    ...doc.links.map((each) => each.id),
  );
