/**
 * The open workflow and its history. A gesture is one step of undo: changes that come with the same `gesture` within a
 * second belong together (typing, a slider), all others stand alone.
 */

import { temporal } from 'zundo';
import { create } from 'zustand';
import { apply, type Change } from '../doc/changes';
import type { Definitions } from '../doc/definitions';
import { readDefinitions } from '../doc/definitions';
import { type Doc, EMPTY } from '../doc/document';

const STEPS = 200;
const TOGETHER_MS = 1000;

export interface DocumentState {
  readonly doc: Doc;
}

export const useDocument = create<DocumentState>()(
  temporal(() => ({ doc: EMPTY }) as DocumentState, { limit: STEPS, equality: (a, b) => a.doc === b.doc }),
);

/** The nodes that exist, as the server last told. */
export const useDefinitions = create<{ readonly definitions: Definitions; readonly isLoaded: boolean }>(() => ({
  definitions: readDefinitions({}),
  isLoaded: false,
}));

let last: { gesture: string; at: number } | null = null;

/** Change the open workflow. */
export function change(what: Change, gesture?: string): void {
  const before = useDocument.getState().doc;
  const doc = apply(before, what, useDefinitions.getState().definitions);
  if (doc === before) return;
  const now = Date.now();
  const isSame = gesture !== undefined && last?.gesture === gesture && now - last.at < TOGETHER_MS;
  last = gesture === undefined ? null : { gesture, at: now };
  if (isSame) silently(doc);
  else useDocument.setState({ doc });
}

/** Change the workflow without a step of undo: what the machine does by itself (seeds after a run). */
export function silently(doc: Doc): void {
  const history = useDocument.temporal.getState();
  history.pause();
  useDocument.setState({ doc });
  history.resume();
}

/** End the running gesture: what comes next is a step of its own. */
export const endGesture = (): void => {
  last = null;
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
