import { expect, test } from 'vitest';
import { arrange, arrangeApi } from '../src/doc/arrange';
import { apply, type Change, copy, makeNode, pasteChange } from '../src/doc/changes';
import { checkConnection, firstFit, outputType } from '../src/doc/connect';
import { shapeOf } from '../src/doc/definitions';
import { isApiForm, keyOf, linksInto, nodeAt, readFile, writeFile } from '../src/doc/document';
import { isObject, parseJson, writeJson } from '../src/doc/json';
import { HEADER, layoutNode } from '../src/doc/layout';
import { clamp, readNumber, stepped } from '../src/doc/numbers';
import { nextSeed, places, valuesOf, withValue } from '../src/doc/values';
import { CHAIN, chain, DEFINITIONS, everyRule, workflow } from './support';

const write = (doc: ReturnType<typeof chain>): string => writeJson(writeFile(doc));

test('whole numbers beyond 2^53 go through JSON digit for digit', () => {
  const text = '{"a":[18446744073709551615,-9007199254740993,1.5,1e3,"18446744073709551615"],"__proto__":{"x":1}}';
  expect(writeJson(parseJson(text))).toBe(text.replace('1e3', '1000'));
});

test('JSON that is none is refused, with or without large numbers', () => {
  for (const text of ['{', '[1,]', '{"a" 1234567890123456789}', '[1234567890123456789,,]', '01234567890123456789'])
    expect(() => parseJson(text)).toThrow(SyntaxError);
});

test.each(['txt2img.json', 'img2img.json', 'hires.json'])('%s is written as it was read', (name) => {
  const text = workflow(name);
  expect(writeFile(readFile(parseJson(text)))).toEqual(parseJson(text));
});

test('a file that uses every rule of the format is written with everything it had', () => {
  const before = parseJson(everyRule());
  const after = writeFile(readFile(before));
  expect({ ...after, nodes: 0, links: 0, last_node_id: 0, last_link_id: 0 }).toEqual({
    ...(isObject(before) ? before : {}),
    nodes: 0,
    links: 0,
    last_node_id: 0,
    last_link_id: 0,
  });
  expect(after.nodes).toEqual(isObject(before) ? before.nodes : null);
});

test('unknown keys, unknown nodes and lost links survive reading and writing', () => {
  const file = parseJson(CHAIN);
  expect(writeFile(chain())).toEqual(isObject(file) ? { ...file, last_node_id: 9, last_link_id: 5 } : null);
});

test('links end at inputs by name, also where the places have shifted', () => {
  const shifted = CHAIN.replace('[3, 2, 0, 3, 1, "CONDITIONING"]', '[3, 2, 0, 3, 4, "CONDITIONING"]');
  const doc = readFile(parseJson(shifted));
  expect(linksInto(doc, '3').get('positive')?.from).toBe('2');
  expect(writeFile(doc).links).toContainEqual([3, 2, 0, 3, 1, 'CONDITIONING']);
});

test('a file of version 1 keeps its form', () => {
  const file = parseJson(
    '{"version":1,"state":{"lastNodeId":2,"lastLinkId":1,"lastGroupId":4},"nodes":[{"id":1,"type":"Loader","outputs":[{"name":"MODEL","type":"MODEL","links":[1]}]},{"id":2,"type":"Sampler","inputs":[{"name":"model","type":"MODEL","link":1}]}],"links":[{"id":1,"origin_id":1,"origin_slot":0,"target_id":2,"target_slot":0,"type":"MODEL","parentId":3}],"groups":[]}',
  );
  expect(writeFile(readFile(file))).toEqual(file);
});

test('what is no workflow is refused in words', () => {
  expect(() => readFile(parseJson('{"a": 1}'))).toThrow(/no workflow/);
  expect(() => readFile(parseJson('{"nodes": [{"id": 1}]}'))).toThrow(/nodes\[0\]/);
  expect(() => readFile(parseJson('{"nodes": [{"id": 1, "type": "A"}, {"id": "1", "type": "A"}]}'))).toThrow(/same id/);
});

