/** What nodes exist and what they take, read from the server's /object_info. */

import { type DocNode, slotsOf } from './document';
import { isArray, isObject, type Json, type JsonObject } from './json';

export type WidgetKind = 'int' | 'float' | 'text' | 'toggle' | 'combo';

export interface InputDef {
  readonly name: string;
  readonly type: string;
  /** How it is edited in place; null for a socket. */
  readonly widget: WidgetKind | null;
  readonly choices: readonly Json[];
  readonly options: JsonObject;
  readonly optional: boolean;
  /** A field of a node inside, shown on its subgraph; no value means that the one inside counts. */
  readonly isPromoted?: boolean;
}

export interface OutputDef {
  readonly name: string;
  readonly type: string;
  readonly isList: boolean;
}

export interface NodeDef {
  readonly type: string;
  readonly title: string;
  readonly category: string;
  readonly description: string;
  readonly inputs: readonly InputDef[];
  readonly outputs: readonly OutputDef[];
  readonly isOutput: boolean;
  /** Notes and reroutes: they live in the editor and never run. */
  readonly isVirtual?: boolean;
  /** Made from a file alone: nobody here knows the type. */
  readonly isUnknown?: boolean;
  readonly deprecated?: boolean;
  /** The definition that an instance of a subgraph stands for. */
  readonly subgraph?: JsonObject;
  /** The inputs of a node that chooses by itself which it shows; null for those of the definition. */
  readonly inputsFor?: (node: DocNode) => readonly InputDef[] | null;
  /** Makes the shape of nodes that each have one of their own. */
  readonly shapeFor?: (def: NodeDef, node: DocNode) => NodeDef;
}

export type Definitions = ReadonlyMap<string, NodeDef>;

const WIDGETS: Readonly<Record<string, WidgetKind>> = {
  INT: 'int',
  FLOAT: 'float',
  STRING: 'text',
  BOOLEAN: 'toggle',
  COMBO: 'combo',
};
/** Seeds of definitions that do not say whether they change after a run. */
const SEEDS: ReadonlySet<string> = new Set(['seed', 'noise_seed']);

/** The nodes that stand for the inputs and outputs of an open subgraph, and the socket that makes a new one. */
export const PORTS_IN = 'easel/inputs';
export const PORTS_OUT = 'easel/outputs';
export const NEW_PORT = '+';

const socket = (name: string, type: string): InputDef => ({
  name,
  type,
  widget: null,
  choices: [],
  options: {},
  optional: true,
});
const text = (name: string): InputDef => ({
  name,
  type: 'STRING',
  widget: 'text',
  choices: [],
  options: { multiline: true },
  optional: true,
});
const VIRTUAL: readonly NodeDef[] = [
  {
    type: 'Note',
    title: 'Note',
    category: 'utils',
    description: 'Text for people; it never runs.',
    inputs: [text('text')],
    outputs: [],
    isOutput: false,
    isVirtual: true,
  },
  {
    type: 'MarkdownNote',
    title: 'Markdown note',
    category: 'utils',
    description: 'Text for people; it never runs.',
    inputs: [text('text')],
    outputs: [],
    isOutput: false,
    isVirtual: true,
  },
  {
    type: 'Reroute',
    title: 'Reroute',
    category: 'utils',
    description: 'Passes a link on, to tidy a graph.',
    inputs: [{ name: '', type: '*', widget: null, choices: [], options: {}, optional: false }],
    outputs: [{ name: '', type: '*', isList: false }],
    isOutput: false,
    isVirtual: true,
  },
  {
    type: 'PrimitiveNode',
    title: 'Primitive',
    category: 'utils',
    description: 'One value for several fields: link it to them.',
    inputs: [],
    outputs: [{ name: '*', type: '*', isList: false }],
    isOutput: false,
    isVirtual: true,
    shapeFor: primitiveShape,
  },
  {
    type: PORTS_IN,
    title: 'Inputs',
    category: '',
    description: 'What comes into this subgraph. Link the last socket to add one.',
    inputs: [],
    outputs: [],
    isOutput: false,
    isVirtual: true,
    shapeFor: (def, node) => ({ ...def, outputs: [...outputsIn(node), { name: NEW_PORT, type: '*', isList: false }] }),
  },
  {
    type: PORTS_OUT,
    title: 'Outputs',
    category: '',
    description: 'What this subgraph gives. Link something to the last socket to add one.',
    inputs: [],
    outputs: [],
    isOutput: false,
    isVirtual: true,
    shapeFor: (def, node) => ({ ...def, inputs: [...inputsIn(node), socket(NEW_PORT, '*')] }),
  },
];

/** A primitive takes the form of the field that it is linked to; its file says which. */
function primitiveShape(def: NodeDef, node: DocNode): NodeDef {
  const slot = slotsOf(node, 'outputs')[0];
  const type = slot ? typeName(slot.type) : '*';
  const widget = WIDGETS[type] ?? null;
  if (!slot || !widget) return def;
  const isWhole = widget === 'int' || widget === 'combo';
  const value: InputDef = {
    name: 'value',
    type,
    widget,
    choices: [],
    options: { control_after_generate: isWhole, multiline: widget === 'text' },
    optional: true,
  };
  return { ...def, inputs: [value], outputs: [{ name: String(slot.name ?? type), type, isList: false }] };
}

