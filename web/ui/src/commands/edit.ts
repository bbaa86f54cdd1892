/** Commands that change the graph. */

import { canvas } from '../canvas/port';
import { arrange } from '../doc/arrange';
import { type Clip, copy, pasteChange } from '../doc/changes';
import { isUpload, shapeOf } from '../doc/definitions';
import {
  BYPASSED,
  type DocNode,
  isCollapsed,
  isPinned,
  keyOf,
  linkAt,
  linksInto,
  linksOutOf,
  MUTED,
  modeOf,
  nodeAt,
  positionOf,
  titleOf,
} from '../doc/document';
import { frameAround } from '../doc/groups';
import { isArray, isObject, type Json, type JsonObject, parseJson, writeJson } from '../doc/json';
import { layoutNode, MIN_WIDTH } from '../doc/layout';
import { pointsOf, type Reroute } from '../doc/reroutes';
import { convertToSubgraph, isPort, unpackSubgraph } from '../doc/subgraphs';
import { change, enter, getDefinitions, getDoc, leaveTo, redo, undo, useDocument } from '../state/documents';
import { announce, openDialog, openPalette, say, select, useView } from '../state/view';
import { t } from '../words';
import { always, type Command, shownKeys } from './command';

const chosen = (): readonly string[] => [...useView.getState().selected].filter((key) => nodeAt(getDoc(), key));
const some = (): boolean => chosen().length > 0;
const several = (): boolean => chosen().length > 1;
const one = (): boolean => chosen().length === 1;
const nodes = (): readonly DocNode[] => chosen().flatMap((key) => nodeAt(getDoc(), key) ?? []);

/** The last thing copied here; the system's clipboard may be out of reach on plain http. */
let kept = '';
const MARK = 'easel/clip';

function put(): void {
  const { nodes, links, subgraphs = [] } = copy(getDoc(), movable());
  kept = writeJson({ [MARK]: 1, nodes, links: links as never, subgraphs });
  void navigator.clipboard?.writeText(kept).catch(() => undefined);
}

const isListOf = (list: Json | undefined, isOne: (each: JsonObject) => boolean): boolean =>
  isArray(list) && list.every((each) => isObject(each) && isOne(each));
const isId = (id: Json | undefined): boolean => typeof id === 'number' || typeof id === 'string';
/** Whether the parts of a clip are what they should be: it may come from anywhere. */
const isWhole = ({ nodes, links, subgraphs = [] }: JsonObject): boolean =>
  isListOf(nodes, (each) => isId(each.id) && typeof each.type === 'string') &&
  isListOf(
    links,
    (each) => [each.from, each.to, each.input].every((end) => typeof end === 'string') && Number.isInteger(each.output),
  ) &&
  isListOf(subgraphs, (each) => isId(each.id));

/** Read what was copied; null if it is something else. */
export function readClip(text: string): Clip | null {
  try {
    const value = parseJson(text);
    return isObject(value) && value[MARK] === 1 && isWhole(value) ? (value as unknown as Clip) : null;
  } catch {
    return null;
  }
}

export function pasteText(text: string, keepIncoming: boolean): boolean {
  const clip = readClip(text);
  if (!clip) return false;
  if (isLocked()) {
    say(t('The graph is locked.'));
    return true;
  }
  const { change: made, keys } = pasteChange(getDoc(), getDefinitions(), clip, [40, 40], keepIncoming);
  change(made);
  select(keys);
  return true;
}

/** What was copied last, for the browser's own clipboard; empty if it was nothing of ours. */
export const copied = (): string => kept;

/** Whether a paste of the browser came since the shortcut was pressed: it has done the work. */
let isPasted = false;
export const notePaste = (): void => {
  isPasted = true;
};
const PASTE_MS = 60;
/** The browser is about to hand over what it holds, pictures too; where it does not, what was copied here is pasted. */
function pasteSoon(): void {
  isPasted = false;
  setTimeout(() => {
    if (!isPasted) void paste(false);
  }, PASTE_MS);
}

async function paste(keepIncoming: boolean): Promise<void> {
  const text = await navigator.clipboard?.readText?.().catch(() => kept);
  if (!pasteText(text || kept, keepIncoming) && !pasteText(kept, keepIncoming)) say(t('There is nothing to paste.'));
}

