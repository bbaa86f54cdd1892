/** Commands that change the graph. */

import { arrange } from '../doc/arrange';
import { type Clip, copy, pasteChange } from '../doc/changes';
import { shapeOf } from '../doc/definitions';
import {
  BYPASSED,
  type DocNode,
  isCollapsed,
  isPinned,
  keyOf,
  linksInto,
  linksOutOf,
  MUTED,
  modeOf,
  nodeAt,
  positionOf,
} from '../doc/document';
import { isObject, parseJson, writeJson } from '../doc/json';
import { layoutNode } from '../doc/layout';
import { change, getDefinitions, getDoc, redo, undo, useDocument } from '../state/documents';
import { openPalette, say, select, useView } from '../state/view';
import { always, type Command } from './command';

const chosen = (): readonly string[] => [...useView.getState().selected].filter((key) => nodeAt(getDoc(), key));
const some = (): boolean => chosen().length > 0;
const one = (): boolean => chosen().length === 1;
const nodes = (): readonly DocNode[] => chosen().flatMap((key) => nodeAt(getDoc(), key) ?? []);

/** The last thing copied here; the system's clipboard may be out of reach on plain http. */
let kept = '';
const MARK = 'easel/clip';

function put(): void {
  const { nodes, links } = copy(getDoc(), chosen());
  kept = writeJson({ [MARK]: 1, nodes, links: links as never });
  void navigator.clipboard?.writeText(kept).catch(() => undefined);
}

/** Read what was copied; null if it is something else. */
export function readClip(text: string): Clip | null {
  try {
    const value = parseJson(text);
    return isObject(value) && value[MARK] === 1 ? (value as unknown as Clip) : null;
  } catch {
    return null;
  }
}

export function pasteText(text: string, keepIncoming: boolean): boolean {
  const clip = readClip(text);
  if (!clip) return false;
  const { change: made, keys } = pasteChange(getDoc(), clip, [40, 40], keepIncoming);
  change(made);
  select(keys);
  return true;
}

async function paste(keepIncoming: boolean): Promise<void> {
  const text = await navigator.clipboard?.readText?.().catch(() => kept);
  if (!pasteText(text || kept, keepIncoming) && !pasteText(kept, keepIncoming)) say('There is nothing to paste.');
}

function duplicate(): void {
  const { change: made, keys } = pasteChange(getDoc(), copy(getDoc(), chosen()), [40, 40], true);
  change(made);
  select(keys);
}

const someOrLinks = (): boolean => some() || useView.getState().selectedLinks.size > 0;

function remove(): void {
  const keys = chosen();
  if (keys.length === 0) {
    change({ kind: 'unlink', links: [...useView.getState().selectedLinks] });
    useView.setState({ selectedLinks: new Set() });
    return;
  }
  change({ kind: 'remove', nodes: keys });
  select([]);
  say(`${keys.length === 1 ? 'A node was' : `${keys.length} nodes were`} deleted. Undo brings it back.`);
}

/** Set a mode, or clear it where all have it already. */
function toggleMode(mode: number): void {
  const all = nodes().every((each) => modeOf(each) === mode);
  change({ kind: 'patch', nodes: chosen(), fields: { mode: all ? 0 : mode } });
}

function group(): void {
  const boxes = nodes().map((node) => {
    const shape = shapeOf(getDefinitions(), node);
    const { width, height } = layoutNode(shape, node, shape.isOutput);
    const [x, y] = positionOf(node);
    return [x, y, x + width, y + height] as const;
  });
  const [left, top] = [Math.min(...boxes.map((each) => each[0])) - 20, Math.min(...boxes.map((each) => each[1])) - 60];
  const [right, bottom] = [
    Math.max(...boxes.map((each) => each[2])) + 20,
    Math.max(...boxes.map((each) => each[3])) + 20,
  ];
  change({
    kind: 'add',
    nodes: [],
    links: [],
    groups: [
      { title: 'Group', bounding: [left, top, right - left, bottom - top], color: '#3f789e', font_size: 24, flags: {} },
    ],
  });
}

function nudge(dx: number, dy: number): void {
  const to = Object.fromEntries(
    nodes()
      .filter((each) => !isPinned(each))
      .map((each) => {
        const [x, y] = positionOf(each);
        return [keyOf(each), [x + dx, y + dy] as const];
      }),
  );
  change({ kind: 'move', to }, `nudge ${Object.keys(to).join()}`);
}

