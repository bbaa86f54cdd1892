/** The open workflows: one is shown, the others wait with their history. All are kept across reloads and crashes. */

import { create } from 'zustand';
import { type Doc, EMPTY } from '../doc/document';
import { atTop, type DocumentState, endGesture, prefixOf, silently, useDocument, wholeOf } from './documents';
import { useView } from './view';
import { type Viewport, viewportOf } from './viewports';
import { newId } from './window';

export interface Tab {
  readonly id: string;
  readonly name: string;
  /** Where it is on the server, below the folder of workflows; null if it is not. */
  readonly path: string | null;
  readonly state: DocumentState;
  readonly saved: Doc;
  readonly past: readonly Partial<DocumentState>[];
  readonly future: readonly Partial<DocumentState>[];
}

export const useTabs = create<{ readonly tabs: readonly Tab[]; readonly active: string }>(() => ({
  tabs: [],
  active: '',
}));

export { newId };

/** All tabs, the document of the shown one brought up to date. */
export function stowed(): readonly Tab[] {
  const { tabs, active } = useTabs.getState();
  const { pastStates: past, futureStates: future } = useDocument.temporal.getState();
  return tabs.map((each) => (each.id === active ? { ...each, state: useDocument.getState(), past, future } : each));
}

/** Show one of these tabs, which are all that there are from now on. */
export function showTabs(tabs: readonly Tab[], id: string): void {
  const tab = tabs.find((each) => each.id === id) ?? tabs[0];
  if (!tab) return;
  endGesture();
  useTabs.setState({ tabs, active: tab.id });
  const history = useDocument.temporal.getState();
  history.pause();
  useDocument.setState(tab.state);
  history.resume();
  useDocument.temporal.setState({ pastStates: [...tab.past], futureStates: [...tab.future] });
  const seat = viewportOf(tab.id);
  useView.setState(({ fit }) => ({
    selected: new Set(),
    selectedLinks: new Set(),
    ...(seat ? { seat: { ...seat } } : { seat: null, fit: fit + 1 }),
  }));
}

/** Open a document in a tab of its own. */
export function openTab(name: string, doc: Doc, path: string | null = null, isSaved = true): string {
  const id = newId();
  const tab: Tab = { id, name, path, state: atTop(doc), saved: isSaved ? doc : EMPTY, past: [], future: [] };
  showTabs([...stowed(), tab], id);
  return id;
}

export const switchTab = (id: string): void => {
  if (id !== useTabs.getState().active) showTabs(stowed(), id);
};

const MOST_CLOSED = 10;
const closed: Tab[] = [];
export const hasClosed = (): boolean => closed.length > 0;
/** Open the tab that was closed last, with its history. */
export function reopenTab(): void {
  const tab = closed.pop();
  if (tab) showTabs([...stowed(), tab], tab.id);
}

/** Open a copy of the shown workflow, which is nowhere on the server. */
export function duplicateTab(name: string): void {
  openTab(name, wholeOf(useDocument.getState()), null, false);
}

/** Close a tab; the last one leaves an empty workflow behind. */
export function closeTab(id: string): void {
  const tabs = stowed();
  const gone = tabs.find((each) => each.id === id);
  if (gone) closed.push(gone);
  closed.splice(0, closed.length - MOST_CLOSED);
  const place = tabs.findIndex((each) => each.id === id);
  const rest = tabs.filter((each) => each.id !== id);
  if (rest.length === 0) {
    useTabs.setState({ tabs: [], active: '' });
    openTab('Untitled', EMPTY);
  } else if (id === useTabs.getState().active) showTabs(rest, rest[Math.max(0, place - 1)]?.id ?? '');
  else useTabs.setState({ tabs: rest });
}

export const renameTab = (id: string, name: string): void =>
  useTabs.setState(({ tabs }) => ({ tabs: tabs.map((each) => (each.id === id ? { ...each, name } : each)) }));

/** Note that what a tab held is safe, whichever is shown by now; `path`: where it is on the server from now on. */
export const markSaved = (id: string, doc: Doc, path?: string): void =>
  useTabs.setState(({ tabs }) => ({
    tabs: tabs.map((each) =>
      each.id === id ? { ...each, saved: doc, ...(path ? { path, name: nameOf(path) } : {}) } : each,
    ),
  }));
export const nameOf = (path: string): string => path.replace(/^.*\//, '').replace(/\.[^.]+$/, '') || 'Untitled';

export const activeTab = (): Tab | undefined =>
  useTabs.getState().tabs.find((each) => each.id === useTabs.getState().active);

/** The document of a tab as it is now, shown or not; undefined once it is closed. */
export const stateOf = (id: string): DocumentState | undefined =>
  id === useTabs.getState().active
    ? useDocument.getState()
    : useTabs.getState().tabs.find((each) => each.id === id)?.state;

/** Change a tab's document without a step of undo, shown or not. */
export function putState(id: string, state: DocumentState): void {
  if (id === useTabs.getState().active) silently(state.doc, state.outer);
  else useTabs.setState(({ tabs }) => ({ tabs: tabs.map((each) => (each.id === id ? { ...each, state } : each)) }));
}

/** Whether the graph that is shown now is still shown when that is asked: work that takes time was meant for it. */
export function holdPlace(): () => boolean {
  const [tab, at] = [useTabs.getState().active, prefixOf(useDocument.getState().outer)];
  return () => useTabs.getState().active === tab && prefixOf(useDocument.getState().outer) === at;
}

/** What was seen of a workflow; of one whose subgraph is open, all of it is shown again. */
export const outerViewport = (id: string, { outer }: DocumentState): Viewport | null =>
  outer.length ? null : viewportOf(id);
