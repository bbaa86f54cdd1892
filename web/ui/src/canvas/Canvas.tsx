/** The canvas: a view of the document. The only folder that knows the canvas library. */

import '@xyflow/react/dist/style.css';
import {
  Background,
  type Connection,
  ConnectionLineType,
  Controls,
  type Edge,
  type EdgeChange,
  type FinalConnectionState,
  getViewportForBounds,
  MiniMap,
  type Node,
  type NodeChange,
  Position,
  ReactFlow,
  type ReactFlowInstance,
  ReactFlowProvider,
  SelectionMode,
  useReactFlow,
} from '@xyflow/react';
import { useCallback, useEffect, useMemo, useRef, useState } from 'react';
import { isTextField } from '../commands/command';
import { checkConnection } from '../doc/connect';
import { type Definitions, shapeOf } from '../doc/definitions';
import { type DocNode, isPinned, keyOf, nodeAt, type Point, positionOf } from '../doc/document';
import { boundsOf, nodesIn } from '../doc/groups';
import type { JsonObject } from '../doc/json';
import { type Layout, layoutNode } from '../doc/layout';
import { change, getDefinitions, getDoc, prefixOf, useDefinitions, useDocument } from '../state/documents';
import { type NodeRun, useRuns } from '../state/runs';
import { useSettings } from '../state/settings';
import { useTabs } from '../state/tabs';
import { openPalette, select, useView } from '../state/view';
import { t } from '../words';
import { FarView } from './FarView';
import { GROUP, GroupView, groupPlace, type Live } from './GroupView';
import { LinkView } from './LinkView';
import { dropOn, endsOf, inputRef, isValid, link, outputRef, tellWhy } from './links';
import { ariaLabelOf, NodeView, showsPicture } from './NodeView';
import { setCentre } from './port';
import { Toolbox } from './Toolbox';
import { lookOf } from './types';

const SOCKET = 14;
const NODE_TYPES = { easel: NodeView, frame: GroupView };
const EDGE_TYPES = { link: LinkView };
const SNAP: [number, number] = [10, 10];
const MIN_ZOOM = 0.05;
const FIT = { padding: 0.12, maxZoom: 1 };
const PRO = { hideAttribution: false };
const DELETE_KEYS = null;
const MULTI_KEYS = ['Shift', 'Control', 'Meta'];
const NO_RUN: NodeRun = {};

export function Canvas() {
  return (
    <ReactFlowProvider>
      <Flow />
    </ReactFlowProvider>
  );
}

