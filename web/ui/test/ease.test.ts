import { beforeEach, expect, test } from 'vitest';
import { apply, copy, moveLinks, pasteChange } from '../src/doc/changes';
import { readFile, writeFile } from '../src/doc/document';
import { groupsIn } from '../src/doc/groups';
import { parseJson } from '../src/doc/json';
import { readInline, readMarkdown } from '../src/doc/markdown';
import { problemsOf } from '../src/doc/problems';
import { change, endGesture, getDoc, holdGesture, undo, useDefinitions, useDocument } from '../src/state/documents';
import { readSettings } from '../src/state/settings';
import { closeTab, hasClosed, openTab, reopenTab, useTabs } from '../src/state/tabs';
import { keepViewport, viewportOf } from '../src/state/viewports';
import { CHAIN, chain, DEFINITIONS } from './support';

beforeEach(() => {
  useDefinitions.setState({ server: DEFINITIONS, definitions: DEFINITIONS, isLoaded: true });
  useTabs.setState({ tabs: [], active: '' });
});

test('problems have the server’s codes, name the input and offer the nearest choice', () => {
  const doc = readFile(
    parseJson(CHAIN.replace('"a.safetensors"', '"aa.safetensors"').replace('"fixed", 4', '"fixed", 0')),
  );
  const found = problemsOf(doc, DEFINITIONS);
  expect(found.map((each) => [each.code, each.node, each.input])).toEqual([
    ['value_not_in_list', '1', 'name'],
    ['value_smaller_than_min', '3', 'steps'],
    ['invalid_prompt', '4', null],
    ['prompt_no_outputs', '', null],
  ]);
  expect(found[0]?.choices[0]).toBe('a.safetensors');
  expect(found[1]).toMatchObject({ found: '0', wanted: '1' });
});

test('files of weights are alike by what they are called, whatever their folders and extensions', () => {
  const loader = DEFINITIONS.get('Loader');
  if (!loader) throw new Error('there is no Loader');
  const files = [
    'sdxl/refiner.safetensors',
    'style.safetensors',
    'old\\standin.ckpt',
    'deep/standard_v2.safetensors',
    'z.pt',
  ];
  const inputs = loader.inputs.map((each) => (each.name === 'name' ? { ...each, choices: files } : each));
  const definitions = new Map([...DEFINITIONS, ['Loader', { ...loader, inputs }]]);
  const offered = (name: string) =>
    problemsOf(readFile(parseJson(CHAIN.replace('"a.safetensors"', JSON.stringify(name)))), definitions)[0]?.choices;
  expect(offered('sdxl/standin-v1.safetensors')?.slice(0, 2)).toEqual([
    'old\\standin.ckpt',
    'deep/standard_v2.safetensors',
  ]);
  expect(offered('refiner.ckpt')?.[0]).toBe('sdxl/refiner.safetensors');
  expect(offered('style')?.[0]).toBe('style.safetensors');
});

test('a missing link is a problem, and a muted node has none', () => {
  const cut = apply(chain(), { kind: 'unlink', links: [1] }, DEFINITIONS);
  const codes = (doc: typeof cut) => problemsOf(doc, DEFINITIONS).filter((each) => each.node === '3');
  expect(codes(cut).map((each) => each.code)).toEqual(['required_input_missing']);
  expect(codes(apply(cut, { kind: 'patch', nodes: ['3'], fields: { mode: 2 } }, DEFINITIONS))).toEqual([]);
});

test('all links of an output move together, or none with the reason', () => {
  const more = {
    kind: 'add' as const,
    nodes: [{ id: 9, type: 'Encode', pos: [0, 0], widgets_values: ['b'], inputs: [], outputs: [] }],
    links: [],
  };
  const doc = apply(chain(), more, DEFINITIONS);
  const moved = moveLinks(doc, DEFINITIONS, { node: '2', output: 0 }, { node: '9', output: 0 });
  expect(moved.ok).toBe(true);
  const after = moved.ok ? apply(doc, moved.change, DEFINITIONS) : doc;
  expect(after.links.filter((each) => each.input === 'positive').map((each) => each.from)).toEqual(['9']);
  const refused = moveLinks(doc, DEFINITIONS, { node: '2', output: 0 }, { node: '1', output: 0 });
  expect(refused).toEqual({ ok: false, reason: '“positive” takes CONDITIONING; this output gives MODEL.' });
});

