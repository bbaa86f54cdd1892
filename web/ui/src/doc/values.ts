/** A node's values: files hold them as a bare list in the order of the widgets, or (some packs) by name. */

import { defaultValue, hasControl, isUpload, type NodeDef } from './definitions';
import type { DocNode } from './document';
import { isArray, isObject, type Json } from './json';

export const CONTROLS = ['fixed', 'increment', 'decrement', 'randomize'] as const;
export type Control = (typeof CONTROLS)[number];
const CONTROL_WORDS: ReadonlySet<Json> = new Set<Json>([...CONTROLS, 'increment-wrap']);

export const controlOf = (input: string): string => `${input}:control`;

/** The name of each place in a node's list of values. */
export function places(def: NodeDef): readonly string[] {
  return def.inputs.flatMap((input) => {
    if (input.widget === null) return [];
    return [input.name, ...(hasControl(input) ? [controlOf(input.name)] : []), ...(isUpload(input) ? ['upload'] : [])];
  });
}

/** All values by name. What the file lacks has its default; old files hold a boolean, or nothing, for a control. */
export function valuesOf(def: NodeDef, node: DocNode): Readonly<Record<string, Json>> {
  const found: Record<string, Json> = {};
  const raw = node.widgets_values;
  const list = isArray(raw) ? raw : [];
  let at = 0;
  for (const input of def.inputs) {
    if (input.widget === null) continue;
    const given = isObject(raw) ? raw[input.name] : list[at++];
    found[input.name] =
      given === undefined || (given === null && (input.isPromoted || input.widget !== 'text'))
        ? defaultValue(input)
        : given;
    if (hasControl(input)) {
      const control = isObject(raw) ? raw[controlOf(input.name)] : list[at];
      const isOne = typeof control === 'boolean' || CONTROL_WORDS.has(control ?? '');
      if (isOne && !isObject(raw)) at++;
      found[controlOf(input.name)] =
        control === true ? 'randomize' : isOne && control !== false ? (control ?? 'fixed') : 'fixed';
    }
    if (isUpload(input) && !isObject(raw) && list[at] === 'image') at++;
  }
  return found;
}

/** The node with one value changed; values beyond those the definition knows are kept. */
export function withValue(def: NodeDef, node: DocNode, name: string, value: Json): DocNode {
  const raw = node.widgets_values;
  if (isObject(raw)) return { ...node, widgets_values: { ...raw, [name]: value } };
  const named: Record<string, Json> = { ...valuesOf(def, node), upload: 'image', [name]: value };
  const order = places(def);
  const list = isArray(raw) ? raw : [];
  return { ...node, widgets_values: [...order.map((each) => named[each] ?? null), ...list.slice(order.length)] };
}

/** The values of a new node. */
export const startValues = (def: NodeDef, control: Control = 'randomize'): readonly Json[] => {
  const named: Record<string, Json> = { upload: 'image' };
  for (const input of def.inputs) {
    named[input.name] = defaultValue(input);
    named[controlOf(input.name)] = control;
  }
  return places(def).map((each) => named[each] ?? null);
};

/** The seed for the next run. `random`: gives a number in [0, 1). */
export function nextSeed(
  value: Json,
  control: Json,
  least: Json,
  most: Json,
  random: () => number = Math.random,
): Json {
  const low = BigInt(toWhole(least, 0n));
  const high = BigInt(toWhole(most, 2n ** 53n - 1n));
  const now = BigInt(toWhole(value, low));
  const size = high - low + 1n;
  const drawn = (): bigint => {
    // 2^53 − 1 is what other editors draw from; a larger seed would not survive them
    const span = size < 2n ** 53n ? size : 2n ** 53n;
    return low + ((BigInt(Math.floor(random() * 2 ** 32)) * 2n ** 21n + BigInt(Math.floor(random() * 2 ** 21))) % span);
  };
  const next: Record<string, () => bigint> = {
    increment: () => (now < high ? now + 1n : high),
    'increment-wrap': () => (now < high ? now + 1n : low),
    decrement: () => (now > low ? now - 1n : low),
    randomize: drawn,
  };
  return narrow((next[String(control)] ?? (() => now))());
}

/** A bigint as a number where that is exact. */
export const narrow = (value: bigint): Json => (value >= -(2n ** 53n) && value <= 2n ** 53n ? Number(value) : value);

function toWhole(value: Json | undefined, fallback: bigint): bigint {
  if (typeof value === 'bigint') return value;
  if (typeof value === 'number' && Number.isFinite(value)) return BigInt(Math.trunc(value));
  return fallback;
}
