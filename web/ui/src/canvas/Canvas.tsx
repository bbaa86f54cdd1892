/** The canvas: a view of the document. The only folder that knows the canvas library. */

import '@xyflow/react/dist/style.css';
import {
  Background,
  type Connection,
  ConnectionLineType,
  ControlButton,
  Controls,
  type Edge,
  type EdgeChange,
  type FinalConnectionState,
  getViewportForBounds,
  type Node,
  type NodeChange,
  ReactFlow,
  type ReactFlowInstance,
  ReactFlowProvider,
  SelectionMode,
  useReactFlow,
  useStore,
  type Viewport,
} from '@xyflow/react';
import { Hand, Lock, LockOpen, MousePointer2 } from 'lucide-react';
import { useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from 'react';
import { useShallow } from 'zustand/react/shallow';
import { isTextField } from '../commands/command';
import { checkConnection } from '../doc/connect';
import { linksInto, nodeAt, type Point, positionOf } from '../doc/document';
import { change, getDefinitions, getDoc } from '../state/documents';
import { useSettings } from '../state/settings';
import { useTabs } from '../state/tabs';
import { openPalette, select, useView } from '../state/view';
import { keepViewport, viewportOf } from '../state/viewports';
import { t } from '../words';
import { useEdges, useNodes } from './drawn';
import { FAR, Far, FarView, isCloseUp, isFarOut } from './FarView';
import { GraphMap } from './GraphMap';
import { GROUP, GroupView, type Live } from './GroupView';
import { LinkView } from './LinkView';
import { dropOn, endsOf, inputRef, isValid, link, moveAll, outputRef, tellWhy } from './links';
import { carried, commit, membersOf, resizeGroup } from './moves';
import { NodeView } from './NodeView';
import { setPort } from './port';
import { Refusal } from './Refusal';
import { Toolbox } from './Toolbox';

const NODE_TYPES = { easel: NodeView, frame: GroupView };
const EDGE_TYPES = { link: LinkView };
const SNAP: [number, number] = [10, 10];
const MIN_ZOOM = 0.05;
const FIT = { padding: 0.12, maxZoom: 1 };
const PRO = { hideAttribution: false };
const DELETE_KEYS = null;
const MULTI_KEYS = ['Shift', 'Control', 'Meta'];
const NO_EDGES: Edge[] = []; // far away they are painted
const MAX_ZOOM = 4;
const MIDDLE_AND_RIGHT = [1, 2];

export function Canvas() {
  const tab = useTabs((state) => state.active);
  return (
    <ReactFlowProvider key={tab}>
      <Flow />
    </ReactFlowProvider>
  );
}

function Flow() {
  const flow = useReactFlow();
  const said = useMemo(labels, []); // a new language draws the editor anew
  const [live, setLive] = useState<Live | null>(null);
  const nodes = useNodes(live);
  const edges = useEdges();
  const { fit, locate, seat, isLocked, tool } = useView(
    useShallow(({ fit, locate, seat, isLocked, tool }) => ({ fit, locate, seat, isLocked, tool })),
  );
  const { minimap, snap, theme, wheel } = useSettings(
    useShallow(({ minimap, snap, theme, wheel }) => ({ minimap, snap, theme, wheel })),
  );
  const frame = useRef<HTMLDivElement>(null);
  const drawn = useRef(nodes);
  drawn.current = nodes;
  const members = useRef<ReadonlyMap<string, Point>>(new Map());

  // the canvas is drawn once its size is known, so that the first nodes drawn are those that are seen
  const [start, setStart] = useState<Viewport | null>(null);
  const isRunning = useStore((state) => state.panZoom !== null);
  const isFarNow = useStore(isFarOut);
  const isClose = useStore(isCloseUp);
  const isFar = isRunning ? isFarNow : start !== null && start.zoom < FAR;
  const shownFit = useRef(fit);
  useLayoutEffect(() => {
    const kept = viewportOf(useTabs.getState().active);
    setStart(kept ?? (frame.current && whole(drawn.current, frame.current)) ?? { x: 40, y: 60, zoom: 0.8 });
  }, []);
  useEffect(
    () =>
      setPort({
        centre: () => {
          const box = frame.current?.getBoundingClientRect() ?? new DOMRect();
          const { x, y } = flow.screenToFlowPosition({
            x: box.x + box.width / 2 - 130,
            y: box.y + box.height / 2 - 100,
          });
          return [Math.round(x), Math.round(y)];
        },
        zoomBy: (factor) => void flow.zoomTo(flow.getZoom() * factor, { duration: motion() }).then(() => keep(flow)),
        zoomTo: (zoom) => void flow.zoomTo(zoom, { duration: motion() }).then(() => keep(flow)),
        panBy: (dx, dy) => {
          const { x, y, zoom } = flow.getViewport();
          void flow.setViewport({ x: x + dx, y: y + dy, zoom }).then(() => keep(flow));
        },
        show: (keys) => {
          const wanted = new Set(keys);
          const view =
            frame.current &&
            whole(
              drawn.current.filter((each) => wanted.has(each.id)),
              frame.current,
            );
          if (view) void flow.setViewport(view, { duration: motion() }).then(() => keep(flow));
        },
      }),
    [flow],
  );
  useEffect(() => {
    if (fit === shownFit.current) return;
    shownFit.current = fit;
    const turn = requestAnimationFrame(() => {
      const view = frame.current && whole(drawn.current, frame.current);
      if (view) void flow.setViewport(view);
      keepViewport(useTabs.getState().active, null); // seen as a whole, also after a reload in another window
    });
    return () => cancelAnimationFrame(turn);
  }, [fit, flow]);
  useEffect(() => {
    if (seat) void flow.setViewport(seat);
  }, [seat, flow]);
  useEffect(() => {
    const node = locate && flow.getNode(locate.node);
    if (node)
      void flow
        .setCenter(node.position.x + (node.width ?? 0) / 2, node.position.y + (node.height ?? 0) / 2, {
          zoom: Math.max(flow.getZoom(), 1),
          duration: motion(),
        })
        .then(() => keep(flow));
  }, [locate, flow]);
  const onMoveEnd = useCallback((event: MouseEvent | TouchEvent | null, viewport: Viewport) => {
    if (event) keepViewport(useTabs.getState().active, viewport);
  }, []);

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
      event: MouseEvent | TouchEvent,
      { nodeId, handleId, handleType }: { nodeId: string | null; handleId: string | null; handleType: string | null },
    ) => {
      if (!nodeId || !handleId) return;
      const isShift = event.shiftKey;
      if (handleType === 'source') {
        const from = outputRef(nodeId, handleId);
        useView.setState({ pending: isShift ? { from, moves: true } : { from } });
        return;
      }
      const to = inputRef(nodeId, handleId);
      const now = linksInto(getDoc(), nodeId).get(to.input);
      // with shift, what feeds this input feeds another one too
      useView.setState({ pending: isShift && now ? { from: { node: now.from, output: now.output } } : { to } });
    },
    [],
  );
  const onConnectEnd = useCallback(
    (event: MouseEvent | TouchEvent, state: FinalConnectionState) => {
      const { pending } = useView.getState();
      useView.setState({ pending: null });
      if (!pending || state.isValid || reconnecting.current) return;
      const { fromHandle, toHandle } = state;
      if (toHandle?.id && fromHandle && 'from' in pending) {
        if (pending.moves && toHandle.type === 'source')
          return moveAll(pending.from, outputRef(toHandle.nodeId, toHandle.id));
        if (fromHandle.type === 'target' && toHandle.type === 'target')
          return link({ from: pending.from, to: inputRef(toHandle.nodeId, toHandle.id) });
      }
      if (toHandle) return tellWhy(state);
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
      <Far value={isFar}>
        {start && (
          <ReactFlow
            nodes={nodes}
            edges={isFar ? NO_EDGES : edges}
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
            className={isClose ? 'close-up' : undefined}
            colorMode={theme}
            minZoom={MIN_ZOOM}
            maxZoom={MAX_ZOOM}
            nodesDraggable={!isLocked}
            nodesConnectable={!isLocked}
            edgesReconnectable={!isLocked}
            selectionOnDrag={tool === 'select'}
            panOnDrag={tool === 'select' ? MIDDLE_AND_RIGHT : true}
            onMoveEnd={onMoveEnd}
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
            defaultViewport={start}
            aria-label={t('Workflow graph')}
            ariaLabelConfig={said}
          >
            <Background gap={20} />
            {isFar && <FarView />}
            {!live && <Toolbox />}
            <Refusal />
            <Controls showInteractive={false} fitViewOptions={FIT} position="bottom-left">
              <ControlButton
                onClick={() => useView.setState({ tool: tool === 'hand' ? 'select' : 'hand' })}
                title={t(
                  tool === 'hand'
                    ? 'Dragging moves the view: change it to choosing nodes'
                    : 'Dragging chooses nodes: change it to moving the view',
                )}
                aria-label={t('Dragging chooses nodes')}
                aria-pressed={tool === 'select'}
              >
                {tool === 'hand' ? <Hand /> : <MousePointer2 />}
              </ControlButton>
              <ControlButton
                onClick={() => useView.setState({ isLocked: !isLocked })}
                title={t(isLocked ? 'Unlock the graph' : 'Lock the graph')}
                aria-label={t('Lock the graph')}
                aria-pressed={isLocked}
              >
                {isLocked ? <Lock /> : <LockOpen />}
              </ControlButton>
            </Controls>
          </ReactFlow>
        )}
      </Far>
      {start && minimap && <GraphMap />}
    </div>
  );
}

