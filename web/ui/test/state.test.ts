import { deflateSync } from 'node:zlib';
import { beforeEach, expect, test, vi } from 'vitest';
import { shortcutOf } from '../src/commands/command';
import { writeFile } from '../src/doc/document';
import { writeJson } from '../src/doc/json';
import { readTexts } from '../src/doc/metadata';
import { change, getDoc, redo, silently, undo, useDefinitions, useDocument } from '../src/state/documents';
import { readErrors } from '../src/state/runs';
import { chain, DEFINITIONS } from './support';

const text = (): string => writeJson(writeFile(getDoc()));

beforeEach(() => {
  useDefinitions.setState({ definitions: DEFINITIONS, isLoaded: true });
  useDocument.setState({ doc: chain() });
  useDocument.temporal.getState().clear();
});

test('undo goes back to the first state and redo to the last, byte for byte', () => {
  const texts = [text()];
  for (let turn = 1; turn <= 50; turn++) {
    change(
      turn % 3
        ? { kind: 'move', to: { '1': [turn, turn] } }
        : { kind: 'patch', nodes: ['2'], fields: { title: `t${turn}` } },
    );
    texts.push(text());
  }
  for (let turn = 49; turn >= 0; turn--) {
    undo();
    expect(text()).toBe(texts[turn]);
  }
  undo();
  expect(text()).toBe(texts[0]);
  for (let turn = 1; turn <= 50; turn++) redo();
  expect(text()).toBe(texts[50]);
});

test('typing is one step; a pause or another field begins the next', () => {
  vi.useFakeTimers();
  for (const value of ['a', 'ab', 'abc']) change({ kind: 'value', node: '2', name: 'text', value }, 'value 2 text');
  change({ kind: 'value', node: '3', name: 'steps', value: 5 }, 'value 3 steps');
  vi.advanceTimersByTime(2000);
  change({ kind: 'value', node: '3', name: 'steps', value: 6 }, 'value 3 steps');
  vi.useRealTimers();
  expect(useDocument.temporal.getState().pastStates).toHaveLength(3);
});

test('what changes nothing is no step, and neither are seeds that move on by themselves', () => {
  change({ kind: 'remove', nodes: [] });
  useDocument.temporal.getState().clear();
  change({ kind: 'move', to: { nobody: [1, 1] } });
  silently({ ...getDoc(), groups: [] });
  expect(useDocument.temporal.getState().pastStates).toHaveLength(0);
});

test.each([
  [{ key: 'Enter', ctrlKey: true }, 'Mod+Enter'],
  [{ key: 'z', ctrlKey: true }, 'Mod+Z'],
  [{ key: 'Z', ctrlKey: true, shiftKey: true }, 'Mod+Shift+Z'],
  [{ key: '?', shiftKey: true }, '?'],
  [{ key: ' ' }, 'Space'],
])('%o is %s', (event, keys) => {
  expect(shortcutOf({ ctrlKey: false, metaKey: false, shiftKey: false, altKey: false, ...event })).toBe(keys);
});

function chunk(kind: string, body: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(12 + body.length);
  new DataView(bytes.buffer).setUint32(0, body.length);
  bytes.set(new TextEncoder().encode(kind), 4);
  bytes.set(body, 8);
  return bytes;
}

test('the texts of a PNG are read, compressed ones too', async () => {
  const encode = (value: string): Uint8Array => new TextEncoder().encode(value);
  const packed = new Uint8Array([...encode('prompt'), 0, 0, ...deflateSync('{"a":1}')]);
  const unicode = new Uint8Array([...encode('note'), 0, 0, 0, 0, 0, ...encode('größer')]);
  const parts = [
    new Uint8Array([0x89, 0x50, 0x4e, 0x47, 13, 10, 26, 10]),
    chunk('tEXt', encode('workflow\0{}')),
    chunk('zTXt', packed),
    chunk('iTXt', unicode),
    chunk('IEND', new Uint8Array()),
  ];
  expect(await readTexts(new Blob(parts as BlobPart[]))).toEqual({ workflow: '{}', prompt: '{"a":1}', note: 'größer' });
});

test('a file that is no picture, or a broken one, has no texts', async () => {
  expect(await readTexts(new Blob(['hello']))).toEqual({});
  expect(await readTexts(new Blob([new Uint8Array([0x89, 0x50, 0x4e, 0x47, 13, 10, 26, 10, 255, 255])]))).toEqual({});
});

test('the problems of a refused workflow are read by node, with what is allowed', () => {
  const errors = readErrors({
    5: {
      errors: [
        {
          type: 'value_not_in_list',
          message: 'no',
          details: 'd',
          extra_info: { input_name: 'sampler_name', allowed: ['a', 'b'] },
        },
      ],
    },
  });
  expect(errors['5']).toEqual([{ message: 'no', details: 'd', input: 'sampler_name', choices: ['a', 'b'] }]);
});
