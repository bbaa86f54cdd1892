/** A workflow in the small: its nodes and links, from the same geometry as the canvas. */

import { useMemo } from 'react';
import { lookOf } from '../canvas/types';
import { arrangeApi } from '../doc/arrange';
import { type Definitions, shapeOf } from '../doc/definitions';
import { type Doc, isApiForm, keyOf, positionOf, readFile } from '../doc/document';
import { parseJson } from '../doc/json';
import { layoutNode } from '../doc/layout';
import { useDefinitions } from '../state/documents';

interface Box {
  readonly key: string;
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
  readonly hue: string;
}
interface Line {
  readonly key: number;
  readonly path: string;
  readonly hue: string;
}

export function GraphThumb({ text }: { readonly text: string }) {
  const definitions = useDefinitions((state) => state.definitions);
  const drawn = useMemo(() => draw(text, definitions), [text, definitions]);
  if (!drawn) return <span className="graph-thumb" />;
  return (
    <svg className="graph-thumb" viewBox={drawn.view} aria-hidden="true" preserveAspectRatio="xMidYMid meet">
      {drawn.lines.map((each) => (
        <path key={each.key} d={each.path} fill="none" stroke={each.hue} strokeWidth={8} opacity={0.8} />
      ))}
      {drawn.boxes.map((each) => (
        <g key={each.key}>
          <rect x={each.x} y={each.y} width={each.width} height={each.height} rx={14} className="thumb-node" />
          <rect x={each.x} y={each.y} width={each.width} height={40} rx={14} fill={each.hue} opacity={0.75} />
        </g>
      ))}
    </svg>
  );
}

function draw(
  text: string,
  definitions: Definitions,
): { readonly view: string; readonly boxes: readonly Box[]; readonly lines: readonly Line[] } | null {
  let doc: Doc;
  try {
    const file = parseJson(text);
    doc = isApiForm(file) ? arrangeApi(file, definitions) : readFile(file);
  } catch {
    return null; // opening it says what is wrong
  }
  if (doc.nodes.length === 0) return null;
  const layouts = new Map(
    doc.nodes.map((node) => {
      const shape = shapeOf(definitions, node);
      const [x, y] = positionOf(node);
      return [keyOf(node), { ...layoutNode(shape, node, shape.isOutput), x, y, shape }];
    }),
  );
  const boxes = [...layouts].map(([key, { x, y, width, height, shape }]): Box => {
    const output = shape.outputs[0];
    return { key, x, y, width, height, hue: output ? lookOf(output.type)[0] : 'var(--faint)' };
  });
  const lines = doc.links.flatMap((link): Line[] => {
    const [source, target] = [layouts.get(link.from), layouts.get(link.to)];
    if (!source || !target) return [];
    const [x1, y1] = [source.x + source.width, source.y + (source.outputs[link.output] ?? 16)];
    const [x2, y2] = [target.x, target.y + (target.inputs.get(link.input) ?? 16)];
    const bend = Math.max(40, Math.abs(x2 - x1) / 2);
    const path = `M${x1},${y1}C${x1 + bend},${y1} ${x2 - bend},${y2} ${x2},${y2}`;
    return [{ key: link.id, path, hue: lookOf(String(link.type ?? '*'))[0] }];
  });
  const left = Math.min(...boxes.map((each) => each.x)) - 30;
  const top = Math.min(...boxes.map((each) => each.y)) - 30;
  const right = Math.max(...boxes.map((each) => each.x + each.width)) + 30;
  const bottom = Math.max(...boxes.map((each) => each.y + each.height)) + 30;
  return { view: `${left} ${top} ${right - left} ${bottom - top}`, boxes, lines };
}
