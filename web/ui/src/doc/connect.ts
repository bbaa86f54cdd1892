/** Whether a link may be made, and why not: asked by dragging, the palette, the keyboard, pasting and loading. */

import { type Definitions, shapeOf } from './definitions';
import { type Doc, linksInto, linksOutOf, nodeAt } from './document';

export interface OutputRef {
  readonly node: string;
  readonly output: number;
}
export interface InputRef {
  readonly node: string;
  readonly input: string;
}

export type Refusal =
  | 'no_node'
  | 'no_output'
  | 'no_input'
  | 'same_node'
  | 'type_mismatch'
  | 'dependency_cycle'
  | 'already_linked';
export type Verdict = { readonly ok: true } | { readonly ok: false; readonly code: Refusal; readonly reason: string };

const refuse = (code: Refusal, reason: string): Verdict => ({ ok: false, code, reason });

/** Whether two types meet: a comma-separated set overlaps another; `*` meets all. */
export function typesMeet(given: string, wanted: string): boolean {
  const left = given
    .toUpperCase()
    .split(',')
    .map((each) => each.trim());
  const right = wanted
    .toUpperCase()
    .split(',')
    .map((each) => each.trim());
  return left.includes('*') || right.includes('*') || left.some((each) => right.includes(each));
}

/** The type an output gives; that of a reroute is what goes into it. */
export function outputType(doc: Doc, definitions: Definitions, from: OutputRef, depth = 0): string {
  const node = nodeAt(doc, from.node);
  if (!node) return '*';
  const type = shapeOf(definitions, node).outputs[from.output]?.type ?? '*';
  if (type !== '*' || depth > 100) return type;
  const link = node.type === 'Reroute' ? [...linksInto(doc, from.node).values()][0] : undefined;
  return link ? outputType(doc, definitions, { node: link.from, output: link.output }, depth + 1) : '*';
}

export function checkConnection(doc: Doc, definitions: Definitions, from: OutputRef, to: InputRef): Verdict {
  const source = nodeAt(doc, from.node);
  const target = nodeAt(doc, to.node);
  if (!source || !target) return refuse('no_node', 'One of the two nodes is gone.');
  const output = shapeOf(definitions, source).outputs[from.output];
  const input = shapeOf(definitions, target).inputs.find((each) => each.name === to.input);
  if (!output) return refuse('no_output', `${source.type} has no output ${from.output}.`);
  if (!input) return refuse('no_input', `${target.type} has no input “${to.input}”.`);
  if (from.node === to.node) return refuse('same_node', 'A node cannot feed itself.');
  const given = outputType(doc, definitions, from);
  if (!typesMeet(given, input.type))
    return refuse('type_mismatch', `“${input.name}” takes ${input.type}; this output gives ${given}.`);
  const now = linksInto(doc, to.node).get(to.input);
  if (now?.from === from.node && now.output === from.output)
    return refuse('already_linked', 'These two are linked already.');
  if (reaches(doc, to.node, from.node))
    return refuse('dependency_cycle', `This would make a loop: ${target.type} already leads to ${source.type}.`);
  return { ok: true };
}

/** Whether `goal` depends on `start`. */
export function reaches(doc: Doc, start: string, goal: string): boolean {
  const seen = new Set<string>([start]);
  const open = [start];
  for (let key = open.pop(); key !== undefined; key = open.pop()) {
    if (key === goal) return true;
    for (const link of linksOutOf(doc, key)) {
      if (seen.has(link.to)) continue;
      seen.add(link.to);
      open.push(link.to);
    }
  }
  return false;
}

/** The first input of a node that would take an output: for a link dropped on the node's body. */
export function firstFit(doc: Doc, definitions: Definitions, from: OutputRef, node: string): InputRef | null {
  const target = nodeAt(doc, node);
  const taken = linksInto(doc, node);
  const fitting = (target ? shapeOf(definitions, target).inputs : [])
    .filter((each) => checkConnection(doc, definitions, from, { node, input: each.name }).ok)
    .sort((a, b) => rank(a.widget !== null, taken.has(a.name)) - rank(b.widget !== null, taken.has(b.name)));
  return fitting[0] ? { node, input: fitting[0].name } : null;
}
const rank = (isWidget: boolean, isTaken: boolean): number => (isTaken ? 1 : 0) + (isWidget ? 2 : 0);

/** The first output of a node that an input would take. */
export function firstSource(doc: Doc, definitions: Definitions, to: InputRef, node: string): OutputRef | null {
  const source = nodeAt(doc, node);
  const place = (source ? shapeOf(definitions, source).outputs : []).findIndex(
    (_, output) => checkConnection(doc, definitions, { node, output }, to).ok,
  );
  return place < 0 ? null : { node, output: place };
}