function duplicate(): void {
  const { change: made, keys } = pasteChange(getDoc(), getDefinitions(), copy(getDoc(), movable()), [40, 40], true);
  change(made);
  select(keys);
}

const someOrLinks = (): boolean => some() || useView.getState().selectedLinks.size > 0;

function remove(): void {
  const keys = movable();
  if (keys.length === 0) {
    change({ kind: 'unlink', links: [...useView.getState().selectedLinks] });
    useView.setState({ selectedLinks: new Set() });
    return;
  }
  change({ kind: 'remove', nodes: keys });
  select([]);
  say(t('Deleted: {{count}}. Undo brings it back.', { count: keys.length }));
}

/** Set a mode, or clear it where all have it already. */
function toggleMode(mode: number): void {
  const all = nodes().every((each) => modeOf(each) === mode);
  change({ kind: 'patch', nodes: chosen(), fields: { mode: all ? 0 : mode } });
}

function group(): void {
  const bounding = frameAround(nodes(), getDefinitions());
  if (!bounding) return;
  change({
    kind: 'add',
    nodes: [],
    links: [],
    groups: [{ title: t('Group'), bounding: [...bounding], color: '#3f789e', font_size: 24, flags: {} }],
  });
  select([]); // so that the title is not under the tools of the selection
}

/** What may be deleted or put elsewhere: all but the inputs and outputs of an open subgraph. */
const movable = (): readonly string[] => chosen().filter((key) => !isPort(key));

function makeSubgraph(): void {
  const { change: made, key } = convertToSubgraph(getDoc(), getDefinitions(), movable(), t('Subgraph'));
  change(made);
  select([key]);
  say(
    t('The selection is a subgraph now: open it from its header, or with {{keys}}.', {
      keys: shownKeys('Shift+Enter'),
    }),
  );
}

function unpack(): void {
  const made = unpackSubgraph(getDoc(), getDefinitions(), chosen()[0] ?? '');
  if (!made) return;
  change(made.change);
  select(made.keys);
}

const onSubgraph = (): boolean => one() && nodes().some((each) => getDefinitions().get(each.type)?.subgraph);

/** Align nodes along one of their sides, or spread them evenly. */
function align(place: (boxes: readonly Box[]) => readonly Box[]): void {
  const boxes = nodes()
    .filter((each) => !isPinned(each))
    .map((node): Box => {
      const shape = shapeOf(getDefinitions(), node);
      const { width, height } = layoutNode(shape, node, shape.isOutput);
      const [x, y] = positionOf(node);
      return { key: keyOf(node), x, y, width, height };
    });
  const to = Object.fromEntries(place(boxes).map(({ key, x, y }) => [key, [Math.round(x), Math.round(y)] as const]));
  change({ kind: 'move', to });
}

interface Box {
  readonly key: string;
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}
const least = (boxes: readonly Box[], of: (box: Box) => number): number => Math.min(...boxes.map(of));
const most = (boxes: readonly Box[], of: (box: Box) => number): number => Math.max(...boxes.map(of));

/** Boxes one after the other along an axis, with equal gaps. */
function spread(boxes: readonly Box[], at: 'x' | 'y', size: 'width' | 'height'): readonly Box[] {
  const sorted = [...boxes].sort((a, b) => a[at] - b[at]);
  const [start, end] = [least(boxes, (each) => each[at]), most(boxes, (each) => each[at] + each[size])];
  const filled = sorted.reduce((sum, each) => sum + each[size], 0);
  const gap = Math.max(16, (end - start - filled) / Math.max(1, sorted.length - 1));
  let now = start;
  return sorted.map((each) => {
    const moved = { ...each, [at]: now };
    now += each[size] + gap;
    return moved;
  });
}

