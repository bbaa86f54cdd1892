import { expect, test } from 'vitest';
import { apply } from '../src/doc/changes';
import { compareDocs } from '../src/doc/compare';
import { writeFile } from '../src/doc/document';
import { formFields, isFormField, toggleFormField } from '../src/doc/form';
import { combinations, readAxis } from '../src/doc/sweep';
import { weigh } from '../src/doc/weights';
import { DEFAULTS, readSettings } from '../src/state/settings';
import { chain, DEFINITIONS } from './support';

test.each([
  ['a [red] cat', 1, 'a [(red:1.05)] cat'],
  ['a [(red:1.05)] cat', 1, 'a [(red:1.1)] cat'],
  ['a [(red:1.05)] cat', -1, 'a [red] cat'],
  ['a ([red]:1.05) cat', 1, 'a [(red:1.1)] cat'],
  ['a red c|at', -2, 'a red [(cat:0.9)]'],
  ['a (red c|at:1.2), here', 1, 'a [(red cat:1.25)], here'],
  ['one, | two', 1, 'one, | two'],
])('%s weighed by %i is %s', (before, turns, after) => {
  const read = (marked: string) => {
    const plain = marked.replaceAll(/[[\]|]/g, '');
    const start = marked.search(/[[|]/);
    const end = marked.includes(']') ? marked.indexOf(']') - 1 : start;
    return { text: plain, start, end };
  };
  expect(weigh(read(before), turns)).toEqual(read(after));
});

test('axes are read as lists and ranges, whole numbers of any size, and what is neither is refused', () => {
  expect(readAxis('1, 2,4', 'int')).toEqual([1, 2, 4]);
  expect(readAxis('5..9:2', 'int')).toEqual([5, 7, 9]);
  expect(readAxis('0..0.3:0.1', 'float')).toEqual([0, 0.1, 0.2, 0.3]);
  expect(readAxis('18446744073709551615', 'int')).toEqual([18446744073709551615n]);
  expect(readAxis('a cat, red\n\na dog', 'text')).toEqual(['a cat, red', 'a dog']);
  for (const bad of ['x', '1..9:0', '1..9:-1', '0..1000000:1']) expect(() => readAxis(bad, 'int')).toThrow(/“/);
});

test('a sweep has each combination once', () => {
  const axis = (values: readonly number[]) => ({ node: '1', input: 'x', values });
  expect(combinations([axis([1, 2]), axis([3, 4])])).toEqual([
    [1, 3],
    [1, 4],
    [2, 3],
    [2, 4],
  ]);
  expect(combinations([axis([1, 2])])).toEqual([[1], [2]]);
});

test('a comparison names each changed value, link, mode and node', () => {
  const before = chain();
  expect(compareDocs(before, before, DEFINITIONS)).toEqual([]);
  const after = apply(
    before,
    {
      kind: 'all',
      changes: [
        { kind: 'value', node: '3', name: 'steps', value: 9 },
        { kind: 'unlink', links: [3] },
        { kind: 'patch', nodes: ['2'], fields: { mode: 4 } },
        { kind: 'remove', nodes: ['4'] },
      ],
    },
    DEFINITIONS,
  );
  const found = compareDocs(before, after, DEFINITIONS).map(({ kind, node, what }) => `${kind} ${node} ${what}`);
  expect(found.sort()).toEqual(['link 3 positive', 'mode 2 ', 'removed 4 ', 'value 3 steps']);
});

test('a form shows what its file chose, else the usual fields, and taking all out leaves the file as it was', () => {
  const doc = chain();
  const usual = formFields(doc, DEFINITIONS).map(({ node, input }) => `${node.id}.${input.name}`);
  expect(usual).toContain('3.seed');
  const root = toggleFormField(doc, '3', 'steps');
  const chosen = apply(doc, { kind: 'root', root }, DEFINITIONS);
  expect(isFormField(chosen, '3', 'steps')).toBe(true);
  expect(formFields(chosen, DEFINITIONS).map(({ input }) => input.name)).toEqual(['steps']);
  const back = apply(chosen, { kind: 'root', root: toggleFormField(chosen, '3', 'steps') }, DEFINITIONS);
  expect(writeFile(back)).toEqual(writeFile(doc));
});

test('settings that are broken or from elsewhere are read as far as they fit', () => {
  expect(readSettings(null)).toEqual(DEFAULTS);
  expect(readSettings({ theme: 'pink', snap: 1, minimap: false, keys: { 'edit.mute': ['X'], bad: 7 } })).toEqual({
    ...DEFAULTS,
    minimap: false,
    keys: { 'edit.mute': ['X'] },
  });
});