/** What the library says by itself, in the language of the reader. */
const labels = () => ({
  'node.a11yDescription.default': t('Its commands are in the palette.'),
  'node.a11yDescription.keyboardDisabled': t('Its commands are in the palette.'),
  'edge.a11yDescription.default': t('Its commands are in the palette.'),
  'controls.ariaLabel': t('View'),
  'controls.zoomIn.ariaLabel': t('Zoom in'),
  'controls.zoomOut.ariaLabel': t('Zoom out'),
  'controls.fitView.ariaLabel': t('Show the whole graph'),
  'minimap.ariaLabel': t('Map of the graph'),
});

/** A press on the bare canvas leaves the field that was being edited; the library keeps the browser from doing so. */
function leaveField(event: React.PointerEvent): void {
  if (
    event.target instanceof Element &&
    event.target.classList.contains('react-flow__pane') &&
    isTextField(document.activeElement)
  )
    (document.activeElement as HTMLElement).blur();
}

/** The view of all these nodes, from our own geometry: the library may not have taken the newest in yet. */
function whole(nodes: readonly Node[], frame: HTMLElement): Viewport | null {
  if (nodes.length === 0) return null;
  const left = Math.min(...nodes.map((each) => each.position.x));
  const top = Math.min(...nodes.map((each) => each.position.y));
  const right = Math.max(...nodes.map((each) => each.position.x + (each.width ?? 0)));
  const bottom = Math.max(...nodes.map((each) => each.position.y + (each.height ?? 0)));
  const bounds = { x: left, y: top, width: right - left, height: bottom - top };
  return getViewportForBounds(bounds, frame.clientWidth, frame.clientHeight, MIN_ZOOM, FIT.maxZoom, FIT.padding);
}

/** Come back to what is seen now after a reload, and from another tab. */
const keep = (flow: ReactFlowInstance): void => keepViewport(useTabs.getState().active, flow.getViewport());
const motion = (): number => (matchMedia('(prefers-reduced-motion: reduce)').matches ? 0 : 160);