const ALIGNMENTS: Readonly<Record<string, (boxes: readonly Box[]) => readonly Box[]>> = {
  left: (all) => all.map((each) => ({ ...each, x: least(all, (box) => box.x) })),
  right: (all) => all.map((each) => ({ ...each, x: most(all, (box) => box.x + box.width) - each.width })),
  top: (all) => all.map((each) => ({ ...each, y: least(all, (box) => box.y) })),
  bottom: (all) => all.map((each) => ({ ...each, y: most(all, (box) => box.y + box.height) - each.height })),
};
const alignments = (): readonly Command[] => [
  ...Object.entries(ALIGNMENTS).map(([name, place]) => ({
    id: `edit.align.${name}`,
    title: `Align at the ${name}`,
    keys: [],
    when: several,
    perform: () => align(place),
  })),
  {
    id: 'edit.spread.across',
    title: 'Spread evenly from left to right',
    keys: [],
    when: several,
    perform: () => align((boxes) => spread(boxes, 'x', 'width')),
  },
  {
    id: 'edit.spread.down',
    title: 'Spread evenly from top to bottom',
    keys: [],
    when: several,
    perform: () => align((boxes) => spread(boxes, 'y', 'height')),
  },
];

/** A point in the middle of each chosen link. */
function addPoints(): void {
  const places = [...useView.getState().selectedLinks].flatMap((id) => {
    const link = getDoc().links.find((each) => each.id === id);
    const [from, to] = [link && nodeAt(getDoc(), link.from), link && nodeAt(getDoc(), link.to)];
    if (!from || !to) return [];
    const [a, b] = [positionOf(from), positionOf(to)];
    return [{ kind: 'reroute' as const, link: id, pos: [(a[0] + b[0]) / 2 + 130, (a[1] + b[1]) / 2] as const }];
  });
  change({ kind: 'all', changes: places });
}

/** The points of the chosen links, each once. */
function points(): readonly Reroute[] {
  const doc = getDoc();
  const links = [...useView.getState().selectedLinks].flatMap((id) => linkAt(doc, id) ?? []);
  return [...new Map(links.flatMap((link) => pointsOf(doc, link)).map((each) => [each.id, each])).values()];
}

function nudgePoints(dx: number, dy: number): void {
  const changes = points().map(({ id, pos }) => ({
    kind: 'moveReroute' as const,
    id,
    pos: [pos[0] + dx, pos[1] + dy] as const,
  }));
  change(
    { kind: 'all', changes },
    `nudge points ${points()
      .map((each) => each.id)
      .join()}`,
  );
}

const isLocked = (): boolean => useView.getState().isLocked;
/** What the arrows do: move nodes, else the points of the chosen links, else the view. */
function arrow(dx: number, dy: number): void {
  if (some() && !isLocked()) nudge(dx, dy);
  else if (points().length > 0 && !isLocked()) nudgePoints(dx, dy);
  else canvas.panBy(-PAN * dx, -PAN * dy);
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
  announce(whereTo(to));
}

/** Where nodes were moved, in words. */
function whereTo(to: Readonly<Record<string, readonly [number, number]>>): string {
  const [first, ...more] = Object.entries(to);
  if (!first) return t('Pinned: it stays where it is.');
  const [key, [x, y]] = first;
  const node = nodeAt(getDoc(), key);
  const name = node ? titleOf(node, shapeOf(getDefinitions(), node).title) : key;
  const place = { name, x: Math.round(x), y: Math.round(y) };
  return more.length === 0
    ? t('{{name}} is at {{x}}, {{y}}.', place)
    : t('{{name}} is at {{x}}, {{y}}, and {{count}} more moved along.', { ...place, count: more.length });
}

const STEP = 10;
const PAN = 8; // times as far as a node moves
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
    title: `Move the selection ${name.toLowerCase()}; without one, the view`,
    keys: [`Arrow${name}`],
    when: always,
    perform: () => arrow(dx, dy),
  }));

function grow(dx: number, dy: number): void {
  const changes = nodes().map((node) => {
    const shape = shapeOf(getDefinitions(), node);
    const { width, height } = layoutNode(shape, node, shape.isOutput);
    const size = [Math.max(MIN_WIDTH, width + dx), height + dy] as const;
    return { kind: 'resize' as const, node: keyOf(node), pos: positionOf(node), size };
  });
  change({ kind: 'all', changes }, `grow ${chosen().join()}`);
}
const sizes = (): readonly Command[] =>
  (
    [
      ['wider', 'Right', 2 * STEP, 0],
      ['narrower', 'Left', -2 * STEP, 0],
      ['taller', 'Down', 0, 2 * STEP],
      ['flatter', 'Up', 0, -2 * STEP],
    ] as const
  ).map(([name, key, dx, dy]) => ({
    id: `edit.${name}`,
    title: `Make the selection ${name}`,
    keys: [`Alt+Arrow${key}`],
    when: some,
    perform: () => grow(dx, dy),
  }));