const from = (node: string, output = 0) => ({ node, output });
const to = (node: string, input: string) => ({ node, input });

test.each([
  [from('2'), to('3', 'model'), 'type_mismatch'],
  [from('3'), to('3', 'again'), 'same_node'],
  [from('1', 0), to('3', 'model'), 'already_linked'],
  [from('1', 7), to('3', 'model'), 'no_output'],
  [from('1'), to('3', 'nothing'), 'no_input'],
  [from('9'), to('3', 'model'), 'no_node'],
])('a link %o → %o is refused: %s', (start, end, code) => {
  const verdict = checkConnection(chain(), DEFINITIONS, start, end);
  expect(verdict).toMatchObject({ ok: false, code });
  expect(verdict.ok || verdict.reason.length).toBeGreaterThan(10);
});

test('a loop is refused, however long', () => {
  const doc = apply(
    chain(),
    {
      kind: 'all',
      changes: [
        {
          kind: 'add',
          nodes: [
            { ...makeNode(chain(), mustDefine('Any'), [0, 0], [0, 0]), id: 20 },
            { ...makeNode(chain(), mustDefine('Any'), [0, 0], [0, 0]), id: 21 },
          ],
          links: [],
        },
        { kind: 'link', from: from('20'), to: to('21', 'value') },
      ],
    },
    DEFINITIONS,
  );
  expect(checkConnection(doc, DEFINITIONS, from('21'), to('20', 'value'))).toMatchObject({
    ok: false,
    code: 'dependency_cycle',
  });
  expect(checkConnection(doc, DEFINITIONS, from('3'), to('20', 'value'))).toEqual({ ok: true });
});

function mustDefine(type: string) {
  const def = DEFINITIONS.get(type);
  if (!def) throw new Error(type);
  return def;
}

test('a reroute has the type of what goes into it', () => {
  const doc = apply(
    chain(),
    {
      kind: 'all',
      changes: [
        { kind: 'add', nodes: [makeNode(chain(), mustDefine('Reroute'), [0, 0], [0, 0])], links: [] },
        { kind: 'link', from: from('1', 1), to: to('10', '') },
      ],
    },
    DEFINITIONS,
  );
  expect(outputType(doc, DEFINITIONS, from('10'))).toBe('CLIP');
  expect(checkConnection(doc, DEFINITIONS, from('10'), to('3', 'model'))).toMatchObject({ code: 'type_mismatch' });
});

test('a link dropped on a node takes the free socket that fits', () => {
  expect(firstFit(chain(), DEFINITIONS, from('3'), '3')).toBeNull();
  expect(firstFit(chain(), DEFINITIONS, from('1', 1), '2')).toBeNull(); // linked already
  const doc = apply(chain(), { kind: 'unlink', links: [2] }, DEFINITIONS);
  expect(firstFit(doc, DEFINITIONS, from('1', 1), '2')).toEqual(to('2', 'clip'));
});

test('a new link takes the place of the one that was there, and gets a new number', () => {
  const doc = apply(
    chain(),
    {
      kind: 'all',
      changes: [
        { kind: 'unlink', links: [3] },
        { kind: 'link', from: from('2'), to: to('3', 'positive') },
      ],
    },
    DEFINITIONS,
  );
  expect(linksInto(doc, '3').get('positive')?.id).toBe(6);
  expect(writeFile(doc)).toMatchObject({ last_link_id: 6 });
  expect(nodeAt(doc, '1')).toBe(nodeAt(doc, '1'));
});

test('a change leaves all other nodes the objects they were', () => {
  const before = chain();
  const after = apply(before, { kind: 'move', to: { '1': [5, 6] } }, DEFINITIONS);
  expect(nodeAt(after, '1')?.pos).toEqual([5, 6]);
  for (const key of ['2', '3', '4']) expect(nodeAt(after, key)).toBe(nodeAt(before, key));
  expect(apply(before, { kind: 'move', to: { nobody: [0, 0] } }, DEFINITIONS)).toBe(before);
});

