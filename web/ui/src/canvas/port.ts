/** What the rest of the editor may ask of the canvas, in the graph's own coordinates. */

import type { Point } from '../doc/document';

export interface Port {
  /** The middle of the screen, where a new node goes. */
  readonly centre: () => Point;
  /** Closer (above 1) or farther away. */
  readonly zoomBy: (factor: number) => void;
  readonly zoomTo: (zoom: number) => void;
  /** Move what is seen by pixels of the screen. */
  readonly panBy: (dx: number, dy: number) => void;
  /** Show these nodes, as large as they fit. */
  readonly show: (nodes: readonly string[]) => void;
}

const nothing = (): void => undefined;
const NONE: Port = { centre: () => [0, 0], zoomBy: nothing, zoomTo: nothing, panBy: nothing, show: nothing };

let port: Port = NONE;
/** Give the rest of the editor a canvas; the answer takes it away again. */
export function setPort(made: Port): () => void {
  port = made;
  return () => {
    if (port === made) port = NONE;
  };
}
export const canvas: Port = {
  centre: () => port.centre(),
  zoomBy: (factor) => port.zoomBy(factor),
  zoomTo: (zoom) => port.zoomTo(zoom),
  panBy: (dx, dy) => port.panBy(dx, dy),
  show: (nodes) => port.show(nodes),
};
export const viewCentre = (): Point => port.centre();
