/**
 * The geometry of a node, from its definition and state alone. The canvas, the minimap, the handles and the style sheet
 * take their numbers from here, so that edges end where sockets are drawn, also for nodes that are not on the screen.
 */

import type { InputDef, NodeDef } from './definitions';
import { hasControl, isUpload } from './definitions';
import { type DocNode, isCollapsed, type Point, sizeOf } from './document';

export const HEADER = 32;
export const ROW = 28;
export const PAD = 8;
export const TEXT_ROWS = 3;
export const MIN_WIDTH = 220;
export const PICTURE = 160;
/** Room for the words on a node of an unknown type. */
export const NOTE = 56;

export interface SocketRow {
  readonly kind: 'sockets';
  readonly y: number;
  readonly input: InputDef | null;
  readonly output: number | null;
}
export interface WidgetRow {
  readonly kind: 'widget' | 'control' | 'upload';
  readonly y: number;
  readonly height: number;
  readonly input: InputDef;
}
export interface Layout {
  readonly width: number;
  readonly height: number;
  readonly rows: readonly (SocketRow | WidgetRow)[];
  /** Where the picture area starts and how tall it is; 0 without one. */
  readonly picture: { readonly y: number; readonly height: number };
  /** The middle of each socket's height: inputs by name, outputs by place. */
  readonly inputs: ReadonlyMap<string, number>;
  readonly outputs: readonly number[];
}

const isText = (input: InputDef): boolean => input.widget === 'text' && input.options.multiline === true;

/** Lay a node out. `picture`: whether it shows pictures or text below its widgets. */
export function layoutNode(def: NodeDef, node: DocNode, picture: boolean): Layout {
  const [askedWidth, askedHeight] = sizeOf(node);
  const width = Math.max(MIN_WIDTH, Math.round(askedWidth));
  if (node.type === 'Reroute') return reroute(def);
  if (isCollapsed(node)) return collapsed(def, width);
  const sockets = def.inputs.filter((each) => each.widget === null);
  const widgets = def.inputs.filter((each) => each.widget !== null);
  const count = Math.max(sockets.length, def.outputs.length);
  const rows: (SocketRow | WidgetRow)[] = [];
  let y = HEADER + (count ? PAD / 2 : 0);
  for (let place = 0; place < count; place++, y += ROW - 4)
    rows.push({ kind: 'sockets', y, input: sockets[place] ?? null, output: place < def.outputs.length ? place : null });
  y += PAD / 2;
  const fixed = widgets.reduce((sum, each) => sum + rowsOf(each) * ROW, 0);
  const least = y + fixed + (picture ? PICTURE + PAD : 0) + PAD;
  const spare = Math.max(0, Math.round(askedHeight) - least);
  const texts = widgets.filter(isText).length;
  const share = !picture && texts ? Math.floor(spare / texts) : 0;
  for (const input of widgets) {
    const height = isText(input) ? TEXT_ROWS * ROW + share : ROW;
    rows.push({ kind: 'widget', y, height, input });
    y += height;
    if (hasControl(input)) {
      rows.push({ kind: 'control', y, height: ROW, input });
      y += ROW;
    }
    if (isUpload(input)) {
      rows.push({ kind: 'upload', y, height: ROW, input });
      y += ROW;
    }
  }
  const area = picture ? PICTURE + spare : 0;
  const noted = def.isUnknown ? y + NOTE : 0;
  const height = Math.max(y + (picture ? area + PAD : 0) + PAD, HEADER + PAD, noted);
  const inputs = new Map<string, number>();
  const outputs: number[] = [];
  for (const row of rows) {
    if (row.kind === 'sockets') {
      if (row.input) inputs.set(row.input.name, row.y + (ROW - 4) / 2);
      if (row.output !== null) outputs[row.output] = row.y + (ROW - 4) / 2;
    } else if (row.kind === 'widget') inputs.set(row.input.name, row.y + ROW / 2);
  }
  return { width, height, rows, picture: { y, height: area }, inputs, outputs };
}

const rowsOf = (input: InputDef): number =>
  (isText(input) ? TEXT_ROWS : 1) + (hasControl(input) ? 1 : 0) + (isUpload(input) ? 1 : 0);

/** All sockets on the header, so that links still end somewhere. */
function collapsed(def: NodeDef, width: number): Layout {
  const middle = HEADER / 2;
  return {
    width: Math.min(width, 240),
    height: HEADER,
    rows: [],
    picture: { y: 0, height: 0 },
    inputs: new Map(def.inputs.map((each) => [each.name, middle])),
    outputs: def.outputs.map(() => middle),
  };
}

function reroute(def: NodeDef): Layout {
  return {
    width: 56,
    height: 28,
    rows: [],
    picture: { y: 0, height: 0 },
    inputs: new Map(def.inputs.map((each) => [each.name, 14])),
    outputs: def.outputs.map(() => 14),
  };
}

/** Where a node of this size fits beside others: the first free place at or below `start`. */
export function freePlace(taken: readonly { pos: Point; size: Point }[], size: Point, start: Point): Point {
  let [x, y] = start;
  const hits = (): boolean =>
    taken.some(
      ({ pos, size: other }) =>
        x < pos[0] + other[0] + 20 &&
        pos[0] < x + size[0] + 20 &&
        y < pos[1] + other[1] + 20 &&
        pos[1] < y + size[1] + 20,
    );
  for (let tries = 0; tries < 200 && hits(); tries++) {
    y += 40;
    if (tries % 10 === 9) {
      x += 60;
      y = start[1];
    }
  }
  return [x, y];
}
