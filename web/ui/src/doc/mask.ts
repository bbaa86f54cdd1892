/** Masks: how strongly each pixel is chosen, and what brushes do to them. Functions change the mask they are given. */

export interface Mask {
  readonly width: number;
  readonly height: number;
  /** 0 (not chosen) to 255, row by row. */
  readonly strength: Uint8Array;
}

/** A part of a mask: left, top, right, bottom, the last two not included. */
export type Area = readonly [number, number, number, number];

export const emptyMask = (width: number, height: number): Mask => ({
  width,
  height,
  strength: new Uint8Array(width * height),
});
export const wholeOf = ({ width, height }: Mask): Area => [0, 0, width, height];

export interface Brush {
  /** Pixels. */
  readonly radius: number;
  /** 1 is a hard edge, 0 fades from the middle. */
  readonly hardness: number;
  readonly erases: boolean;
}

/** One touch of a brush; touching twice does not choose more strongly. Gives what was changed. */
export function stamp(mask: Mask, x: number, y: number, { radius, hardness, erases }: Brush): Area {
  const area: Area = [
    Math.max(0, Math.floor(x - radius)),
    Math.max(0, Math.floor(y - radius)),
    Math.min(mask.width, Math.ceil(x + radius) + 1),
    Math.min(mask.height, Math.ceil(y + radius) + 1),
  ];
  const core = radius * Math.min(1, Math.max(0, hardness));
  const edge = Math.max(1, radius - core); // a pixel wide at least, so that hard edges are smooth
  for (let row = area[1]; row < area[3]; row++)
    for (let column = area[0]; column < area[2]; column++) {
      const far = Math.hypot(column + 0.5 - x, row + 0.5 - y);
      const cover = Math.round(255 * Math.min(1, Math.max(0, (core + edge - far) / edge)));
      const place = row * mask.width + column;
      const before = mask.strength[place] ?? 0;
      mask.strength[place] = erases ? Math.min(before, 255 - cover) : Math.max(before, cover);
    }
  return area;
}

/** Touches from one point to another, close enough to be a line. Gives what was changed. */
export function stroke(mask: Mask, from: readonly [number, number], to: readonly [number, number], brush: Brush): Area {
  const length = Math.hypot(to[0] - from[0], to[1] - from[1]);
  const steps = Math.max(1, Math.ceil(length / Math.max(1, brush.radius / 4)));
  let area: Area = [mask.width, mask.height, 0, 0];
  for (let step = 0; step <= steps; step++) {
    const part = step / steps;
    const touched = stamp(mask, from[0] + (to[0] - from[0]) * part, from[1] + (to[1] - from[1]) * part, brush);
    area = [
      Math.min(area[0], touched[0]),
      Math.min(area[1], touched[1]),
      Math.max(area[2], touched[2]),
      Math.max(area[3], touched[3]),
    ];
  }
  return area;
}

const HALF = 128;
/** Choose the region around a point up to what is chosen already; from a chosen point, free the region. */
export function fill(mask: Mask, x: number, y: number): Area {
  const { width, height, strength } = mask;
  const start = Math.floor(y) * width + Math.floor(x);
  if (x < 0 || y < 0 || x >= width || y >= height) return [0, 0, 0, 0];
  const isChosen = (strength[start] ?? 0) >= HALF;
  const value = isChosen ? 0 : 255;
  const open = [start];
  while (open.length > 0) {
    const place = open.pop() ?? 0;
    const now = strength[place] ?? 0;
    if (now >= HALF !== isChosen || now === value) continue;
    strength[place] = value;
    const column = place % width;
    if (column > 0) open.push(place - 1);
    if (column < width - 1) open.push(place + 1);
    if (place >= width) open.push(place - width);
    if (place < width * (height - 1)) open.push(place + width);
  }
  return wholeOf(mask);
}

export function invert(mask: Mask): Area {
  for (let place = 0; place < mask.strength.length; place++) mask.strength[place] = 255 - (mask.strength[place] ?? 0);
  return wholeOf(mask);
}

/** Files hold a mask as transparency: what is chosen is see-through. `pixels`: RGBA. */
export function readAlpha(mask: Mask, pixels: Uint8ClampedArray): void {
  for (let place = 0; place < mask.strength.length; place++)
    mask.strength[place] = 255 - (pixels[place * 4 + 3] ?? 255);
}
/** White pixels with the mask as transparency, RGBA. */
export function writeAlpha(mask: Mask): Uint8ClampedArray<ArrayBuffer> {
  const pixels = new Uint8ClampedArray(mask.strength.length * 4).fill(255);
  for (let place = 0; place < mask.strength.length; place++) pixels[place * 4 + 3] = 255 - (mask.strength[place] ?? 0);
  return pixels;
}

const MAX_BYTES = 64 * 2 ** 20;
/** Earlier states of a mask: as many as fit into 64 MiB, two at least. */
export class MaskHistory {
  private past: Uint8Array[] = [];
  private future: Uint8Array[] = [];

  /** Keep the mask as it is, before it is changed. */
  keep(mask: Mask): void {
    this.past.push(mask.strength.slice());
    this.past = this.past.slice(-Math.max(2, Math.floor(MAX_BYTES / mask.strength.length)));
    this.future = [];
  }
  undo(mask: Mask): boolean {
    return swap(this.past, this.future, mask);
  }
  redo(mask: Mask): boolean {
    return swap(this.future, this.past, mask);
  }
}

function swap(from: Uint8Array[], to: Uint8Array[], mask: Mask): boolean {
  const state = from.pop();
  if (!state) return false;
  to.push(mask.strength.slice());
  mask.strength.set(state);
  return true;
}
