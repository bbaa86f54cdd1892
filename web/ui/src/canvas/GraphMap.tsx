/**
 * The map of the graph: a bitmap that is painted when the graph changes, and a frame over it that follows what is seen.
 * The library's own map has an element for each node.
 */

import { type ReactFlowState, useReactFlow, useStore } from '@xyflow/react';
import { type PointerEvent, useEffect, useMemo, useRef } from 'react';
import { type Definitions, shapeOf } from '../doc/definitions';
import { type Doc, positionOf } from '../doc/document';
import { boundsOf } from '../doc/groups';
import { useDefinitions, useDocument } from '../state/documents';
import { useSettings } from '../state/settings';
import { t } from '../words';
import { colourReader, layoutOf } from './FarView';
import { lookOf } from './types';

const WIDTH = 200;
const HEIGHT = 130;
const EDGE = 8;

interface Area {
  readonly x: number;
  readonly y: number;
  /** Pixels of the map for one of the graph. */
  readonly scale: number;
}

const middle = (state: ReactFlowState): string => `${state.transform.join()},${state.width},${state.height}`;

export function GraphMap() {
  const flow = useReactFlow();
  const doc = useDocument((state) => state.doc);
  const definitions = useDefinitions((state) => state.definitions);
  const theme = useSettings((state) => state.theme);
  const area = useMemo(() => areaOf(doc, definitions), [doc, definitions]);
  const canvas = useRef<HTMLCanvasElement>(null);
  // biome-ignore lint/correctness/useExhaustiveDependencies: other colours are other pixels
  useEffect(() => {
    const context = canvas.current?.getContext('2d');
    if (context) paint(context, doc, definitions, area);
  }, [doc, definitions, area, theme]);
  const aim = (event: PointerEvent<HTMLDivElement>): void => {
    if (event.buttons !== 1) return;
    const box = event.currentTarget.getBoundingClientRect();
    const x = area.x + (event.clientX - box.x) / area.scale;
    const y = area.y + (event.clientY - box.y) / area.scale;
    void flow.setCenter(x, y, { zoom: flow.getZoom() });
  };
  if (doc.nodes.length === 0) return null;
  return (
    <div
      className="map nopan nowheel"
      role="img"
      aria-label={t('Map of the graph')}
      style={{ width: WIDTH, height: HEIGHT }}
      onPointerDown={(event) => {
        event.currentTarget.setPointerCapture(event.pointerId);
        aim(event);
      }}
      onPointerMove={aim}
      onWheel={(event) => void flow.zoomTo(flow.getZoom() * 1.1 ** -Math.sign(event.deltaY))}
    >
      <canvas
        ref={canvas}
        width={WIDTH * devicePixelRatio}
        height={HEIGHT * devicePixelRatio}
        style={{ width: WIDTH, height: HEIGHT }}
      />
      <Seen area={area} />
    </div>
  );
}

/** The part of the graph that is on the screen. */
function Seen({ area: { x, y, scale } }: { readonly area: Area }) {
  const [left = 0, top = 0, zoom = 1, width = 0, height = 0] = useStore(middle).split(',').map(Number);
  return (
    <span
      className="map-seen"
      style={{
        transform: `translate(${(-left / zoom - x) * scale}px, ${(-top / zoom - y) * scale}px)`,
        width: (width / zoom) * scale,
        height: (height / zoom) * scale,
      }}
    />
  );
}

/** Where the map's top left corner is in the graph, and how small all is. */
function areaOf(doc: Doc, definitions: Definitions): Area {
  const far = Number.POSITIVE_INFINITY;
  let [left, top, right, bottom] = [far, far, -far, -far];
  for (const node of doc.nodes) {
    const [x, y] = positionOf(node);
    const { width, height } = layoutOf(definitions, node);
    left = Math.min(left, x);
    top = Math.min(top, y);
    right = Math.max(right, x + width);
    bottom = Math.max(bottom, y + height);
  }
  if (doc.nodes.length === 0) return { x: 0, y: 0, scale: 1 };
  const scale = Math.min((WIDTH - 2 * EDGE) / (right - left), (HEIGHT - 2 * EDGE) / (bottom - top), 0.15);
  return {
    x: (left + right) / 2 - WIDTH / 2 / scale,
    y: (top + bottom) / 2 - HEIGHT / 2 / scale,
    scale,
  };
}

function paint(context: CanvasRenderingContext2D, doc: Doc, definitions: Definitions, { x, y, scale }: Area): void {
  const colour = colourReader();
  const pixels = scale * devicePixelRatio;
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.clearRect(0, 0, context.canvas.width, context.canvas.height);
  context.setTransform(pixels, 0, 0, pixels, -x * pixels, -y * pixels);
  context.strokeStyle = colour('--line');
  context.lineWidth = 1 / scale;
  for (const group of doc.groups) context.strokeRect(...boundsOf(group));
  for (const node of doc.nodes) {
    const [left, top] = positionOf(node);
    const { width, height } = layoutOf(definitions, node);
    const output = shapeOf(definitions, node).outputs[0];
    context.fillStyle = colour(output ? lookOf(output.type)[0] : '--faint');
    context.globalAlpha = 0.75;
    context.fillRect(left, top, Math.max(width, 1 / scale), Math.max(height, 1 / scale));
  }
  context.globalAlpha = 1;
}
