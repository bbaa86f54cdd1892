/** What the rest of the editor may ask of the canvas: where the middle of the screen is in the graph. */

import type { Point } from '../doc/document';

let centre: () => Point = () => [0, 0];
export const setCentre = (ask: () => Point): void => {
  centre = ask;
};
export const viewCentre = (): Point => centre();
