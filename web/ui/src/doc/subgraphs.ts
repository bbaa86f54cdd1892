/**
 * Subgraphs: a definition is opened as a document of its own, in which two nodes stand for its inputs and outputs, and
 * is written back when it is left.
 */

import { type Change, makeNode } from './changes';
import { type Definitions, type InputDef, type NodeDef, PORTS_IN, PORTS_OUT, shapeOf } from './definitions';
import {
  type Doc,
  type DocLink,
  type DocNode,
  highestLink,
  highestNode,
  keyOf,
  linksInto,
  linksOutOf,
  nodeAt,
  nodesByKey,
  type Point,
  positionOf,
  readFile,
  slotsOf,
  subgraphAt,
  subgraphsIn,
  writeGraph,
} from './document';
import { isArray, isObject, type Json, type JsonObject } from './json';
import { valuesOf, withValue } from './values';

/** The nodes that stand for a subgraph's inputs and outputs, by the ids that files give them. */
export const INPUTS = '-10';
export const OUTPUTS = '-20';
export const isPort = (key: string): boolean => key === INPUTS || key === OUTPUTS;

function replaced(subgraphs: readonly JsonObject[], id: string, by: JsonObject): readonly JsonObject[] {
  return subgraphs.map((each) => {
    if (each.id === id) return by;
    const inner = subgraphsIn(each);
    if (!subgraphAt(inner, id)) return each;
    return {
      ...each,
      definitions: { ...(isObject(each.definitions) ? each.definitions : {}), subgraphs: replaced(inner, id, by) },
    };
  });
}

const portsOf = (definition: JsonObject, side: 'inputs' | 'outputs'): readonly JsonObject[] =>
  isArray(definition[side]) ? definition[side].filter(isObject) : [];

/** Names of ports, each once: links are held by name. */
function uniqueNames(ports: readonly JsonObject[]): readonly string[] {
  const seen = new Map<string, number>();
  return ports.map((port) => {
    const name = String(port.name ?? '');
    const count = (seen.get(name) ?? 0) + 1;
    seen.set(name, count);
    return count === 1 ? name : `${name} (${count})`;
  });
}

const placeOf = (definition: JsonObject, side: 'inputNode' | 'outputNode', fallback: Point): readonly number[] => {
  const node = definition[side];
  const bounding = isObject(node) && isArray(node.bounding) ? node.bounding.map(Number) : [];
  return [bounding[0] ?? fallback[0], bounding[1] ?? fallback[1]];
};

/** Open a definition as a document. */
export function enterSubgraph(doc: Doc, id: string): Doc | null {
  const definition = subgraphAt(doc.subgraphs, id);
  if (!definition) return null;
  const ins = portsOf(definition, 'inputs');
  const outs = portsOf(definition, 'outputs');
  const [inNames, outNames] = [uniqueNames(ins), uniqueNames(outs)];
  const inputs: DocNode = {
    id: Number(INPUTS),
    type: PORTS_IN,
    pos: placeOf(definition, 'inputNode', [-300, 0]),
    size: [180, 0],
    flags: {},
    mode: 0,
    outputs: ins.map((port, at) => ({
      name: inNames[at] ?? '',
      type: port.type ?? '*',
      links: port.linkIds ?? [],
      port,
    })),
  };
  const outputs: DocNode = {
    id: Number(OUTPUTS),
    type: PORTS_OUT,
    pos: placeOf(definition, 'outputNode', [900, 0]),
    size: [180, 0],
    flags: {},
    mode: 0,
    inputs: outs.map((port, at) => ({
      name: outNames[at] ?? '',
      type: port.type ?? '*',
      link: isArray(port.linkIds) ? (port.linkIds[0] ?? null) : null,
      port,
    })),
  };
  const nodes = isArray(definition.nodes) ? definition.nodes : [];
  const read = readFile({ ...definition, version: 1, nodes: [...nodes, inputs, outputs] });
  return { ...read, root: { ...definition, version: 1 }, subgraphs: doc.subgraphs };
}

