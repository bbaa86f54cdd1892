/** What would keep a workflow from running, as far as the editor knows; the codes are the server's. */

import { checkConnection, outputType } from './connect';
import { type Definitions, type InputDef, isUpload, shapeOf } from './definitions';
import { BYPASSED, type Doc, type DocNode, keyOf, linksInto, linksOutOf, MUTED, modeOf } from './document';
import type { Json } from './json';
import { valuesOf } from './values';

export type Code =
  | 'invalid_prompt'
  | 'prompt_no_outputs'
  | 'required_input_missing'
  | 'return_type_mismatch'
  | 'dependency_cycle'
  | 'value_not_in_list'
  | 'value_smaller_than_min'
  | 'value_bigger_than_max';

export interface DocProblem {
  readonly code: Code;
  /** The key of the node; empty for the whole workflow. */
  readonly node: string;
  readonly input: string | null;
  /** The value or type that is wrong. */
  readonly found: string;
  /** What would do: a choice, a bound, a type. */
  readonly wanted: string;
  readonly choices: readonly Json[];
}

const problem = (code: Code, node: DocNode, input: string | null, found = '', wanted = ''): DocProblem => ({
  code,
  node: keyOf(node),
  input,
  found,
  wanted,
  choices: [],
});

/** Files of weights, by the ends of their names: what is missing of them are models. */
const WEIGHTS = /\.(safetensors|sft|ckpt|pth?|bin|gguf)$/i;
export const isModelFile = (name: string): boolean => WEIGHTS.test(name);

const known = new WeakMap<Doc, { readonly definitions: Definitions; readonly found: readonly DocProblem[] }>();
/** All problems of a graph, in the order of its nodes. Muted and bypassed nodes have none: they do not run. */
export function problemsOf(doc: Doc, definitions: Definitions): readonly DocProblem[] {
  const kept = known.get(doc);
  if (kept?.definitions === definitions) return kept.found;
  const found = look(doc, definitions);
  known.set(doc, { definitions, found });
  return found;
}

function look(doc: Doc, definitions: Definitions): readonly DocProblem[] {
  const found = doc.nodes.flatMap((node): DocProblem[] => {
    if (modeOf(node) === MUTED || modeOf(node) === BYPASSED) return [];
    const def = definitions.get(node.type);
    if (!def) return [problem('invalid_prompt', node, null, node.type)];
    if (def.isVirtual || def.subgraph) return [];
    const values = valuesOf(shapeOf(definitions, node), node);
    const into = linksInto(doc, keyOf(node));
    return def.inputs.flatMap((input) => {
      const link = into.get(input.name);
      if (link) {
        const from = { node: link.from, output: link.output };
        const verdict = checkConnection(doc, definitions, from, { node: keyOf(node), input: input.name });
        if (verdict.ok || verdict.code === 'already_linked') return []; // that it is there is no fault
        return [problem('return_type_mismatch', node, input.name, outputType(doc, definitions, from), input.type)];
      }
      if (!input.widget) return input.optional ? [] : [problem('required_input_missing', node, input.name)];
      return [...ofValue(node, input, values[input.name] ?? null)];
    });
  });
  const circle = circleOf(doc);
  if (circle) found.push(problem('dependency_cycle', circle, null));
  const runs = doc.nodes.some(
    (each) => definitions.get(each.type)?.isOutput && modeOf(each) !== MUTED && modeOf(each) !== BYPASSED,
  );
  const first = doc.nodes[0];
  if (!first || runs || doc.nodes.some((each) => definitions.get(each.type)?.subgraph)) return found;
  return [...found, { ...problem('prompt_no_outputs', first, null), node: '' }];
}

/** A node that depends on itself through others; undefined if there is none. */
function circleOf(doc: Doc): DocNode | undefined {
  const waits = new Map(doc.nodes.map((each) => [keyOf(each), linksInto(doc, keyOf(each)).size]));
  const free = [...waits].filter(([, count]) => count === 0).map(([key]) => key);
  for (let key = free.pop(); key !== undefined; key = free.pop()) {
    waits.delete(key);
    for (const { to } of linksOutOf(doc, key)) {
      const count = (waits.get(to) ?? 0) - 1;
      waits.set(to, count);
      if (count === 0) free.push(to);
    }
  }
  return doc.nodes.find((each) => waits.has(keyOf(each)));
}

function ofValue(node: DocNode, input: InputDef, value: Json): readonly DocProblem[] {
  const { min, max } = input.options;
  if (input.widget === 'combo' && input.options.remote === undefined) {
    if (input.choices.includes(value) || isUpload(input)) return []; // an upload may lie in a folder that is not listed
    return [{ ...problem('value_not_in_list', node, input.name, String(value)), choices: nearest(input, value) }];
  }
  if (typeof value !== 'number' && typeof value !== 'bigint') return [];
  if ((typeof min === 'number' || typeof min === 'bigint') && value < min)
    return [problem('value_smaller_than_min', node, input.name, String(value), String(min))];
  if ((typeof max === 'number' || typeof max === 'bigint') && value > max)
    return [problem('value_bigger_than_max', node, input.name, String(value), String(max))];
  return [];
}

/** What a file of weights is called, without what names of many have in common: its folder and its extension. */
const calledOf = (name: string): string =>
  isModelFile(name)
    ? name.slice(Math.max(name.lastIndexOf('/'), name.lastIndexOf('\\')) + 1).replace(WEIGHTS, '')
    : name;

const SHOWN = 4;
/** The choices that are most like a value. */
function nearest(input: InputDef, value: Json): readonly Json[] {
  const pairs = (text: string): ReadonlySet<string> => {
    const plain = calledOf(text).toLowerCase();
    return new Set(Array.from({ length: Math.max(0, plain.length - 1) }, (_, at) => plain.slice(at, at + 2)));
  };
  const wanted = pairs(String(value));
  const likeness = (choice: Json): number => {
    const found = pairs(String(choice));
    return [...found].filter((each) => wanted.has(each)).length / Math.max(1, found.size + wanted.size);
  };
  return [...input.choices].sort((a, b) => likeness(b) - likeness(a)).slice(0, SHOWN);
}
