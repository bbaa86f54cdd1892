import { expect, test } from 'vitest';
import { emptyMask, fill, invert, MaskHistory, readAlpha, stamp, stroke, writeAlpha } from '../src/doc/mask';

const at = (mask: ReturnType<typeof emptyMask>, x: number, y: number): number =>
  mask.strength[y * mask.width + x] ?? -1;

test('a hard brush chooses a disc and nothing beyond it', () => {
  const mask = emptyMask(40, 30);
  expect(stamp(mask, 20, 15, { radius: 5, hardness: 1, erases: false })).toEqual([15, 10, 26, 21]);
  expect([at(mask, 20, 15), at(mask, 23, 15), at(mask, 27, 15), at(mask, 20, 22)]).toEqual([255, 255, 0, 0]);
});

test('a soft brush fades, and touching twice is touching once', () => {
  const mask = emptyMask(40, 40);
  const brush = { radius: 10, hardness: 0, erases: false };
  stamp(mask, 20, 20, brush);
  const once = mask.strength.slice();
  expect(at(mask, 20, 20)).toBeGreaterThan(at(mask, 25, 20));
  expect(at(mask, 25, 20)).toBeGreaterThan(at(mask, 28, 20));
  stamp(mask, 20, 20, brush);
  expect(mask.strength).toEqual(once);
});

test('a stroke has no gaps, also when the pointer jumps, and the eraser takes it away', () => {
  const mask = emptyMask(200, 20);
  stroke(mask, [5, 10], [195, 10], { radius: 3, hardness: 1, erases: false });
  for (let x = 6; x < 194; x++) expect(at(mask, x, 10)).toBe(255);
  stroke(mask, [5, 10], [195, 10], { radius: 6, hardness: 1, erases: true });
  expect(Math.max(...mask.strength)).toBe(0);
});

test('fill stops at what is chosen, and from there frees it', () => {
  const mask = emptyMask(9, 9);
  for (let y = 0; y < 9; y++) mask.strength[y * 9 + 4] = 255;
  fill(mask, 1, 1);
  expect([at(mask, 0, 8), at(mask, 3, 4), at(mask, 5, 4)]).toEqual([255, 255, 0]);
  fill(mask, 1, 1);
  expect(Math.max(...mask.strength)).toBe(0);
});

test('a mask goes through transparency and back, and inverting twice changes nothing', () => {
  const mask = emptyMask(16, 16);
  stamp(mask, 7, 8, { radius: 6, hardness: 0.3, erases: false });
  const before = mask.strength.slice();
  const back = emptyMask(16, 16);
  readAlpha(back, writeAlpha(mask));
  expect(back.strength).toEqual(before);
  invert(mask);
  expect(mask.strength).not.toEqual(before);
  invert(mask);
  expect(mask.strength).toEqual(before);
});

test('strokes are taken back and done again', () => {
  const [mask, history] = [emptyMask(20, 20), new MaskHistory()];
  const states = [mask.strength.slice()];
  for (const x of [3, 9, 15]) {
    history.keep(mask);
    stamp(mask, x, 10, { radius: 3, hardness: 1, erases: false });
    states.push(mask.strength.slice());
  }
  for (const wanted of states.slice(0, 3).reverse()) {
    expect(history.undo(mask)).toBe(true);
    expect(mask.strength).toEqual(wanted);
  }
  expect(history.undo(mask)).toBe(false);
  for (const wanted of states.slice(1)) {
    expect(history.redo(mask)).toBe(true);
    expect(mask.strength).toEqual(wanted);
  }
});