function Flow() {
  const flow = useReactFlow();
  const [live, setLive] = useState<Live | null>(null);
  const nodes = useNodes(live);
  const edges = useEdges();
  const fit = useView((state) => state.fit);
  const locate = useView((state) => state.locate);
  const { minimap, snap, theme, wheel } = useSettings();
  const frame = useRef<HTMLDivElement>(null);
  const drawn = useRef(nodes);
  drawn.current = nodes;
  const members = useRef<ReadonlyMap<string, Point>>(new Map());

  useEffect(
    () =>
      setCentre(() => {
        const box = frame.current?.getBoundingClientRect() ?? new DOMRect();
        const { x, y } = flow.screenToFlowPosition({ x: box.x + box.width / 2 - 130, y: box.y + box.height / 2 - 100 });
        return [Math.round(x), Math.round(y)];
      }),
    [flow],
  );
  // biome-ignore lint/correctness/useExhaustiveDependencies: the count asks for it
  useEffect(() => {
    const turn = requestAnimationFrame(() => showAll(flow, drawn.current, frame.current));
    return () => cancelAnimationFrame(turn);
  }, [fit, flow]);
  useEffect(() => {
    const node = locate && flow.getNode(locate.node);
    if (node)
      void flow.setCenter(node.position.x + (node.width ?? 0) / 2, node.position.y + (node.height ?? 0) / 2, {
        zoom: Math.max(flow.getZoom(), 1),
        duration: motion(),
      });
  }, [locate, flow]);

  const onNodesChange = useCallback((changes: NodeChange[]) => {
    const chosen = new Set(useView.getState().selected);
    const moved: Record<string, Point> = {};
    let isSelection = false;
    for (const each of changes) {
      if (each.type === 'select' && !each.id.startsWith(GROUP)) {
        isSelection = true;
        if (each.selected) chosen.add(each.id);
        else chosen.delete(each.id);
      } else if (each.type === 'position' && each.dragging && each.position)
        moved[each.id] = [each.position.x, each.position.y];
      else if (each.type === 'dimensions' && each.resizing === true && each.dimensions) {
        if (each.id.startsWith(GROUP)) resizeGroup(each.id, each.dimensions);
        const node = nodeAt(getDoc(), each.id);
        if (node)
          change(
            {
              kind: 'resize',
              node: each.id,
              pos: positionOf(node),
              size: [Math.round(each.dimensions.width), Math.round(each.dimensions.height)],
            },
            `resize ${each.id}`,
          );
      }
    }
    if (isSelection) select(chosen);
    if (Object.keys(moved).length) setLive((before) => ({ ...before, ...moved, ...carried(moved, members.current) }));
  }, []);

  const startDrag = useCallback((_: unknown, node: Node) => {
    members.current = node.id.startsWith(GROUP) ? membersOf(node.id) : new Map();
  }, []);
  const endDrag = useCallback(() => {
    setLive((moved) => {
      if (moved) queueMicrotask(() => commit(moved));
      return null;
    });
  }, []);

  const onEdgesChange = useCallback((changes: EdgeChange[]) => {
    const chosen = new Set(useView.getState().selectedLinks);
    for (const each of changes) {
      if (each.type !== 'select') continue;
      if (each.selected) chosen.add(Number(each.id));
      else chosen.delete(Number(each.id));
    }
    useView.setState({ selectedLinks: chosen });
  }, []);

  const onConnect = useCallback((made: Connection) => link(endsOf(made)), []);
  const onReconnect = useCallback((old: Edge, made: Connection) => {
    const ends = endsOf(made);
    if (ends && checkConnection(getDoc(), getDefinitions(), ends.from, ends.to).ok)
      change({
        kind: 'all',
        changes: [
          { kind: 'unlink', links: [Number(old.id)] },
          { kind: 'link', ...ends },
        ],
      });
  }, []);
  const onReconnectEnd = useCallback((_: unknown, edge: Edge, __: unknown, state: FinalConnectionState) => {
    if (!state.toHandle) change({ kind: 'unlink', links: [Number(edge.id)] });
    else if (!state.isValid) tellWhy(state);
  }, []);
  const reconnecting = useRef(false);

  const onConnectStart = useCallback(
    (
      _: unknown,
      { nodeId, handleId, handleType }: { nodeId: string | null; handleId: string | null; handleType: string | null },
    ) => {
      if (!nodeId || !handleId) return;
      useView.setState({
        pending: handleType === 'source' ? { from: outputRef(nodeId, handleId) } : { to: inputRef(nodeId, handleId) },
      });
    },
    [],
  );
  const onConnectEnd = useCallback(
    (event: MouseEvent | TouchEvent, state: FinalConnectionState) => {
      const { pending } = useView.getState();
      useView.setState({ pending: null });
      if (!pending || state.isValid || reconnecting.current) return;
      if (state.toHandle) return tellWhy(state);
      const point = 'changedTouches' in event ? event.changedTouches[0] : event;
      const over = document
        .elementFromPoint(point?.clientX ?? 0, point?.clientY ?? 0)
        ?.closest<HTMLElement>('.react-flow__node');
      const target = over?.dataset.id;
      if (target && !target.startsWith(GROUP)) return dropOn(pending, target);
      const { x, y } = flow.screenToFlowPosition({ x: point?.clientX ?? 0, y: point?.clientY ?? 0 });
      openPalette({ kind: 'nodes', at: [Math.round(x), Math.round(y)], pending });
    },
    [flow],
  );

  const onDoubleClick = useCallback(
    (event: React.MouseEvent) => {
      if (!(event.target instanceof Element) || !event.target.classList.contains('react-flow__pane')) return;
      const { x, y } = flow.screenToFlowPosition({ x: event.clientX, y: event.clientY });
      openPalette({ kind: 'nodes', at: [Math.round(x), Math.round(y)], pending: null });
    },
    [flow],
  );

  const onEdgeDoubleClick = useCallback(
    (event: React.MouseEvent, edge: Edge) => {
      const { x, y } = flow.screenToFlowPosition({ x: event.clientX, y: event.clientY });
      change({ kind: 'reroute', link: Number(edge.id), pos: [Math.round(x), Math.round(y)] });
    },
    [flow],
  );

  /** The node that gets the focus by keyboard is the one that commands work on. */
  const onFocus = useCallback((event: React.FocusEvent) => {
    const target = event.target as HTMLElement;
    const id = target.classList.contains('react-flow__node') ? target.dataset.id : undefined;
    if (id && target.matches(':focus-visible') && !id.startsWith(GROUP)) select([id]);
  }, []);

  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: the canvas has its commands; this is the mouse's short way
    <div
      className="canvas"
      ref={frame}
      onDoubleClick={onDoubleClick}
      onFocus={onFocus}
      onPointerDownCapture={leaveField}
    >
      <ReactFlow
        nodes={nodes}
        edges={edges}
        nodeTypes={NODE_TYPES}
        edgeTypes={EDGE_TYPES}
        onEdgeDoubleClick={onEdgeDoubleClick}
        onNodesChange={onNodesChange}
        onEdgesChange={onEdgesChange}
        onNodeDragStart={startDrag}
        onNodeDragStop={endDrag}
        onSelectionDragStop={endDrag}
        onConnect={onConnect}
        onConnectStart={onConnectStart}
        onConnectEnd={onConnectEnd}
        isValidConnection={isValid}
        onReconnectStart={() => {
          reconnecting.current = true;
        }}
        onReconnect={onReconnect}
        onReconnectEnd={(event, edge, handle, state) => {
          onReconnectEnd(event, edge, handle, state);
          reconnecting.current = false;
        }}
        colorMode={theme}
        minZoom={MIN_ZOOM}
        maxZoom={4}
        snapToGrid={snap}
        snapGrid={SNAP}
        deleteKeyCode={DELETE_KEYS}
        multiSelectionKeyCode={MULTI_KEYS}
        selectionMode={SelectionMode.Partial}
        edgesFocusable={false}
        disableKeyboardA11y
        zoomOnDoubleClick={false}
        zoomOnScroll={wheel === 'zoom'}
        panOnScroll={wheel === 'pan'}
        onlyRenderVisibleElements
        connectionLineType={ConnectionLineType.Bezier}
        connectionRadius={24}
        reconnectRadius={12}
        proOptions={PRO}
        defaultViewport={{ x: 40, y: 60, zoom: 0.8 }}
        aria-label={t('Workflow graph')}
      >
        <Background gap={20} />
        <FarView />
        <Toolbox />
        <Controls showInteractive={false} fitViewOptions={FIT} position="bottom-left" />
        {minimap && (
          <MiniMap nodeColor={mapColour} pannable zoomable ariaLabel={t('Map of the graph')} position="bottom-right" />
        )}
      </ReactFlow>
    </div>
  );
}

