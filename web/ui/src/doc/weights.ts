/** Weights in prompts: `(words:1.2)` counts more, `(words:0.8)` less. */

export interface Marked {
  readonly text: string;
  readonly start: number;
  readonly end: number;
}

const WEIGHTED = /^\((.*):(-?\d+(?:\.\d+)?)\)$/s;
const STEP = 0.05;

/** Weigh the marked words, or the word at the cursor, a step more or less; gives the text and what is marked then. */
export function weigh({ text, start, end }: Marked, turns: number): Marked {
  let [from, to] = [start, end];
  if (from === to) [from, to] = bracketAround(text, from) ?? wordAround(text, from);
  while (from < to && /\s/.test(text[from] ?? '')) from++;
  while (to > from && /\s/.test(text[to - 1] ?? '')) to--;
  if (from === to) return { text, start, end };
  const outer = bracketOf(text, from, to);
  if (outer) [from, to] = outer;
  const found = WEIGHTED.exec(text.slice(from, to));
  const words = found?.[1] ?? text.slice(from, to);
  const weight = Math.round((Number(found?.[2] ?? 1) + turns * STEP) * 100) / 100;
  const written = weight === 1 ? words : `(${words}:${weight})`;
  return { text: text.slice(0, from) + written + text.slice(to), start: from, end: from + written.length };
}

function wordAround(text: string, at: number): [number, number] {
  const isPart = (letter: string | undefined): boolean => letter !== undefined && !/[\s,.;:()[\]{}|]/.test(letter);
  let [from, to] = [at, at];
  while (isPart(text[from - 1])) from--;
  while (isPart(text[to])) to++;
  return [from, to];
}

/** The innermost weighted bracket around a place. */
function bracketAround(text: string, at: number): [number, number] | null {
  let depth = 0;
  for (let from = at - 1; from >= 0; from--) {
    if (text[from] === ')') depth++;
    if (text[from] !== '(' || depth-- > 0) continue;
    const to = closing(text, from);
    return to !== null && to > at && WEIGHTED.test(text.slice(from, to)) ? [from, to] : null;
  }
  return null;
}

/** The bracket whose words are just what is marked. */
function bracketOf(text: string, from: number, to: number): [number, number] | null {
  if (text[from - 1] !== '(') return null;
  const end = closing(text, from - 1);
  const inner = end === null ? null : WEIGHTED.exec(text.slice(from - 1, end))?.[1];
  return end !== null && inner === text.slice(from, to) ? [from - 1, end] : null;
}

function closing(text: string, from: number): number | null {
  let depth = 0;
  for (let at = from; at < text.length; at++) {
    if (text[at] === '(') depth++;
    if (text[at] === ')' && --depth === 0) return at + 1;
  }
  return null;
}