test('200 random changes, taken back one by one, give every earlier file byte for byte', () => {
  let seed = 7;
  const random = (): number => {
    seed = (seed * 1103515245 + 12345) % 2 ** 31;
    return seed / 2 ** 31;
  };
  const states = [chain()];
  const texts = [write(chain())];
  for (let turn = 0; turn < 200; turn++) {
    const doc = states.at(-1) ?? chain();
    const key = keyOf(doc.nodes[Math.floor(random() * doc.nodes.length)] ?? { id: 0, type: '' });
    const choices: Change[] = [
      { kind: 'move', to: { [key]: [Math.floor(random() * 1000), 0] } },
      { kind: 'value', node: key, name: 'steps', value: turn },
      { kind: 'patch', nodes: [key], fields: { mode: turn % 5, title: `<b>${turn}</b>` } },
      { kind: 'flag', nodes: [key], flag: 'collapsed', on: turn % 2 === 0 },
      pasteChange(doc, DEFINITIONS, copy(doc, [key]), [10, 10], true).change,
      ...(doc.nodes.length > 3 ? [{ kind: 'remove', nodes: [key] } as const] : []),
      { kind: 'unlink', links: doc.links.slice(0, 1).map((each) => each.id) },
    ];
    const next = apply(
      doc,
      choices[Math.floor(random() * choices.length)] ?? { kind: 'unlink', links: [] },
      DEFINITIONS,
    );
    states.push(next);
    texts.push(write(next));
  }
  expect(states.map(write)).toEqual(texts);
  expect(write(readFile(parseJson(texts.at(-1) ?? '')))).toBe(texts.at(-1));
});

test('a paste keeps the links among the copies and, when asked, those from outside', () => {
  const doc = chain();
  const clip = copy(doc, ['2', '3']);
  const alone = apply(doc, pasteChange(doc, DEFINITIONS, clip, [10, 10], false).change, DEFINITIONS);
  expect([...linksInto(alone, '11').keys()]).toEqual(['positive']);
  const linked = apply(doc, pasteChange(doc, DEFINITIONS, clip, [10, 10], true).change, DEFINITIONS);
  expect([...linksInto(linked, '11').keys()].sort()).toEqual(['model', 'positive']);
  expect(linksInto(linked, '10').get('clip')?.from).toBe('1');
});

test('values are read by name; a control that is a boolean or missing shifts nothing', () => {
  const def = mustDefine('Sampler');
  const read = (values: string) => valuesOf(def, { id: 1, type: 'Sampler', widgets_values: parseJson(values) });
  expect(places(def)).toEqual(['seed', 'seed:control', 'steps']);
  expect(read('[5, "randomize", 9]')).toEqual({ seed: 5, 'seed:control': 'randomize', steps: 9 });
  expect(read('[5, true, 9]')).toEqual({ seed: 5, 'seed:control': 'randomize', steps: 9 });
  expect(read('[5, 9]')).toEqual({ seed: 5, 'seed:control': 'fixed', steps: 9 });
  expect(read('[]')).toEqual({ seed: 0, 'seed:control': 'fixed', steps: 20 });
  expect(read('{"steps": 3, "x": 1}')).toMatchObject({ seed: 0, steps: 3 });
});

test('setting a value keeps values this editor does not know', () => {
  const def = mustDefine('Sampler');
  const node = { id: 1, type: 'Sampler', widgets_values: [1, 'fixed', 2, 'more'] };
  expect(withValue(def, node, 'steps', 7).widgets_values).toEqual([1, 'fixed', 7, 'more']);
  expect(withValue(def, { ...node, widgets_values: { x: 1 } }, 'steps', 7).widgets_values).toEqual({ x: 1, steps: 7 });
});