/** The definition that an opened subgraph has become. */
export function writeSubgraph(inner: Doc): JsonObject {
  const written = writeGraph(inner);
  const nodes = isArray(written.nodes) ? (written.nodes as readonly DocNode[]) : [];
  const port = (key: string): DocNode | undefined => nodes.find((each) => keyOf(each) === key);
  const sideOf = (key: string, side: 'inputs' | 'outputs'): readonly JsonObject[] => {
    const node = port(key);
    return slotsOf(node ?? ({} as DocNode), side).map((slot): JsonObject => {
      const kept = isObject(slot.port) ? slot.port : { id: newUuid(), name: slot.name ?? '' };
      const links =
        side === 'outputs'
          ? slot.links
          : typeof slot.link === 'number' || typeof slot.link === 'bigint'
            ? [slot.link]
            : [];
      return { ...kept, type: slot.type ?? '*', linkIds: links ?? [] };
    });
  };
  const bounding = (key: string, side: 'inputNode' | 'outputNode'): JsonObject => {
    const before = inner.root[side];
    const kept = isObject(before) ? before : { id: Number(key) };
    const old = isObject(before) && isArray(before.bounding) ? before.bounding : [];
    const node = port(key);
    const [x, y] = node ? positionOf(node) : [0, 0];
    return { ...kept, bounding: [x, y, old[2] ?? 128, old[3] ?? 88] };
  };
  return {
    ...written,
    nodes: nodes.filter((each) => !isPort(keyOf(each))),
    inputs: sideOf(INPUTS, 'outputs'),
    outputs: sideOf(OUTPUTS, 'inputs'),
    inputNode: bounding(INPUTS, 'inputNode'),
    outputNode: bounding(OUTPUTS, 'outputNode'),
  };
}

/** The outer document after its subgraph was worked on. `entered`: what `enterSubgraph` gave. */
export function leaveSubgraph(outer: Doc, id: string, entered: Doc, inner: Doc): Doc {
  const list = inner.subgraphs;
  if (inner === entered) return outer;
  const isSame =
    inner.nodes === entered.nodes &&
    inner.links === entered.links &&
    inner.groups === entered.groups &&
    inner.root === entered.root;
  return { ...outer, subgraphs: isSame ? list : replaced(list, id, writeSubgraph(inner)) };
}

// -- what an instance looks like ------------------------------------------------------------------------------------

const withAll = new WeakMap<Definitions, WeakMap<readonly JsonObject[], Definitions>>();
/** The server's definitions and one for each subgraph of the document. */
export function withSubgraphs(server: Definitions, subgraphs: readonly JsonObject[]): Definitions {
  const cache = withAll.get(server) ?? new WeakMap<readonly JsonObject[], Definitions>();
  withAll.set(server, cache);
  const known = cache.get(subgraphs);
  if (known) return known;
  const found = new Map(server);
  const all: JsonObject[] = [];
  const collect = (list: readonly JsonObject[]): void => {
    for (const each of list) {
      all.push(each);
      collect(subgraphsIn(each));
    }
  };
  collect(subgraphs);
  const making = new Set<string>();
  const make = (definition: JsonObject): void => {
    const id = String(definition.id);
    if (found.has(id) || making.has(id)) return; // known, or inside itself: the server says so at the run
    making.add(id);
    for (const node of isArray(definition.nodes) ? definition.nodes : []) {
      const inner = isObject(node) ? all.find((each) => each.id === node.type) : undefined;
      if (inner) make(inner);
    }
    found.set(id, describe(definition, found));
  };
  all.forEach(make);
  cache.set(subgraphs, found);
  return found;
}

