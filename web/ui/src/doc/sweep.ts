/** Sweeps: the same workflow with each combination of some values. */

import { isArray, type Json } from './json';
import { readNumber } from './numbers';
import { narrow } from './values';

export interface Axis {
  readonly node: string;
  readonly input: string;
  readonly values: readonly Json[];
}

export const MOST_RUNS = 200;

/**
 * Read the values of an axis: a list with commas (`1, 2, 4`), a range with a step (`5..9:2`), or, for texts, one a line.
 * Throws Error that says what is wrong.
 */
export function readAxis(text: string, kind: 'int' | 'float' | 'text' | 'choice'): readonly Json[] {
  if (kind === 'text') return text.split('\n').filter((each) => each.trim() !== '');
  const parts = text
    .split(/[,\n]/)
    .map((each) => each.trim())
    .filter(Boolean);
  if (kind === 'choice') return parts;
  return parts.flatMap((part) => {
    const range = /^(.+?)\.\.(.+?)(?::(.+))?$/.exec(part);
    const [from, to, by] = (range ? range.slice(1) : [part, part, '1']).map((each) => readNumber(each ?? '1', kind));
    if (typeof from === 'bigint') return [from];
    if (typeof from !== 'number' || typeof to !== 'number' || typeof by !== 'number' || by <= 0)
      throw new Error(`“${part}” is no number and no range such as 5..9:2`);
    const count = Math.floor((to - from) / by + 1e-9) + 1;
    if (count < 1 || count > MOST_RUNS) throw new Error(`“${part}” has ${count} values; 1 to ${MOST_RUNS} are allowed`);
    return Array.from({ length: count }, (_, at) =>
      kind === 'int' ? narrow(BigInt(Math.round(from + at * by))) : Number((from + at * by).toFixed(10)),
    );
  });
}

/** Every combination of the axes' values, the last axis changing fastest. */
export function combinations(axes: readonly Axis[]): readonly (readonly Json[])[] {
  return axes.reduce<readonly (readonly Json[])[]>(
    (found, axis) => found.flatMap((each) => axis.values.map((value) => [...each, value])),
    [[]],
  );
}

/** A value in a few words, for labels. */
export const shortValue = (value: Json): string => (isArray(value) ? '…' : String(value).slice(0, 40));