function resizeGroup(id: string, { width, height }: { readonly width: number; readonly height: number }): void {
  const place = groupPlace(id);
  const group = getDoc().groups[place];
  if (!group) return;
  const [x, y] = boundsOf(group);
  const bounding = [x, y, Math.round(width), Math.round(height)];
  change({ kind: 'group', place, group: { ...group, bounding } }, `resize ${id}`);
}

/** A press on the bare canvas leaves the field that was being edited; the library keeps the browser from doing so. */
function leaveField(event: React.PointerEvent): void {
  if (
    event.target instanceof Element &&
    event.target.classList.contains('react-flow__pane') &&
    isTextField(document.activeElement)
  )
    (document.activeElement as HTMLElement).blur();
}

/** Show the whole graph, from our own geometry: the library may not have taken the newest nodes in yet. */
function showAll(flow: ReactFlowInstance, nodes: readonly Node[], frame: HTMLElement | null): void {
  if (nodes.length === 0 || !frame) return;
  const left = Math.min(...nodes.map((each) => each.position.x));
  const top = Math.min(...nodes.map((each) => each.position.y));
  const right = Math.max(...nodes.map((each) => each.position.x + (each.width ?? 0)));
  const bottom = Math.max(...nodes.map((each) => each.position.y + (each.height ?? 0)));
  const bounds = { x: left, y: top, width: right - left, height: bottom - top };
  void flow.setViewport(
    getViewportForBounds(bounds, frame.clientWidth, frame.clientHeight, MIN_ZOOM, FIT.maxZoom, FIT.padding),
  );
}