function describe(definition: JsonObject, definitions: Definitions): NodeDef {
  const ins = portsOf(definition, 'inputs');
  const outs = portsOf(definition, 'outputs');
  const [inNames, outNames] = [uniqueNames(ins), uniqueNames(outs)];
  const def: NodeDef = {
    type: String(definition.id),
    title: String(definition.name || 'Subgraph'),
    category: 'subgraphs',
    description: String(definition.description ?? ''),
    inputs: ins.map((port, at) => ({ ...portInput(definition, port, definitions), name: inNames[at] ?? '' })),
    outputs: outs.map((port, at) => ({ name: outNames[at] ?? '', type: String(port.type ?? '*'), isList: false })),
    isOutput: (isArray(definition.nodes) ? definition.nodes : []).some(
      (each) => isObject(each) && definitions.get(String(each.type))?.isOutput === true,
    ),
    subgraph: definition,
  };
  return { ...def, inputsFor: (node) => proxied(def, definition, node, definitions) };
}

/** An input of an instance: it is edited in place if it feeds a field inside, and shows that field's value. */
function portInput(definition: JsonObject, port: JsonObject, definitions: Definitions): InputDef {
  const links = new Set(isArray(port.linkIds) ? port.linkIds : []);
  for (const raw of isArray(definition.nodes) ? definition.nodes : []) {
    const node = raw as DocNode;
    for (const slot of slotsOf(node, 'inputs')) {
      if (slot.link === null || slot.link === undefined || !links.has(slot.link) || !isObject(slot.widget)) continue;
      const found = promoted(node, String(slot.name), definitions);
      if (found?.widget) return { ...found, type: String(port.type ?? found.type) };
    }
  }
  return { name: '', type: String(port.type ?? '*'), widget: null, choices: [], options: {}, optional: false };
}

/** The field of an inner node as one of the instance: without a seed's control, which has no place there. */
function promoted(node: DocNode, name: string, definitions: Definitions): InputDef | null {
  const shape = shapeOf(definitions, node);
  const input = shape.inputs.find((each) => each.name === name);
  if (!input?.widget) return null;
  const { image_upload: _, ...options } = input.options;
  return {
    ...input,
    options: { ...options, control_after_generate: false, default: valuesOf(shape, node)[name] ?? null },
    optional: true,
    isPromoted: true,
  };
}

/** The inputs of an instance that lists by itself which inner fields it shows (`proxyWidgets`). */
function proxied(
  def: NodeDef,
  definition: JsonObject,
  node: DocNode,
  definitions: Definitions,
): readonly InputDef[] | null {
  const properties = isObject(node.properties) ? node.properties : {};
  const entries = isArray(properties.proxyWidgets) ? properties.proxyWidgets.filter(isArray) : [];
  const values = isArray(node.widgets_values) ? node.widgets_values : [];
  const rules = entries.length === values.length || entries.some((each) => String(each[0]) === '-1');
  if (entries.length === 0 || !rules) return null;
  const inner = isArray(definition.nodes) ? (definition.nodes as readonly DocNode[]) : [];
  const shown = entries.map((entry): InputDef => {
    const [owner, name] = [String(entry[0]), String(entry[1])];
    const port = owner === '-1' ? def.inputs.find((each) => each.name === name) : undefined;
    const node = inner.find((each) => keyOf(each) === owner);
    const found = port ?? (node ? promoted(node, name, definitions) : null);
    const text: InputDef = {
      name,
      type: '*',
      widget: 'text',
      choices: [],
      options: {},
      optional: true,
      isPromoted: true,
    };
    return { ...(found?.widget ? found : text), name: port ? name : `${owner}: ${name}` };
  });
  const named = new Set(shown.map((each) => each.name));
  const rest = def.inputs.filter((each) => !named.has(each.name));
  return [...rest.map((each) => ({ ...each, widget: null })), ...shown];
}

// -- making and unmaking --------------------------------------------------------------------------------------------

export const newUuid = (): string => {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = ((bytes[6] ?? 0) & 15) | 64;
  bytes[8] = ((bytes[8] ?? 0) & 63) | 128;
  const text = Array.from(bytes, (each) => each.toString(16).padStart(2, '0')).join('');
  return text.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
};

const nameFor = (wanted: string, taken: Set<string>): string => {
  let name = wanted || 'value';
  for (let count = 2; taken.has(name); count++) name = `${wanted} ${count}`;
  taken.add(name);
  return name;
};

