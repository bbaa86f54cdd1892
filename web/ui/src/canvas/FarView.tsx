/** The graph from far away: boxes and links on one bitmap, because thousands of elements would be slow to draw. */

import { type ReactFlowState, useStore } from '@xyflow/react';
import { useEffect, useRef } from 'react';
import { type Definitions, shapeOf } from '../doc/definitions';
import { type Doc, keyOf, positionOf } from '../doc/document';
import { type Layout, layoutNode } from '../doc/layout';
import { useDefinitions, useDocument } from '../state/documents';
import { useSettings } from '../state/settings';
import { useView } from '../state/view';
import { lookOf } from './types';

/** Below this zoom nothing inside a node can be read; below the other not even its title. */
const FAR = 0.32;
const VERY_FAR = 0.14;
export const isFarOut = (state: ReactFlowState): boolean => state.transform[2] < FAR;
export const isVeryFarOut = (state: ReactFlowState): boolean => state.transform[2] < VERY_FAR;

const transformOf = (state: ReactFlowState): string => (isVeryFarOut(state) ? state.transform.join() : '');

export function FarView() {
  const transform = useStore(transformOf);
  const width = useStore((state) => state.width);
  const height = useStore((state) => state.height);
  const doc = useDocument((state) => state.doc);
  const definitions = useDefinitions((state) => state.definitions);
  const selected = useView((state) => state.selected);
  const theme = useSettings((state) => state.theme);
  const canvas = useRef<HTMLCanvasElement>(null);
  // biome-ignore lint/correctness/useExhaustiveDependencies: other colours are other pixels
  useEffect(() => {
    const context = canvas.current?.getContext('2d');
    if (!context || !transform) return;
    const [x = 0, y = 0, zoom = 1] = transform.split(',').map(Number);
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, width, height);
    context.setTransform(zoom, 0, 0, zoom, x, y);
    paint(context, doc, definitions, selected, zoom);
  }, [transform, width, height, doc, definitions, selected, theme]);
  if (!transform) return null;
  return (
    <div className="far-view" aria-hidden="true">
      <canvas ref={canvas} width={width} height={height} />
    </div>
  );
}

const layouts = new WeakMap<object, Layout>();
function layoutOf(definitions: Definitions, node: Doc['nodes'][number]): Layout {
  const shape = shapeOf(definitions, node);
  const known = layouts.get(node);
  if (known) return known;
  const made = layoutNode(shape, node, shape.isOutput);
  layouts.set(node, made);
  return made;
}

function paint(
  context: CanvasRenderingContext2D,
  doc: Doc,
  definitions: Definitions,
  selected: ReadonlySet<string>,
  zoom: number,
): void {
  const style = getComputedStyle(document.documentElement);
  const colours = new Map<string, string>();
  const colour = (name: string): string => {
    const known = colours.get(name);
    if (known) return known;
    const made = style.getPropertyValue(name.replace(/^var\((.*)\)$/, '$1')).trim() || '#888';
    colours.set(name, made);
    return made;
  };
  const places = new Map(
    doc.nodes.map((node) => [keyOf(node), [positionOf(node), layoutOf(definitions, node)] as const]),
  );
  context.lineWidth = 1.2 / zoom;
  const lines = new Map<string, Path2D>(); // one path a colour: a stroke costs more than a line
  for (const link of doc.links) {
    const [source, target] = [places.get(link.from), places.get(link.to)];
    if (!source || !target) continue;
    const hue = colour(lookOf(String(link.type ?? '*'))[0]);
    const path = lines.get(hue) ?? new Path2D();
    lines.set(hue, path);
    path.moveTo(source[0][0] + source[1].width, source[0][1] + (source[1].outputs[link.output] ?? 16));
    path.lineTo(target[0][0], target[0][1] + (target[1].inputs.get(link.input) ?? 16));
  }
  for (const [hue, path] of lines) {
    context.strokeStyle = hue;
    context.stroke(path);
  }
  for (const node of doc.nodes) {
    const [[x, y], { width, height }] = places.get(keyOf(node)) ?? [[0, 0], { width: 0, height: 0 }];
    context.fillStyle = colour('--raised');
    context.fillRect(x, y, width, height);
    context.strokeStyle = colour(selected.has(keyOf(node)) ? '--accent' : '--faint');
    context.strokeRect(x, y, width, height);
  }
}
