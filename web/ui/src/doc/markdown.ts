/** The part of Markdown that notes use, as data: what draws it writes every text as text. */

export type Inline =
  | { readonly kind: 'text' | 'strong' | 'em' | 'code'; readonly text: string }
  | { readonly kind: 'link'; readonly text: string; readonly href: string };
export type Block =
  | { readonly kind: 'heading'; readonly level: number; readonly parts: readonly Inline[] }
  | { readonly kind: 'paragraph' | 'quote'; readonly parts: readonly Inline[] }
  | { readonly kind: 'list'; readonly isOrdered: boolean; readonly items: readonly (readonly Inline[])[] }
  | { readonly kind: 'code'; readonly text: string }
  | { readonly kind: 'rule' };

const SPANS = /`([^`]+)`|\*\*([^*]+)\*\*|__([^_]+)__|\*([^*\s][^*]*)\*|_([^_\s][^_]*)_|\[([^\]]+)\]\(([^)\s]+)\)/g;
const SAFE = /^(https?:\/\/|mailto:)/i;

/** Read one line. Links that are no web addresses stay text. */
export function readInline(line: string): readonly Inline[] {
  const found: Inline[] = [];
  let at = 0;
  for (const match of line.matchAll(SPANS)) {
    const [whole, code, strong, strong2, em, em2, text, href] = match;
    if (match.index > at) found.push({ kind: 'text', text: line.slice(at, match.index) });
    at = match.index + whole.length;
    if (code !== undefined) found.push({ kind: 'code', text: code });
    else if (strong ?? strong2) found.push({ kind: 'strong', text: strong ?? strong2 ?? '' });
    else if (em ?? em2) found.push({ kind: 'em', text: em ?? em2 ?? '' });
    else if (text !== undefined && href !== undefined && SAFE.test(href)) found.push({ kind: 'link', text, href });
    else found.push({ kind: 'text', text: whole });
  }
  if (at < line.length) found.push({ kind: 'text', text: line.slice(at) });
  return found;
}

const ITEM = /^\s*(?:([-*+])|\d+[.)])\s+(.*)$/;

/** Read a note. */
export function readMarkdown(text: string): readonly Block[] {
  const lines = text.replaceAll('\r\n', '\n').split('\n');
  const found: Block[] = [];
  let at = 0;
  /** The lines from here on that are like the first. */
  const take = (isLike: (line: string) => boolean): string[] => {
    const start = at;
    while (at < lines.length && isLike(lines[at] ?? '')) at++;
    return lines.slice(start, at);
  };
  const isPlain = (line: string): boolean =>
    line.trim() !== '' && !/^(#{1,6}\s|```|>|\s*([-*_])(\s*\2){2,}\s*$)/.test(line) && !ITEM.test(line);
  while (at < lines.length) {
    const line = lines[at] ?? '';
    const heading = /^(#{1,6})\s+(.*)$/.exec(line);
    if (line.trim() === '') at++;
    else if (line.startsWith('```')) {
      at++;
      found.push({ kind: 'code', text: take((each) => !each.startsWith('```')).join('\n') });
      at++;
    } else if (heading) {
      found.push({ kind: 'heading', level: heading[1]?.length ?? 1, parts: readInline(heading[2] ?? '') });
      at++;
    } else if (/^\s*([-*_])(\s*\1){2,}\s*$/.test(line)) {
      found.push({ kind: 'rule' });
      at++;
    } else if (ITEM.test(line)) {
      const items = take((each) => ITEM.test(each)).map((each) => readInline(ITEM.exec(each)?.[2] ?? ''));
      found.push({ kind: 'list', isOrdered: ITEM.exec(line)?.[1] === undefined, items });
    } else if (line.startsWith('>')) {
      const quoted = take((each) => each.startsWith('>')).map((each) => each.replace(/^>\s?/, ''));
      found.push({ kind: 'quote', parts: readInline(quoted.join(' ')) });
    } else found.push({ kind: 'paragraph', parts: readInline(take(isPlain).join(' ')) });
  }
  return found;
}
