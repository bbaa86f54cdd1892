import { beforeEach, expect, test } from 'vitest';
import { readClip } from '../src/commands/edit';
import { apply, copy, pasteChange } from '../src/doc/changes';
import { EMPTY, readFile, writeFile } from '../src/doc/document';
import { parseJson, writeJson } from '../src/doc/json';
import { convertToSubgraph, enterSubgraph, withSubgraphs } from '../src/doc/subgraphs';
import { openText } from '../src/net/run';
import { getWhole, setServerDefinitions, useDefinitions, useDocument } from '../src/state/documents';
import { noteJob, useRuns } from '../src/state/runs';
import { holdPlace, openTab, switchTab, useTabs } from '../src/state/tabs';
import { chain, DEFINITIONS } from './support';

const same = (file: object): void => {
  const text = JSON.stringify(file);
  const written = writeFile(readFile(parseJson(text)));
  expect(JSON.parse(writeJson(written))).toEqual(JSON.parse(text));
};
/** Two nodes; `slots`: the inputs of the second, `links`: as the file has them. */
const file = (slots: object[], links: unknown[], version = 0.4): object => ({
  last_node_id: 2,
  last_link_id: 9,
  nodes: [
    { id: 1, type: 'A', outputs: [{ name: 'x', type: 'X', links: [1, 2, 8] }] },
    { id: 2, type: 'B', inputs: slots },
  ],
  links,
  groups: [],
  version,
  ...(version === 1 ? { state: { lastNodeId: 2, lastLinkId: 9 } } : {}),
});
const A = { name: 'a', type: 'X', link: 1 };
const ONE = [1, 1, 0, 2, 0, 'X'];

beforeEach(() => {
  useTabs.setState({ tabs: [], active: '' });
  setServerDefinitions(DEFINITIONS);
});

test('slots that name a link which is none, and the places of such links, stay as they were', () => {
  const lost = [8, 1, 0, 77, 0, 'X'];
  const two = [2, 1, 0, 2, 1, 'X'];
  same(file([A, { name: 'b', type: 'X', link: 2 }, { name: 'c', type: 'X', link: 55 }], [ONE, lost, two]));
});

test('a slot that lost its link takes a new one', () => {
  const doc = readFile(parseJson(JSON.stringify(file([A, { name: 'b', type: 'X', link: 55 }], [ONE]))));
  const made = { id: 10, from: '1', output: 0, to: '2', input: 'b', type: 'X' };
  const written = writeFile({ ...doc, links: [...doc.links, made] });
  const nodes = written.nodes as unknown as { inputs: { link: number }[] }[];
  expect(nodes[1]?.inputs.map((each) => each.link)).toEqual([1, 10]);
});

test('inputs of the same name keep their links, each its own', () => {
  same(file([A, { name: 'a', type: 'X', link: 2 }], [ONE, [2, 1, 0, 2, 1, 'X']]));
});

test('the link that is taken from one of two inputs of the same name is taken from no other', () => {
  const text = JSON.stringify(file([A, { name: 'a', type: 'X', link: 2 }], [ONE, [2, 1, 0, 2, 1, 'X']]));
  const doc = apply(readFile(parseJson(text)), { kind: 'unlink', links: [1] }, DEFINITIONS);
  const written = writeFile(doc) as unknown as { nodes: { inputs: { link: number | null }[] }[]; links: number[][] };
  expect(written.nodes[1]?.inputs.map((each) => each.link)).toEqual([null, 2]);
  expect(written.links.map((each) => each[4])).toEqual([1]);
});

test.each([0.4, 1])('links keep their form and what else they hold in a file of version %s', (version) => {
  const object = { id: 2, origin_id: 1, origin_slot: 0, target_id: 2, target_slot: 1, type: 'X', mine: [1] };
  same(file([A, { name: 'b', type: 'X', link: 2 }], [[...ONE, { more: true }], object], version));
});

test('a subgraph that is pasted into another workflow brings its content, and what is nested in it', () => {
  const inner = convertToSubgraph(chain(), DEFINITIONS, ['2', '3'], 'Inside', 'inner');
  const once = apply(chain(), inner.change, DEFINITIONS);
  const known = withSubgraphs(DEFINITIONS, once.subgraphs);
  const outer = convertToSubgraph(once, known, [inner.key], 'Around', 'outer');
  const doc = apply(once, outer.change, known);
  const text = writeJson({ 'easel/clip': 1, ...(copy(doc, [outer.key]) as object) } as never);
  const clip = readClip(text);
  expect(clip?.subgraphs?.map((each) => each.id).sort()).toEqual(['inner', 'outer']);
  const { change } = pasteChange(EMPTY, DEFINITIONS, clip as never, [0, 0], false);
  const pasted = apply(EMPTY, change, DEFINITIONS);
  expect(enterSubgraph(pasted, 'inner')?.nodes.map((each) => each.type)).toContain('Sampler');
  const again = pasteChange(pasted, DEFINITIONS, clip as never, [0, 0], false);
  expect(apply(pasted, again.change, DEFINITIONS).subgraphs).toHaveLength(2); // defined once
});

test.each([
  '{"easel/clip": 1}',
  '{"easel/clip": 1, "nodes": [{"type": "A"}], "links": []}',
  '{"easel/clip": 1, "nodes": [], "links": [{"from": 1}]}',
  '{"easel/clip": 1, "nodes": [], "links": [], "subgraphs": {}}',
])('%s is nothing to paste', (text) => {
  expect(readClip(text)).toBeNull();
});

test('a workflow for programs that is opened early keeps its values: the definitions are waited for', () => {
  useDefinitions.setState({ isLoaded: false, server: new Map(), definitions: new Map() });
  openText('{"1": {"class_type": "Encode", "inputs": {"text": "a fox"}}}', 'early.json');
  expect(useTabs.getState().tabs).toHaveLength(0);
  setServerDefinitions(DEFINITIONS);
  expect(useTabs.getState().tabs.map((each) => each.name)).toEqual(['early']);
  expect(getWhole().nodes[0]?.widgets_values).toEqual(['a fox']);
  setServerDefinitions(new Map(DEFINITIONS));
  expect(useTabs.getState().tabs).toHaveLength(1); // once
});

test('work that was meant for a graph knows when another is shown', () => {
  const first = openTab('one', chain());
  const isHere = holdPlace();
  expect(isHere()).toBe(true);
  openTab('two', chain());
  expect(isHere()).toBe(false);
  switchTab(first);
  expect(isHere()).toBe(true);
  useDocument.setState(({ doc }) => ({ outer: [{ doc, node: '1', id: 'x', entered: doc }] }));
  expect(isHere()).toBe(false);
});

test('all jobs of a batch and a sweep are known while they wait', () => {
  for (let at = 0; at < 200; at++) noteJob(`job${at}`, 'tab');
  expect(useRuns.getState().jobs.job0).toBe('tab');
});
