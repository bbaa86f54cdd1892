/**
 * The open workflow and its history. A gesture is one step of undo: changes that come with the same `gesture` within a
 * second belong together (typing, a slider), all others stand alone.
 */

import { temporal } from 'zundo';
import { create } from 'zustand';
import { apply, type Change } from '../doc/changes';
import type { Definitions } from '../doc/definitions';
import { readDefinitions } from '../doc/definitions';
import { type Doc, EMPTY, nodeAt } from '../doc/document';
import { enterSubgraph, leaveSubgraph, withSubgraphs } from '../doc/subgraphs';

const STEPS = 200;
const TOGETHER_MS = 1000;

/** A graph around the open subgraph: what it was when that was entered, by which node, and what was seen first. */
export interface Level {
  readonly doc: Doc;
  readonly node: string;
  readonly id: string;
  readonly entered: Doc;
}

export interface DocumentState {
  /** The graph that is shown: the workflow's own, or that of a subgraph. */
  readonly doc: Doc;
  /** The graphs around it, outermost first. */
  readonly outer: readonly Level[];
}

const OUTERMOST: readonly Level[] = [];
export const atTop = (doc: Doc): DocumentState => ({ doc, outer: OUTERMOST });

export const useDocument = create<DocumentState>()(
  temporal(() => atTop(EMPTY), { limit: STEPS, equality: (a, b) => a.doc === b.doc && a.outer === b.outer }),
);

/** The nodes that exist: as the server last told, and the subgraphs of the open workflow. */
export const useDefinitions = create<{
  readonly server: Definitions;
  readonly definitions: Definitions;
  readonly isLoaded: boolean;
}>(() => {
  const none = readDefinitions({});
  return { server: none, definitions: none, isLoaded: false };
});

export const setServerDefinitions = (server: Definitions): void =>
  useDefinitions.setState({ server, definitions: withSubgraphs(server, getDoc().subgraphs), isLoaded: true });

useDocument.subscribe(({ doc }) => {
  const { server, definitions } = useDefinitions.getState();
  const now = withSubgraphs(server, doc.subgraphs);
  if (now !== definitions) useDefinitions.setState({ definitions: now });
});

/** The whole workflow, with what was changed in the open subgraph. */
export const wholeOf = ({ doc, outer }: DocumentState): Doc =>
  outer.reduceRight((inner, level) => leaveSubgraph(level.doc, level.id, level.entered, inner), doc);
export const getWhole = (): Doc => wholeOf(useDocument.getState());

/** What the ids of the shown graph's nodes begin with in a run. */
export const prefixOf = (outer: readonly Level[]): string => outer.map((each) => `${each.node}:`).join('');

/** Open the subgraph that a node stands for; false if it stands for none. */
export function enter(node: string): boolean {
  const { doc, outer } = useDocument.getState();
  const id = nodeAt(doc, node)?.type;
  const inner = id === undefined ? null : enterSubgraph(doc, id);
  if (!inner || id === undefined || outer.some((each) => each.id === id)) return false;
  show({ doc: inner, outer: [...outer, { doc, node, id, entered: inner }] });
  return true;
}

/** Go back to an outer graph: `depth` 0 is the workflow's own. */
export function leaveTo(depth: number): void {
  const { doc, outer } = useDocument.getState();
  if (depth >= outer.length) return;
  let now = doc;
  for (const level of outer.slice(depth).reverse()) now = leaveSubgraph(level.doc, level.id, level.entered, now);
  show({ doc: now, outer: outer.slice(0, depth) });
}

/** Open the graph that a node of a run is in (`12:3`: node 3 inside node 12); gives its key there. */
export function goTo(id: string): string {
  const parts = (id.split('.')[0] ?? id).split(':');
  const { outer } = useDocument.getState();
  const same = outer.findIndex((level, at) => level.node !== parts[at]);
  leaveTo(same < 0 ? Math.min(outer.length, parts.length - 1) : same);
  for (let at = useDocument.getState().outer.length; at < parts.length - 1; at++)
    if (!enter(parts[at] ?? '')) return parts[at] ?? id;
  return parts.at(-1) ?? id;
}

/** Show another graph of the same workflow: no step of undo. */
function show(state: DocumentState): void {
  endGesture();
  const history = useDocument.temporal.getState();
  history.pause();
  useDocument.setState(state);
  history.resume();
}

let last: { gesture: string; at: number } | null = null;
let held: string | null = null;
/** A gesture that lasts, with pauses, until `endGesture`: a drag. */
export const holdGesture = (gesture: string): void => {
  endGesture();
  held = gesture;
};

/** Change the open workflow. */
export function change(what: Change, gesture?: string): void {
  const before = useDocument.getState().doc;
  const doc = apply(before, what, useDefinitions.getState().definitions);
  if (doc === before) return;
  const now = Date.now();
  const isRecent = last !== null && (held === gesture || now - last.at < TOGETHER_MS);
  const isSame = gesture !== undefined && last?.gesture === gesture && isRecent;
  last = gesture === undefined ? null : { gesture, at: now };
  if (isSame) silently(doc);
  else useDocument.setState({ doc });
}

/** Change the workflow without a step of undo: what the machine does by itself (seeds after a run). */
export function silently(doc: Doc, outer = useDocument.getState().outer): void {
  const history = useDocument.temporal.getState();
  history.pause();
  useDocument.setState({ doc, outer });
  history.resume();
}

/** End the running gesture: what comes next is a step of its own. */
export const endGesture = (): void => {
  last = null;
  held = null;
};

export const undo = (): void => {
  endGesture();
  useDocument.temporal.getState().undo();
};
export const redo = (): void => {
  endGesture();
  useDocument.temporal.getState().redo();
};

export const getDoc = (): Doc => useDocument.getState().doc;
export const getDefinitions = (): Definitions => useDefinitions.getState().definitions;