/** Read /object_info. */
export function readDefinitions(info: Json): Definitions {
  const found = new Map<string, NodeDef>(VIRTUAL.map((each) => [each.type, each]));
  for (const [type, raw] of Object.entries(isObject(info) ? info : {}))
    if (isObject(raw)) found.set(type, readNode(type, raw));
  return found;
}

function readNode(type: string, raw: JsonObject): NodeDef {
  const groups = isObject(raw.input) ? raw.input : {};
  const orders = isObject(raw.input_order) ? raw.input_order : {};
  const inputs = ['required', 'optional'].flatMap((group) => {
    const members = isObject(groups[group]) ? groups[group] : {};
    const order = isArray(orders[group]) ? orders[group].map(String) : Object.keys(members);
    return order
      .filter((name) => name in members)
      .map((name) => readInput(name, members[name] ?? null, group === 'optional'));
  });
  const names = isArray(raw.output_name) ? raw.output_name : [];
  const lists = isArray(raw.output_is_list) ? raw.output_is_list : [];
  const outputs = (isArray(raw.output) ? raw.output : []).map((each, place) => ({
    type: isArray(each) ? 'COMBO' : String(each),
    name: String(names[place] ?? each),
    isList: lists[place] === true,
  }));
  return {
    type,
    title: typeof raw.display_name === 'string' && raw.display_name ? raw.display_name : type,
    category: String(raw.category ?? ''),
    description: String(raw.description ?? ''),
    inputs,
    outputs,
    isOutput: raw.output_node === true,
    ...(raw.deprecated === true ? { deprecated: true } : {}),
  };
}

function readInput(name: string, raw: Json, optional: boolean): InputDef {
  const [kind, second] = isArray(raw) ? raw : [raw];
  const options = isObject(second) ? second : {};
  const choices = isArray(kind) ? kind : isArray(options.options) ? options.options : [];
  const type = isArray(kind) ? 'COMBO' : String(kind);
  const widget = options.forceInput === true || options.rawLink === true ? null : (WIDGETS[type] ?? null);
  return { name, type, widget, choices, options, optional };
}

/** Whether a number changes by itself after each run, so that its control has a place in the node's values. */
export const hasControl = (input: InputDef): boolean => {
  const flag = input.options.control_after_generate;
  return flag === undefined ? input.type === 'INT' && SEEDS.has(input.name) : flag !== false && flag !== null;
};
export const isUpload = (input: InputDef): boolean => input.options.image_upload === true;

/** The value a new node starts with. */
export function defaultValue(input: InputDef): Json {
  const given = input.options.default;
  if (given !== undefined) return given;
  if (input.widget === 'combo') return input.choices[0] ?? '';
  if (input.widget === 'int' || input.widget === 'float') return input.options.min ?? 0;
  return input.widget === 'toggle' ? false : '';
}

const known = new WeakMap<Definitions, WeakMap<DocNode, NodeDef>>();
/**
 * The definition to draw a node with: the server's, with what only the file knows of (inputs of an older or newer
 * version) added, or for an unknown type one made from the file alone.
 */
export function shapeOf(definitions: Definitions, node: DocNode): NodeDef {
  const cache = known.get(definitions) ?? new WeakMap<DocNode, NodeDef>();
  known.set(definitions, cache);
  const shape = cache.get(node) ?? makeShape(definitions.get(node.type), node);
  cache.set(node, shape);
  return shape;
}

function makeShape(def: NodeDef | undefined, node: DocNode): NodeDef {
  if (def?.shapeFor) return def.shapeFor(def, node);
  const inputs = def ? (def.inputsFor?.(node) ?? def.inputs) : [];
  const names = new Set(inputs.map((each) => each.name));
  const extra = inputsIn(node, (slot) => !names.has(String(slot.name)) && (!def || slot.link !== null));
  if (def)
    return extra.length || inputs !== def.inputs
      ? { ...def, inputs: extra.length ? [...inputs, ...extra] : inputs }
      : def;
  return {
    type: node.type,
    title: node.type,
    category: '',
    description: '',
    inputs: extra,
    outputs: outputsIn(node),
    isOutput: false,
    isUnknown: true,
  };
}

const inputsIn = (node: DocNode, wanted: (slot: JsonObject) => boolean = () => true): readonly InputDef[] =>
  slotsOf(node, 'inputs')
    .filter((slot) => typeof slot.name === 'string' && wanted(slot))
    .map((slot) => socket(String(slot.name), typeName(slot.type)));
const outputsIn = (node: DocNode): readonly OutputDef[] =>
  slotsOf(node, 'outputs').map((slot) => ({ name: String(slot.name ?? ''), type: typeName(slot.type), isList: false }));

function typeName(type: Json | undefined): string {
  if (isArray(type)) return 'COMBO';
  return type === undefined || type === null || type === 0 ? '*' : String(type);
}