/** Put nodes into a new subgraph: one change, and the key of the node that stands for them. */
export function convertToSubgraph(
  doc: Doc,
  definitions: Definitions,
  keys: readonly string[],
  name: string,
  id: string = newUuid(),
): { readonly change: Change; readonly key: string } {
  const inside = new Set(keys);
  const nodes = doc.nodes.filter((each) => inside.has(keyOf(each)));
  const left = Math.min(...nodes.map((each) => positionOf(each)[0]));
  const right = Math.max(...nodes.map((each) => positionOf(each)[0]));
  const top = Math.min(...nodes.map((each) => positionOf(each)[1]));
  const ins: { name: string; type: Json; from: string; output: number; links: DocLink[] }[] = [];
  const outs: { name: string; type: Json; from: string; output: number; links: DocLink[] }[] = [];
  const within: DocLink[] = [];
  const [inNames, outNames] = [new Set<string>(), new Set<string>()];
  for (const link of doc.links) {
    const [starts, ends] = [inside.has(link.from), inside.has(link.to)];
    if (starts && ends) within.push(link);
    else if (starts || ends) {
      const list = ends ? ins : outs;
      const known = list.find((each) => each.from === link.from && each.output === link.output);
      const source = nodeAt(doc, link.from);
      const made = source ? shapeOf(definitions, source).outputs[link.output] : undefined;
      if (known) known.links.push(link);
      else
        list.push({
          name: ends ? nameFor(link.input || 'input', inNames) : nameFor(made?.name ?? 'output', outNames),
          type: link.type === '*' ? (made?.type ?? '*') : link.type,
          from: link.from,
          output: link.output,
          links: [link],
        });
    }
  }
  let number = highestLink(doc);
  const links: DocLink[] = within.map(({ raw: _, ...each }) => each);
  ins.forEach((port, output) => {
    for (const link of port.links)
      links.push({ id: ++number, from: INPUTS, output, to: link.to, input: link.input, type: port.type });
  });
  for (const port of outs)
    links.push({ id: ++number, from: port.from, output: port.output, to: OUTPUTS, input: port.name, type: port.type });
  const inner: Doc = {
    root: {
      id,
      version: 1,
      revision: 0,
      name,
      state: { lastGroupId: 0, lastNodeId: highestNode(doc), lastLinkId: number, lastRerouteId: 0 },
      config: {},
      inputNode: { id: Number(INPUTS), bounding: [left - 260, top, 128, 88] },
      outputNode: { id: Number(OUTPUTS), bounding: [right + 340, top, 128, 88] },
      widgets: [],
      extra: {},
    },
    nodes: [
      ...nodes,
      {
        id: Number(INPUTS),
        type: PORTS_IN,
        pos: [left - 260, top],
        outputs: ins.map((each) => ({ name: each.name, type: each.type, links: [] })),
      },
      {
        id: Number(OUTPUTS),
        type: PORTS_OUT,
        pos: [right + 340, top],
        inputs: outs.map((each) => ({ name: each.name, type: each.type, link: null })),
      },
    ],
    links,
    groups: [],
    dangling: [],
    subgraphs: doc.subgraphs,
  };
  const definition = writeSubgraph(inner);
  const described = describe(definition, definitions);
  const instance = makeNode(doc, { ...described, inputs: described.inputs.map((each) => each) }, [left, top], [260, 0]);
  const key = keyOf(instance);
  const outer: DocLink[] = [
    ...ins.map((port) => ({
      id: ++number,
      from: port.from,
      output: port.output,
      to: key,
      input: port.name,
      type: port.type,
    })),
    ...outs.flatMap((port, output) =>
      port.links.map((link) => ({ id: ++number, from: key, output, to: link.to, input: link.input, type: port.type })),
    ),
  ];
  return {
    key,
    change: {
      kind: 'all',
      changes: [
        { kind: 'define', subgraphs: [...doc.subgraphs, definition] },
        { kind: 'remove', nodes: [...inside] },
        { kind: 'add', nodes: [{ ...instance, widgets_values: [] }], links: outer },
      ],
    },
  };
}