const ALL: readonly Command[] = [
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
    keys: ['Shift+A', 'Insert'],
    when: always,
    perform: () => openPalette({ kind: 'nodes', at: null, pending: null }),
  },
  {
    id: 'edit.connect',
    title: 'Connect…',
    keys: ['C'],
    when: one,
    perform: () => openPalette({ kind: 'connect', node: chosen()[0] ?? '', port: null }),
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
  {
    id: 'edit.delete',
    title: 'Delete',
    keys: ['Delete', 'Backspace'],
    when: someOrLinks,
    perform: remove,
    isOfGraph: true,
  },
  { id: 'edit.copy', title: 'Copy', keys: ['Mod+C'], when: some, perform: put, isShared: true, isOfGraph: true },
  {
    id: 'edit.cut',
    title: 'Cut',
    keys: ['Mod+X'],
    when: some,
    perform: () => {
      put();
      remove();
    },
    isShared: true,
    isOfGraph: true,
  },
  {
    id: 'edit.paste',
    title: 'Paste',
    keys: ['Mod+V'],
    when: always,
    perform: () => paste(false),
    isShared: true,
    onKeys: pasteSoon,
  },
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
  {
    id: 'edit.selectNone',
    title: 'Select nothing',
    keys: ['Escape'],
    when: someOrLinks,
    perform: () => useView.setState({ selected: new Set(), selectedLinks: new Set() }),
  },
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
  {
    id: 'edit.mask',
    title: 'Edit the mask of the picture…',
    keys: [],
    when: () => one() && nodes().some((each) => shapeOf(getDefinitions(), each).inputs.some(isUpload)),
    perform: () => openDialog({ kind: 'mask', node: chosen()[0] ?? '' }),
  },
  { id: 'edit.group', title: 'Group selection', keys: ['Mod+G'], when: some, perform: group },
  {
    id: 'edit.subgraph',
    title: 'Make a subgraph of the selection',
    keys: ['Mod+Shift+G'],
    when: () => movable().length > 0,
    perform: makeSubgraph,
  },
  { id: 'edit.unpack', title: 'Unpack the subgraph', keys: [], when: onSubgraph, perform: unpack },
  {
    id: 'edit.enter',
    title: 'Open the subgraph',
    keys: ['Shift+Enter'],
    when: onSubgraph,
    perform: () => {
      if (!enter(chosen()[0] ?? '')) say(t('This subgraph is open already.'));
      else useView.setState((state) => ({ selected: new Set(), fit: state.fit + 1 }));
    },
  },
  {
    id: 'edit.leave',
    title: 'Go back to the outer graph',
    keys: ['Shift+Escape'],
    when: () => useDocument.getState().outer.length > 0,
    perform: () => {
      leaveTo(useDocument.getState().outer.length - 1);
      useView.setState((state) => ({ selected: new Set(), fit: state.fit + 1 }));
    },
  },
  {
    id: 'edit.link',
    title: 'Choose a link…',
    keys: ['K'],
    when: () => getDoc().links.length > 0,
    perform: () => openPalette({ kind: 'links', nodes: chosen() }),
  },
  {
    id: 'edit.reroute',
    title: 'Add a point to the chosen link',
    keys: [],
    when: () => useView.getState().selectedLinks.size > 0,
    perform: addPoints,
  },
  {
    id: 'edit.straighten',
    title: 'Remove the points of the chosen link',
    keys: [],
    when: () => points().length > 0,
    perform: () => change({ kind: 'all', changes: points().map(({ id }) => ({ kind: 'removeReroute', id })) }),
  },
  ...alignments(),
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
  ...sizes(),
];

/** What a locked graph allows: it changes nothing, or moves the view where the selection may not be moved. */
const HARMLESS = /^edit\.(copy|selectAll|selectNone|enter|leave|link|move\w+)$/;
export const EDIT: readonly Command[] = ALL.map((each) =>
  HARMLESS.test(each.id) ? each : { ...each, when: () => !isLocked() && each.when() },
);