const STEP = 10;
const arrows = (): readonly Command[] =>
  (
    [
      ['Left', -STEP, 0],
      ['Right', STEP, 0],
      ['Up', 0, -STEP],
      ['Down', 0, STEP],
    ] as const
  ).map(([name, dx, dy]) => ({
    id: `edit.move${name}`,
    title: `Move selection ${name.toLowerCase()}`,
    keys: [`Arrow${name}`],
    when: some,
    perform: () => nudge(dx, dy),
  }));

export const EDIT: readonly Command[] = [
  {
    id: 'edit.undo',
    title: 'Undo',
    keys: ['Mod+Z'],
    when: () => useDocument.temporal.getState().pastStates.length > 0,
    perform: undo,
    inText: true,
  },
  {
    id: 'edit.redo',
    title: 'Redo',
    keys: ['Mod+Shift+Z', 'Mod+Y'],
    when: () => useDocument.temporal.getState().futureStates.length > 0,
    perform: redo,
    inText: true,
  },
  {
    id: 'edit.add',
    title: 'Add node…',
    keys: ['Space', 'Shift+A'],
    when: always,
    perform: () => openPalette({ kind: 'nodes', at: null, pending: null }),
  },
  {
    id: 'edit.connect',
    title: 'Connect…',
    keys: ['C'],
    when: one,
    perform: () => openPalette({ kind: 'connect', node: chosen()[0] ?? '' }),
  },
  {
    id: 'edit.disconnect',
    title: 'Remove all links of the selection',
    keys: ['Shift+X'],
    when: some,
    perform: () => {
      const doc = getDoc();
      change({
        kind: 'unlink',
        links: chosen().flatMap((key) =>
          [...linksInto(doc, key).values(), ...linksOutOf(doc, key)].map((each) => each.id),
        ),
      });
    },
  },
  { id: 'edit.delete', title: 'Delete', keys: ['Delete', 'Backspace'], when: someOrLinks, perform: remove },
  { id: 'edit.copy', title: 'Copy', keys: ['Mod+C'], when: some, perform: put },
  {
    id: 'edit.cut',
    title: 'Cut',
    keys: ['Mod+X'],
    when: some,
    perform: () => {
      put();
      remove();
    },
  },
  { id: 'edit.paste', title: 'Paste', keys: ['Mod+V'], when: always, perform: () => paste(false) },
  {
    id: 'edit.pasteLinked',
    title: 'Paste with incoming links',
    keys: ['Mod+Shift+V'],
    when: always,
    perform: () => paste(true),
  },
  { id: 'edit.duplicate', title: 'Duplicate', keys: ['Mod+D'], when: some, perform: duplicate },
  {
    id: 'edit.selectAll',
    title: 'Select all',
    keys: ['Mod+A'],
    when: always,
    perform: () => select(getDoc().nodes.map(keyOf)),
  },
  { id: 'edit.selectNone', title: 'Select nothing', keys: ['Escape'], when: some, perform: () => select([]) },
  { id: 'edit.mute', title: 'Mute', keys: ['Mod+M'], when: some, perform: () => toggleMode(MUTED) },
  { id: 'edit.bypass', title: 'Bypass', keys: ['Mod+B'], when: some, perform: () => toggleMode(BYPASSED) },
  {
    id: 'edit.collapse',
    title: 'Collapse or expand',
    keys: ['Alt+C'],
    when: some,
    perform: () => change({ kind: 'flag', nodes: chosen(), flag: 'collapsed', on: !nodes().every(isCollapsed) }),
  },
  {
    id: 'edit.pin',
    title: 'Pin or unpin',
    keys: ['P'],
    when: some,
    perform: () => change({ kind: 'flag', nodes: chosen(), flag: 'pinned', on: !nodes().every(isPinned) }),
  },
  {
    id: 'edit.rename',
    title: 'Rename',
    keys: ['F2'],
    when: one,
    perform: () => useView.setState({ renaming: chosen()[0] ?? null }),
  },
  { id: 'edit.group', title: 'Group selection', keys: ['Mod+G'], when: some, perform: group },
  {
    id: 'edit.arrange',
    title: 'Arrange automatically',
    keys: ['Shift+L'],
    when: () => getDoc().nodes.length > 0,
    perform: () => {
      const keys = chosen().length > 1 ? new Set(chosen()) : undefined;
      change({ kind: 'move', to: arrange(getDoc(), getDefinitions(), keys) });
      useView.setState((state) => ({ fit: state.fit + 1 }));
    },
  },
  ...arrows(),
];