/** Put what is inside an instance in its place; what was typed on the instance goes into the nodes. */
export function unpackSubgraph(
  doc: Doc,
  definitions: Definitions,
  key: string,
): { readonly change: Change; readonly keys: readonly string[] } | null {
  const instance = nodeAt(doc, key);
  const inner = instance && enterSubgraph(doc, instance.type);
  if (!instance || !inner) return null;
  const shape = shapeOf(definitions, instance);
  const given = valuesOf(shape, instance);
  const into = linksInto(doc, key);
  const body = inner.nodes.filter((each) => !isPort(keyOf(each)));
  const [left, top] = [
    Math.min(...body.map((each) => positionOf(each)[0])),
    Math.min(...body.map((each) => positionOf(each)[1])),
  ];
  const [x, y] = positionOf(instance);
  const renamed = new Map<string, string>();
  let number = highestNode(doc);
  for (const node of body) renamed.set(keyOf(node), String(++number));
  const ports = slotsOf(nodesByKey(inner).get(INPUTS) ?? ({} as DocNode), 'outputs').map((slot) => String(slot.name));
  const typed = (node: DocNode): DocNode =>
    [...linksInto(inner, keyOf(node)).values()]
      .filter((each) => each.from === INPUTS)
      .reduce((now, link) => {
        const port = ports[link.output] ?? '';
        const isField = shape.inputs.find((each) => each.name === port)?.widget;
        return isField && !into.has(port)
          ? withValue(shapeOf(definitions, now), now, link.input, given[port] ?? null)
          : now;
      }, node);
  const nodes = body.map((node): DocNode => {
    const [px, py] = positionOf(node);
    const id = Number(renamed.get(keyOf(node)));
    return { ...proxiedInto(typed(node), shape, given, definitions), id, pos: [x + px - left, y + py - top] };
  });
  let link = highestLink(doc);
  const join = (from: string, output: number, to: string, input: string, type: Json): DocLink => ({
    id: ++link,
    from,
    output,
    to,
    input,
    type,
  });
  const links: DocLink[] = [];
  for (const each of inner.links) {
    const to = renamed.get(each.to);
    if (to === undefined) continue;
    const outer = each.from === INPUTS ? into.get(ports[each.output] ?? '') : undefined;
    const from = renamed.get(each.from);
    if (from !== undefined) links.push(join(from, each.output, to, each.input, each.type));
    else if (outer) links.push(join(outer.from, outer.output, to, each.input, each.type));
  }
  const outs = slotsOf(nodesByKey(inner).get(OUTPUTS) ?? ({} as DocNode), 'inputs').map((slot) => String(slot.name));
  for (const each of linksOutOf(doc, key)) {
    const source = linksInto(inner, OUTPUTS).get(outs[each.output] ?? '');
    if (!source) continue;
    const through = source.from === INPUTS ? into.get(ports[source.output] ?? '') : undefined;
    const from = through?.from ?? renamed.get(source.from);
    if (from !== undefined) links.push(join(from, through?.output ?? source.output, each.to, each.input, each.type));
  }
  return {
    keys: nodes.map(keyOf),
    change: {
      kind: 'all',
      changes: [
        { kind: 'remove', nodes: [key] },
        { kind: 'add', nodes, links },
      ],
    },
  };
}

/** Values that the instance shows of this inner node (`proxyWidgets`) go into it. */
function proxiedInto(
  node: DocNode,
  shape: NodeDef,
  given: Readonly<Record<string, Json>>,
  definitions: Definitions,
): DocNode {
  const prefix = `${keyOf(node)}: `;
  return shape.inputs
    .filter((each) => each.isPromoted && each.name.startsWith(prefix))
    .reduce(
      (now, each) =>
        withValue(shapeOf(definitions, now), now, each.name.slice(prefix.length), given[each.name] ?? null),
      node,
    );
}
