/** A link on the canvas: in the chosen style, and through its points, which can be dragged. */

import {
  BaseEdge,
  type EdgeProps,
  getBezierPath,
  getSmoothStepPath,
  getStraightPath,
  useReactFlow,
} from '@xyflow/react';
import { memo, type PointerEvent, useState } from 'react';
import { linkAt, type Point } from '../doc/document';
import { pointsOf, type Reroute } from '../doc/reroutes';
import { change, getDoc, useDocument } from '../state/documents';
import { type LinkStyle, useSettings } from '../state/settings';
import { useView } from '../state/view';

type Ends = Pick<EdgeProps, 'sourceX' | 'sourceY' | 'targetX' | 'targetY' | 'sourcePosition' | 'targetPosition'>;
const PATHS: Readonly<Record<LinkStyle, (ends: Ends) => string>> = {
  curved: (ends) => getBezierPath(ends)[0],
  hidden: (ends) => getBezierPath(ends)[0],
  straight: (ends) => getStraightPath(ends)[0],
  stepped: (ends) => getSmoothStepPath(ends)[0],
};
const NO_POINTS: readonly Reroute[] = [];

export const LinkView = memo(function LinkView(props: EdgeProps) {
  const { id, selected, source, target, style, interactionWidth, sourcePosition, targetPosition } = props;
  const linkStyle = useSettings((state) => state.linkStyle);
  const root = useDocument((state) => state.doc.root);
  const isNear = useView((state) => state.selected.has(source) || state.selected.has(target));
  const [live, setLive] = useState<{ readonly id: number; readonly at: Point } | null>(null);
  const link = linkAt(getDoc(), Number(id));
  const points = link && root ? pointsOf(getDoc(), link) : NO_POINTS;
  if (linkStyle === 'hidden' && !selected && !isNear) return null;
  const places = points.map((each) => (live?.id === each.id ? live.at : each.pos));
  const stops: Point[] = [[props.sourceX, props.sourceY], ...places, [props.targetX, props.targetY]];
  const path = stops
    .slice(1)
    .map(([targetX, targetY], at) => {
      const [sourceX, sourceY] = stops[at] ?? [0, 0];
      return PATHS[linkStyle]({ sourceX, sourceY, targetX, targetY, sourcePosition, targetPosition });
    })
    .join(' ');
  return (
    <>
      <BaseEdge id={id} path={path} style={style} interactionWidth={interactionWidth} />
      {points.map((each, at) => (
        <Dot key={each.id} point={each} at={places[at] ?? each.pos} hue={style?.stroke} live={setLive} />
      ))}
    </>
  );
});

interface DotProps {
  readonly point: Reroute;
  readonly at: Point;
  readonly hue: string | undefined;
  readonly live: (where: { readonly id: number; readonly at: Point } | null) => void;
}

function Dot({ point, at, hue, live }: DotProps) {
  const flow = useReactFlow();
  const place = (event: PointerEvent): Point => {
    const { x, y } = flow.screenToFlowPosition({ x: event.clientX, y: event.clientY });
    return [Math.round(x), Math.round(y)];
  };
  const start = (event: PointerEvent<SVGCircleElement>): void => {
    event.stopPropagation();
    event.currentTarget.setPointerCapture(event.pointerId);
  };
  const move = (event: PointerEvent<SVGCircleElement>): void => {
    if (event.currentTarget.hasPointerCapture(event.pointerId)) live({ id: point.id, at: place(event) });
  };
  const end = (event: PointerEvent<SVGCircleElement>): void => {
    const pos = place(event);
    live(null);
    if (pos[0] !== point.pos[0] || pos[1] !== point.pos[1]) change({ kind: 'moveReroute', id: point.id, pos });
  };
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: the link is chosen by a command, and then its points are moved by the arrows and removed by another
    <circle
      className="reroute nopan nodrag"
      data-reroute={point.id}
      cx={at[0]}
      cy={at[1]}
      r={7}
      fill={hue}
      onPointerDown={start}
      onPointerMove={move}
      onPointerUp={end}
      onDoubleClick={(event) => {
        event.stopPropagation();
        change({ kind: 'removeReroute', id: point.id });
      }}
    />
  );
}
