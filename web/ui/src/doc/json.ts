/**
 * JSON that keeps whole numbers of any size: those beyond 2^53 become bigints and are written back digit for digit.
 * Seeds go up to 2^64 − 1, which JSON.parse would round.
 */

export type Json = null | boolean | number | bigint | string | readonly Json[] | JsonObject;
export interface JsonObject {
  readonly [key: string]: Json;
}

const TOKEN = /[\s]*([{}[\]:,]|"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null)/y;
const WHOLE = /^-?\d+$/;
const MAX_DEPTH = 500;

/** Read JSON. Throws SyntaxError as JSON.parse does, and for nesting deeper than 500. */
export function parseJson(text: string): Json {
  if (!/\d{16}/.test(text)) return JSON.parse(text) as Json;
  JSON.parse(text); // the engine's own check and message; what follows may then trust the form
  let at = 0;
  const next = (): string => {
    TOKEN.lastIndex = at;
    const found = TOKEN.exec(text)?.[1];
    if (found === undefined) throw new SyntaxError(`JSON: nothing readable at character ${at}`);
    at = TOKEN.lastIndex;
    return found;
  };
  const value = (token: string, depth: number): Json => {
    if (depth > MAX_DEPTH) throw new SyntaxError(`JSON: nested deeper than ${MAX_DEPTH}`);
    if (token === '[') {
      const items: Json[] = [];
      for (let token = next(); token !== ']'; token = next()) if (token !== ',') items.push(value(token, depth + 1));
      return items;
    }
    if (token === '{') {
      const entries: [string, Json][] = [];
      for (let token = next(); token !== '}'; token = next()) {
        if (token === ',') continue;
        const key = JSON.parse(token) as string;
        next(); // the colon
        entries.push([key, value(next(), depth + 1)]);
      }
      return Object.fromEntries(entries); // __proto__ as an own key, not as the prototype
    }
    if (WHOLE.test(token) && !Number.isSafeInteger(Number(token))) return BigInt(token);
    return JSON.parse(token) as Json;
  };
  return value(next(), 0);
}

/** Write JSON; bigints as their digits. `indent`: spaces a level, none for one line. */
export function writeJson(value: Json | undefined, indent = 0): string {
  const write = (each: Json | undefined, margin: string): string => {
    if (typeof each === 'bigint') return each.toString();
    if (each === undefined || each === null || typeof each !== 'object') return JSON.stringify(each ?? null);
    const inner = margin + ' '.repeat(indent);
    const parts = Array.isArray(each)
      ? each.map((item: Json) => write(item, inner))
      : Object.entries(each)
          .filter(([, item]) => item !== undefined)
          .map(([key, item]) => `${JSON.stringify(key)}:${indent ? ' ' : ''}${write(item, inner)}`);
    const [open, close] = Array.isArray(each) ? '[]' : '{}';
    if (parts.length === 0) return `${open}${close}`;
    return indent
      ? `${open}\n${inner}${parts.join(`,\n${inner}`)}\n${margin}${close}`
      : `${open}${parts.join(',')}${close}`;
  };
  return write(value, '');
}

export const isObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
export const isArray = (value: unknown): value is readonly Json[] => Array.isArray(value);
