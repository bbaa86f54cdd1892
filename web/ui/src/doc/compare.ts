/** What differs between two workflows, in words that name nodes and values. */

import { type Definitions, shapeOf } from './definitions';
import { type Doc, type DocNode, keyOf, linksInto, modeOf, nodeAt, titleOf } from './document';
import { writeJson } from './json';
import { valuesOf } from './values';

export interface Difference {
  readonly kind: 'added' | 'removed' | 'value' | 'link' | 'mode';
  readonly node: string;
  readonly title: string;
  readonly what: string;
  readonly before: string;
  readonly after: string;
}

/** The differences from one document to another; nodes are the same if they have one id and type. */
export function compareDocs(before: Doc, after: Doc, definitions: Definitions): readonly Difference[] {
  const found: Difference[] = [];
  const named = (node: DocNode): string => titleOf(node, shapeOf(definitions, node).title);
  const same = (doc: Doc, node: DocNode): DocNode | undefined => {
    const other = nodeAt(doc, keyOf(node));
    return other?.type === node.type ? other : undefined;
  };
  for (const node of before.nodes)
    if (!same(after, node))
      found.push({ kind: 'removed', node: keyOf(node), title: named(node), what: '', before: node.type, after: '' });
  for (const node of after.nodes) {
    const key = keyOf(node);
    const old = same(before, node);
    const about = { node: key, title: named(node) };
    if (!old) {
      found.push({ kind: 'added', ...about, what: '', before: '', after: node.type });
      continue;
    }
    const [was, is] = [valuesOf(shapeOf(definitions, old), old), valuesOf(shapeOf(definitions, node), node)];
    for (const name of new Set([...Object.keys(was), ...Object.keys(is)])) {
      const [a, b] = [writeJson(was[name]), writeJson(is[name])];
      if (a !== b) found.push({ kind: 'value', ...about, what: name, before: a, after: b });
    }
    const source = (doc: Doc, input: string): string => {
      const link = linksInto(doc, key).get(input);
      const from = link && nodeAt(doc, link.from);
      return link && from ? `${named(from)} (${link.from}) · ${link.output}` : '';
    };
    for (const input of new Set([...linksInto(before, key).keys(), ...linksInto(after, key).keys()])) {
      const [a, b] = [source(before, input), source(after, input)];
      if (a !== b) found.push({ kind: 'link', ...about, what: input, before: a, after: b });
    }
    if (modeOf(old) !== modeOf(node))
      found.push({ kind: 'mode', ...about, what: '', before: String(modeOf(old)), after: String(modeOf(node)) });
  }
  return found;
}
