/** From the document to what the canvas library draws. What did not change is the same object as before. */

import { type Edge, type Node, Position } from '@xyflow/react';
import { useMemo, useRef } from 'react';
import { type Definitions, shapeOf } from '../doc/definitions';
import { type DocNode, isPinned, keyOf, nodeAt, type Point, positionOf } from '../doc/document';
import { boundsOf } from '../doc/groups';
import type { JsonObject } from '../doc/json';
import { type Layout, layoutNode } from '../doc/layout';
import { prefixOf, useDefinitions, useDocument } from '../state/documents';
import { type NodeRun, useRuns } from '../state/runs';
import { useTabs } from '../state/tabs';
import { useView } from '../state/view';
import { GROUP, type Live } from './GroupView';
import { ariaLabelOf, showsPicture } from './NodeView';
import { lookOf } from './types';

const SOCKET = 14;
const NO_RUN: NodeRun = {};

interface Drawn {
  readonly node: DocNode;
  readonly run: NodeRun;
  readonly selected: boolean;
  readonly at: Point;
  readonly definitions: Definitions;
  readonly made: Node;
}

/** The nodes, with what is being dragged at `live`. */
export function useNodes(live: Live | null): Node[] {
  const doc = useDocument((state) => state.doc);
  const definitions = useDefinitions((state) => state.definitions);
  const selected = useView((state) => state.selected);
  const tab = useTabs((state) => state.active);
  const runs = useRuns((state) => state.nodes[tab]);
  const prefix = useDocument((state) => prefixOf(state.outer));
  const cache = useRef(new Map<string, Drawn>());
  return useMemo(() => {
    const next = new Map<string, Drawn>();
    for (const node of doc.nodes) {
      const key = keyOf(node);
      const run = runs?.[prefix + key] ?? NO_RUN;
      const at = live?.[key] ?? positionOf(node);
      const isSelected = selected.has(key);
      const old = cache.current.get(key);
      const isSame =
        old &&
        old.node === node &&
        isAlike(old.run, run) &&
        old.selected === isSelected &&
        old.definitions === definitions &&
        old.at[0] === at[0] &&
        old.at[1] === at[1];
      next.set(
        key,
        isSame
          ? old
          : { node, run, selected: isSelected, at, definitions, made: draw(node, run, isSelected, at, definitions) },
      );
    }
    cache.current = next;
    return [
      ...doc.groups.map((group, place) => drawGroup(group, place, live)),
      ...[...next.values()].map((each) => each.made),
    ];
  }, [doc.nodes, doc.groups, definitions, selected, runs, live, prefix]);
}

/** Whether two states of a run are drawn with the same frame; the inside draws itself. */
const isAlike = (a: NodeRun, b: NodeRun): boolean =>
  a === b || (a.state === b.state && !a.preview === !b.preview && !a.images === !b.images && !a.texts === !b.texts);

function draw(node: DocNode, run: NodeRun, selected: boolean, at: Point, definitions: Definitions): Node {
  const shape = shapeOf(definitions, node);
  const layout = layoutNode(shape, node, showsPicture(shape, run));
  return {
    id: keyOf(node),
    type: 'easel',
    position: { x: at[0], y: at[1] },
    data: {},
    selected,
    width: layout.width,
    height: layout.height,
    ...(isPinned(node) ? { draggable: false } : {}), // else as the canvas has it
    handles: handlesOf(layout),
    ariaLabel: ariaLabelOf(node, shape, run),
    ...(node.type === 'Reroute' ? {} : { dragHandle: '.node-header, .sockets-row, .row-label' }),
  };
}

const handlesOf = (layout: Layout): NonNullable<Node['handles']> => [
  ...[...layout.inputs].map(([name, y]) => ({
    id: `in:${name}`,
    type: 'target' as const,
    position: Position.Left,
    x: -SOCKET / 2,
    y: y - SOCKET / 2,
    width: SOCKET,
    height: SOCKET,
  })),
  ...layout.outputs.map((y, place) => ({
    id: `out:${place}`,
    type: 'source' as const,
    position: Position.Right,
    x: layout.width - SOCKET / 2,
    y: y - SOCKET / 2,
    width: SOCKET,
    height: SOCKET,
  })),
];

export function useEdges(): Edge[] {
  const doc = useDocument((state) => state.doc);
  const definitions = useDefinitions((state) => state.definitions);
  const chosen = useView((state) => state.selectedLinks);
  const cache = useRef(new Map<number, Edge>());
  return useMemo(() => {
    const next = new Map<number, Edge>();
    for (const each of doc.links) {
      const [hue] = lookOf(String(each.type ?? '*'));
      const source = nodeAt(doc, each.from);
      const target = nodeAt(doc, each.to);
      if (!source || !target || !shapeOf(definitions, source).outputs[each.output]) continue;
      if (!shapeOf(definitions, target).inputs.some((input) => input.name === each.input)) continue;
      const old = cache.current.get(each.id);
      const sourceHandle = `out:${each.output}`;
      const targetHandle = `in:${each.input}`;
      const selected = chosen.has(each.id);
      const isSame =
        old?.source === each.from &&
        old.target === each.to &&
        old.sourceHandle === sourceHandle &&
        old.targetHandle === targetHandle &&
        old.selected === selected &&
        old.style?.stroke === hue;
      next.set(
        each.id,
        isSame
          ? old
          : {
              id: String(each.id),
              type: 'link',
              source: each.from,
              target: each.to,
              sourceHandle,
              targetHandle,
              selected,
              style: { stroke: hue },
              interactionWidth: 14,
              reconnectable: true,
            },
      );
    }
    cache.current = next;
    return [...next.values()];
  }, [doc, definitions, chosen]);
}

function drawGroup(group: JsonObject, place: number, live: Live | null): Node {
  const [x, y, width, height] = boundsOf(group);
  const id = `${GROUP}${place}`;
  const at = live?.[id] ?? [x, y];
  return {
    id,
    type: 'frame',
    position: { x: at[0], y: at[1] },
    data: { group },
    width,
    height,
    zIndex: -1,
    selectable: false,
    focusable: false,
    dragHandle: '.frame-title',
    handles: [],
  };
}