const mapColour = (node: Node): string => (node.type === 'frame' ? 'transparent' : 'var(--faint)');
const motion = (): number => (matchMedia('(prefers-reduced-motion: reduce)').matches ? 0 : 160);

// -- from the document to what the library draws -------------------------------------------------------------------

interface Drawn {
  readonly node: DocNode;
  readonly run: NodeRun;
  readonly selected: boolean;
  readonly at: Point;
  readonly definitions: Definitions;
  readonly made: Node;
}

/** The library's nodes; one that did not change is the same object as before. */
function useNodes(live: Live | null): Node[] {
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
    draggable: !isPinned(node),
    handles: handlesOf(layout),
    ariaLabel: ariaLabelOf(node, shape, run),
    ...(node.type === 'Reroute' ? {} : { dragHandle: '.node-header, .far-title, .sockets-row, .row-label' }),
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

function useEdges(): Edge[] {
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
        old.selected === selected;
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

// -- groups ---------------------------------------------------------------------------------------------------------

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

/** The nodes whose header lies in a group, with where they are relative to it. */
function membersOf(id: string): ReadonlyMap<string, Point> {
  const group = getDoc().groups[groupPlace(id)];
  if (!group) return new Map();
  const [x, y] = boundsOf(group);
  return new Map(
    nodesIn(getDoc(), group).map((each) => {
      const [left, top] = positionOf(each);
      return [keyOf(each), [left - x, top - y]];
    }),
  );
}

function carried(moved: Live, members: ReadonlyMap<string, Point>): Live {
  const group = Object.entries(moved).find(([id]) => id.startsWith(GROUP))?.[1];
  if (!group) return {};
  return Object.fromEntries([...members].map(([key, [dx, dy]]) => [key, [group[0] + dx, group[1] + dy]]));
}

/** Write the end of a drag into the document: one step. */
function commit(moved: Live): void {
  const nodes = Object.entries(moved)
    .filter(([id]) => !id.startsWith(GROUP))
    .map(([id, [x, y]]) => [id, [Math.round(x), Math.round(y)]]);
  const groups = Object.entries(moved)
    .filter(([id]) => id.startsWith(GROUP))
    .flatMap(([id, [x, y]]) => {
      const place = groupPlace(id);
      const group = getDoc().groups[place];
      if (!group) return [];
      const [, , width, height] = boundsOf(group);
      return [
        { kind: 'group' as const, place, group: { ...group, bounding: [Math.round(x), Math.round(y), width, height] } },
      ];
    });
  change({ kind: 'all', changes: [{ kind: 'move', to: Object.fromEntries(nodes) }, ...groups] });
}