test('seeds move on as their control says, exactly up to 2^64 − 1', () => {
  const most = 2n ** 64n - 1n;
  expect(nextSeed(most - 1n, 'increment', 0, most)).toBe(most);
  expect(nextSeed(most, 'increment', 0, most)).toBe(most);
  expect(nextSeed(0, 'decrement', 0, most)).toBe(0);
  expect(nextSeed(41, 'fixed', 0, most)).toBe(41);
  expect(nextSeed(0, 'randomize', 0, most, () => 0.5)).not.toBe(0);
  expect(nextSeed(0, 'randomize', 3, 3, () => 0.99)).toBe(3);
});

test('numbers may be typed with arithmetic, and nothing else runs', () => {
  expect(readNumber('512*2', 'int')).toBe(1024);
  expect(readNumber(' (1+2)/4 ', 'float')).toBe(0.75);
  expect(readNumber('-3', 'int')).toBe(-3);
  expect(readNumber('0,5', 'float')).toBe(0.5);
  expect(readNumber('18446744073709551615', 'int')).toBe(18446744073709551615n);
  for (const text of ['', 'alert(1)', '1+', '2**9', '(1', '1 2', '1/0', 'Infinity'])
    expect(readNumber(text, 'float')).toBeNull();
  expect(clamp(2n ** 70n, 0, 2n ** 64n - 1n)).toBe(2n ** 64n - 1n);
  expect(clamp(-1, 0, 9)).toBe(0);
  expect(stepped(0.1, 0.1, 2)).toBe(0.3);
  expect(stepped(2n ** 60n, 1, 1)).toBe(2n ** 60n + 1n);
});

test('a node of an unknown type is drawn from its file alone', () => {
  const node = {
    id: 1,
    type: 'Alien',
    inputs: [{ name: 'thing', type: 'FOO', link: 3 }],
    outputs: [{ name: 'out', type: 'BAR' }],
  };
  expect(shapeOf(DEFINITIONS, node)).toMatchObject({
    title: 'Alien',
    inputs: [{ name: 'thing', type: 'FOO' }],
    outputs: [{ type: 'BAR' }],
  });
});

test('every socket lies inside its node, open, collapsed and with a picture', () => {
  for (const def of DEFINITIONS.values())
    for (const collapsed of [false, true])
      for (const picture of [false, true]) {
        const node = { ...makeNode(chain(), def, [0, 0], [300, 50]), flags: { collapsed } };
        const layout = layoutNode(def, node, picture);
        for (const y of [...layout.inputs.values(), ...layout.outputs]) expect(y > 0 && y < layout.height).toBe(true);
        expect([...layout.inputs.keys()]).toEqual(expect.arrayContaining(def.inputs.map((each) => each.name)));
        if (collapsed && def.type !== 'Reroute') expect(layout.height).toBe(HEADER);
      }
});

test('a workflow for programs is drawn without nodes lying on each other', () => {
  const api = parseJson(
    '{"1": {"class_type": "Loader", "inputs": {"name": "b.safetensors"}}, "2": {"class_type": "Encode", "inputs": {"text": "x", "clip": ["1", 1]}}, "x:3": {"class_type": "Sampler", "inputs": {"model": ["1", 0], "positive": ["2", 0], "seed": 5}}, "9": {"class_type": "Alien", "inputs": {"a": ["x:3", 0]}}}',
  );
  if (!isApiForm(api)) throw new Error('this is the form for programs');
  const doc = arrangeApi(api, DEFINITIONS);
  expect(doc.links.map((each) => [each.from, each.output, each.to, each.input])).toEqual(
    expect.arrayContaining([
      ['1', 1, '2', 'clip'],
      ['2', 0, 'x:3', 'positive'],
      ['x:3', 0, '9', 'a'],
    ]),
  );
  expect(valuesOf(mustDefine('Loader'), doc.nodes[0] ?? { id: 0, type: '' })).toEqual({ name: 'b.safetensors' });
  const xs = Object.values(arrange(doc, DEFINITIONS)).map(([x, y]) => `${x},${y}`);
  expect(new Set(xs).size).toBe(doc.nodes.length);
});