test('a held gesture is one step however long it pauses', async () => {
  openTab('chain', chain());
  const first = writeFile(getDoc());
  const set = (value: number): void => change({ kind: 'value', node: '3', name: 'steps', value }, 'value 3 steps');
  holdGesture('value 3 steps');
  set(5);
  await new Promise((done) => setTimeout(done, 1100));
  set(6);
  endGesture();
  set(7);
  expect(useDocument.temporal.getState().pastStates.length).toBe(2);
  undo();
  undo();
  expect(writeFile(getDoc())).toEqual(first);
});

test('a closed workflow comes back with its history', () => {
  openTab('one', chain());
  const id = openTab('two', chain());
  change({ kind: 'remove', nodes: ['4'] });
  closeTab(id);
  expect(useTabs.getState().tabs.length).toBe(1);
  expect(hasClosed()).toBe(true);
  reopenTab();
  expect(useTabs.getState().active).toBe(id);
  expect(getDoc().nodes.length).toBe(3);
  undo();
  expect(getDoc().nodes.length).toBe(4);
});

test('a view is remembered for each tab and forgotten when all is shown', () => {
  keepViewport('a', { x: 1, y: 2, zoom: 3 });
  expect(viewportOf('a')).toEqual({ x: 1, y: 2, zoom: 3 });
  keepViewport('a', null);
  expect(viewportOf('a')).toBeNull();
});

test('groups inside a group are found, and it is not inside itself', () => {
  const group = (x: number, width: number) => ({ bounding: [x, 0, width, width] });
  const doc = { ...chain(), groups: [group(0, 100), group(10, 20), group(95, 20)] };
  expect(groupsIn(doc, 0)).toEqual([1]);
  expect(groupsIn(doc, 1)).toEqual([]);
});

test('notes are read as data; links that lead nowhere on the web stay text', () => {
  expect(
    readMarkdown('# A\ntext **b**\nmore\n\n1. x\n2. y\n\n```\n# code\n```\n---\n> q').map((each) => each.kind),
  ).toEqual(['heading', 'paragraph', 'list', 'code', 'rule', 'quote']);
  expect(readMarkdown('1. x')[0]).toMatchObject({ isOrdered: true });
  expect(readInline('a [b](javascript:alert(1)) `c` _d_')).toEqual([
    { kind: 'text', text: 'a ' },
    { kind: 'text', text: '[b](javascript:alert(1)' },
    { kind: 'text', text: ') ' },
    { kind: 'code', text: 'c' },
    { kind: 'text', text: ' ' },
    { kind: 'em', text: 'd' },
  ]);
});

test('lists among the settings are lists, and nothing else is', () => {
  expect(readSettings({ starred: ['a.json'], keys: [] })).toMatchObject({ starred: ['a.json'], keys: {} });
  expect(readSettings({ starred: { 0: 'a' } }).starred).toEqual([]);
});

test('a circle is named, and a copy from another workflow takes no link that does not fit', () => {
  const any = (id: number) => ({ id, type: 'Any', pos: [0, 0], inputs: [], outputs: [] });
  const link = (id: number) => ({ id, from: String(id), output: 0, to: String(3 - id), input: 'value', type: '*' });
  const round = { ...readFile({ nodes: [any(1), any(2)], links: [] } as never), links: [link(1), link(2)] };
  expect(problemsOf(round, DEFINITIONS).map((each) => each.code)).toEqual(['dependency_cycle']);
  const clip = copy(chain(), ['3']); // its links come from nodes 1 and 2
  const here = readFile({ nodes: [any(1), any(2)], links: [] } as never);
  const pasted = apply(here, pasteChange(here, DEFINITIONS, clip, [0, 0], true).change, DEFINITIONS);
  expect(pasted.links.map((each) => each.input)).toEqual(['model', 'positive']); // `*` meets all
  const other = readFile({
    nodes: [
      { ...any(1), type: 'Encode' },
      { ...any(2), type: 'Loader' },
    ],
    links: [],
  } as never);
  const without = apply(other, pasteChange(other, DEFINITIONS, clip, [0, 0], true).change, DEFINITIONS);
  expect(without.links).toEqual([]);
});
