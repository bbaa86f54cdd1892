/**
 * The graph from far away: boxes, titles and links on one bitmap, because thousands of elements would be slow to draw.
 * The library's wrappers stay where they are, empty, so that nodes can be chosen, dragged and read out.
 */

import { type ReactFlowState, useStore } from '@xyflow/react';
import { createContext, useEffect, useRef } from 'react';
import { type Definitions, shapeOf } from '../doc/definitions';
import { type Doc, type DocNode, keyOf, modeOf, positionOf, titleOf } from '../doc/document';
import { type Layout, layoutNode } from '../doc/layout';
import { prefixOf, useDefinitions, useDocument } from '../state/documents';
import { type NodeRun, useRuns } from '../state/runs';
import { useSettings } from '../state/settings';
import { useTabs } from '../state/tabs';
import { useView } from '../state/view';
import { lookOf } from './types';

/** Below this zoom nothing inside a node can be read; below the other not even its title. */
export const FAR = 0.32;
const NO_TITLES = 0.13;
export const isFarOut = (state: ReactFlowState): boolean => state.transform[2] < FAR;

const NEAR = 0.75;
/** Whether nodes are about as large as they are written down: few are on the screen then. */
export const isCloseUp = (state: ReactFlowState): boolean => state.transform[2] >= NEAR;
/** Whether all is seen from far away; told once, not by each node for itself. */
export const Far = createContext(false);

export function FarView() {
  const [x, y, zoom] = useStore((state) => state.transform);
  const width = useStore((state) => state.width);
  const height = useStore((state) => state.height);
  const doc = useDocument((state) => state.doc);
  const prefix = useDocument((state) => prefixOf(state.outer));
  const definitions = useDefinitions((state) => state.definitions);
  const selected = useView((state) => state.selected);
  const theme = useSettings((state) => state.theme);
  const tab = useTabs((state) => state.active);
  const runs = useRuns((state) => state.nodes[tab]);
  const canvas = useRef<HTMLCanvasElement>(null);
  // biome-ignore lint/correctness/useExhaustiveDependencies: other colours are other pixels
  useEffect(() => {
    const context = canvas.current?.getContext('2d');
    if (!context) return;
    const scale = devicePixelRatio;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, width * scale, height * scale);
    context.setTransform(zoom * scale, 0, 0, zoom * scale, x * scale, y * scale);
    const seen = { left: -x / zoom, top: -y / zoom, right: (width - x) / zoom, bottom: (height - y) / zoom };
    const runOf = (node: DocNode): NodeRun | undefined => runs?.[prefix + keyOf(node)];
    paint(context, { doc, definitions, selected, zoom, seen, runOf });
  }, [x, y, zoom, width, height, doc, definitions, selected, theme, runs, prefix]);
  return (
    <div className="far-view" aria-hidden="true">
      <canvas
        ref={canvas}
        width={width * devicePixelRatio}
        height={height * devicePixelRatio}
        style={{ width, height }}
      />
    </div>
  );
}

const layouts = new WeakMap<DocNode, { readonly definitions: Definitions; readonly layout: Layout }>();
/** The size of a node, kept for as long as the node is the same. */
export function layoutOf(definitions: Definitions, node: DocNode): Layout {
  const known = layouts.get(node);
  if (known?.definitions === definitions) return known.layout;
  const shape = shapeOf(definitions, node);
  const layout = layoutNode(shape, node, shape.isOutput);
  layouts.set(node, { definitions, layout });
  return layout;
}

/** Reads colours of the style sheet, each once. */
export function colourReader(): (name: string) => string {
  const style = getComputedStyle(document.documentElement);
  const colours = new Map<string, string>();
  return (name) => {
    const known = colours.get(name);
    if (known) return known;
    const made = style.getPropertyValue(name.replace(/^var\((.*)\)$/, '$1')).trim() || '#888';
    colours.set(name, made);
    return made;
  };
}

interface Scene {
  readonly doc: Doc;
  readonly definitions: Definitions;
  readonly selected: ReadonlySet<string>;
  readonly zoom: number;
  /** The part of the graph that is on the screen. */
  readonly seen: { readonly left: number; readonly top: number; readonly right: number; readonly bottom: number };
  readonly runOf: (node: DocNode) => NodeRun | undefined;
}

const STATES: Readonly<Record<string, string>> = {
  running: '--accent',
  error: '--bad',
  finished: '--done',
  cached: '--done',
};
const TITLE_PIXELS = 11;

function paint(context: CanvasRenderingContext2D, { doc, definitions, selected, zoom, seen, runOf }: Scene): void {
  const colour = colourReader();
  const places = new Map(
    doc.nodes.map((node) => [keyOf(node), [positionOf(node), layoutOf(definitions, node)] as const]),
  );
  context.lineWidth = 1.4 / zoom;
  const lines = new Map<string, Path2D>(); // one path a colour: a stroke costs more than a line
  for (const link of doc.links) {
    const [source, target] = [places.get(link.from), places.get(link.to)];
    if (!source || !target) continue;
    const [x1, y1] = [source[0][0] + source[1].width, source[0][1] + (source[1].outputs[link.output] ?? 16)];
    const [x2, y2] = [target[0][0], target[0][1] + (target[1].inputs.get(link.input) ?? 16)];
    if (Math.max(x1, x2) < seen.left || Math.min(x1, x2) > seen.right) continue;
    if (Math.max(y1, y2) < seen.top || Math.min(y1, y2) > seen.bottom) continue;
    const hue = colour(lookOf(String(link.type ?? '*'))[0]);
    const path = lines.get(hue) ?? new Path2D();
    lines.set(hue, path);
    path.moveTo(x1, y1);
    path.lineTo(x2, y2);
  }
  for (const [hue, path] of lines) {
    context.strokeStyle = hue;
    context.stroke(path);
  }
  context.font = `600 ${TITLE_PIXELS / zoom}px system-ui, sans-serif`;
  context.textAlign = 'center';
  context.textBaseline = 'middle';
  for (const node of doc.nodes) {
    const place = places.get(keyOf(node));
    if (!place) continue;
    const [[x, y], { width, height }] = place;
    if (x > seen.right || y > seen.bottom || x + width < seen.left || y + height < seen.top) continue;
    const state = runOf(node)?.state;
    const edge = selected.has(keyOf(node)) ? '--accent' : (STATES[state ?? ''] ?? '--line');
    context.globalAlpha = modeOf(node) === 0 ? 1 : 0.45;
    context.fillStyle = colour('--raised');
    context.fillRect(x, y, width, height);
    context.strokeStyle = colour(definitions.has(node.type) ? edge : '--warn');
    context.strokeRect(x, y, width, height);
    if (zoom >= NO_TITLES) {
      context.fillStyle = colour('--text');
      const shown = fitted(titleOf(node, definitions.get(node.type)?.title ?? node.type), width * zoom);
      context.fillText(shown, x + width / 2, y + height / 2);
    }
  }
  context.globalAlpha = 1;
}

const LETTER = 7.4; // pixels, on average
/** A title cut to the pixels there are. */
function fitted(title: string, pixels: number): string {
  const most = Math.floor(pixels / LETTER);
  return title.length <= most ? title : `${title.slice(0, Math.max(1, most - 1))}…`;
}
