/** What people type into number fields: digits of any length, or a little arithmetic. */

import type { Json } from './json';
import { narrow } from './values';

/** Read a number, `512*2`, `(1+2)/4`; null if it is none. Whole numbers beyond 2^53 are kept exactly. */
export function readNumber(text: string, kind: 'int' | 'float'): Json | null {
  const plain = text.trim().replace(',', '.');
  if (/^[+-]?\d+$/.test(plain)) return narrow(BigInt(plain.replace('+', '')));
  const value = arithmetic(plain);
  if (value === null || !Number.isFinite(value)) return null;
  return kind === 'int' ? Math.round(value) : value;
}

/** Add, subtract, multiply and divide, with brackets; null for anything else. */
function arithmetic(text: string): number | null {
  const tokens = text.match(/\d*\.?\d+(?:e[+-]?\d+)?|[-+*/()]|\S/gi) ?? [];
  let at = 0;
  const atom = (depth: number): number => {
    const token = tokens[at++];
    if (token === '-') return -atom(depth);
    if (token === '+') return atom(depth);
    if (token === '(' && depth < 50) {
      const value = sum(depth + 1);
      return tokens[at++] === ')' ? value : Number.NaN;
    }
    return token === undefined ? Number.NaN : Number(token);
  };
  const product = (depth: number): number => {
    let value = atom(depth);
    while (tokens[at] === '*' || tokens[at] === '/')
      value = tokens[at++] === '*' ? value * atom(depth) : value / atom(depth);
    return value;
  };
  const sum = (depth: number): number => {
    let value = product(depth);
    while (tokens[at] === '+' || tokens[at] === '-')
      value = tokens[at++] === '+' ? value + product(depth) : value - product(depth);
    return value;
  };
  const value = sum(0);
  return at === tokens.length && !Number.isNaN(value) ? value : null;
}

/** The nearest allowed value. Compares bigints and numbers alike. */
export function clamp(value: Json, least: Json | undefined, most: Json | undefined): Json {
  if (typeof value !== 'number' && typeof value !== 'bigint') return value;
  if ((typeof least === 'number' || typeof least === 'bigint') && value < least) return least;
  if ((typeof most === 'number' || typeof most === 'bigint') && value > most) return most;
  return value;
}

/** One step up or down. */
export function stepped(value: Json, step: number, turns: number): Json {
  if (typeof value === 'bigint') return narrow(value + BigInt(Math.round(step * turns)));
  const digits = (String(step).split('.')[1] ?? '').length + 2;
  return Number((Number(value) + step * turns).toFixed(Math.min(digits, 12)));
}
