/** The open workflows: one is shown, the others wait with their history. All are kept across reloads and crashes. */

import { create } from 'zustand';
import { type Doc, EMPTY, readFile, writeFile } from '../doc/document';
import { type JsonObject, parseJson, writeJson } from '../doc/json';
import { atTop, type DocumentState, useDocument, wholeOf } from './documents';
import { useView } from './view';
import { keepViewport, type Viewport, viewportOf } from './viewports';

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

const DRAFTS = 'easel.drafts';
const AUTOSAVE_MS = 400;

const newId = (): string =>
  Array.from(crypto.getRandomValues(new Uint8Array(8)), (each) => each.toString(16).padStart(2, '0')).join('');

/** The tab that is shown, its document brought up to date. */
function stowed(): readonly Tab[] {
  const { tabs, active } = useTabs.getState();
  const { pastStates: past, futureStates: future } = useDocument.temporal.getState();
  return tabs.map((each) => (each.id === active ? { ...each, state: useDocument.getState(), past, future } : each));
}

function show(tabs: readonly Tab[], id: string): void {
  const tab = tabs.find((each) => each.id === id) ?? tabs[0];
  if (!tab) return;
  useTabs.setState({ tabs, active: tab.id });
  const history = useDocument.temporal.getState();
  history.pause();
  useDocument.setState(tab.state);
  history.resume();
  useDocument.temporal.setState({ pastStates: [...tab.past], futureStates: [...tab.future] });
  const seat = viewportOf(tab.id);
  useView.setState((state) => ({ selected: new Set(), ...(seat ? { seat: { ...seat } } : { fit: state.fit + 1 }) }));
}

/** Open a document in a tab of its own. */
export function openTab(name: string, doc: Doc, path: string | null = null, isSaved = true): string {
  const id = newId();
  const tab: Tab = { id, name, path, state: atTop(doc), saved: isSaved ? doc : EMPTY, past: [], future: [] };
  show([...stowed(), tab], id);
  return id;
}

export const switchTab = (id: string): void => {
  if (id !== useTabs.getState().active) show(stowed(), id);
};

const MOST_CLOSED = 10;
const closed: Tab[] = [];
export const hasClosed = (): boolean => closed.length > 0;
/** Open the tab that was closed last, with its history. */
export function reopenTab(): void {
  const tab = closed.pop();
  if (tab) show([...stowed(), tab], tab.id);
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
  } else if (id === useTabs.getState().active) show(rest, rest[Math.max(0, place - 1)]?.id ?? '');
  else useTabs.setState({ tabs: rest });
}

export const renameTab = (id: string, name: string): void =>
  useTabs.setState(({ tabs }) => ({ tabs: tabs.map((each) => (each.id === id ? { ...each, name } : each)) }));

/** Note that the open workflow is safe; `path`: where it is on the server from now on. */
export const markSaved = (doc: Doc, path?: string): void =>
  useTabs.setState(({ tabs, active }) => ({
    tabs: tabs.map((each) =>
      each.id === active ? { ...each, saved: doc, ...(path ? { path, name: nameOf(path) } : {}) } : each,
    ),
  }));
export const nameOf = (path: string): string => path.replace(/^.*\//, '').replace(/\.[^.]+$/, '') || 'Untitled';

export const activeTab = (): Tab | undefined =>
  useTabs.getState().tabs.find((each) => each.id === useTabs.getState().active);

/** What was seen of a workflow; of one whose subgraph is open, all of it is shown again. */
const outerViewport = (id: string, { outer }: DocumentState): Viewport | null => (outer.length ? null : viewportOf(id));

/** Write all open workflows into the browser's storage. */
export function saveDrafts(): void {
  const tabs = stowed().map(({ id, name, path, state, saved }) => {
    const doc = wholeOf(state);
    const view = outerViewport(id, state) as JsonObject | null;
    return { id, name, path, clean: doc === saved, view, file: writeFile(doc) };
  });
  try {
    localStorage.setItem(DRAFTS, writeJson({ active: useTabs.getState().active, tabs }));
  } catch {
    // full or forbidden: the page works on, only a crash would lose what is unsaved
  }
}

/** Bring back what was open; false if there was nothing. */
export function restoreDrafts(): boolean {
  try {
    const kept = parseJson(localStorage.getItem(DRAFTS) ?? 'null') as unknown as {
      active: string;
      tabs: { id: string; name: string; path?: string | null; clean: boolean; view?: Viewport | null; file: never }[];
    } | null;
    const tabs = (kept?.tabs ?? []).map(({ id, name, path, clean, view, file }): Tab => {
      const doc = readFile(file);
      if (view) keepViewport(id, view);
      return { id, name, path: path ?? null, state: atTop(doc), saved: clean ? doc : EMPTY, past: [], future: [] };
    });
    if (tabs.length === 0) return false;
    show(tabs, kept?.active ?? '');
    return true;
  } catch {
    return false;
  }
}

/** Keep the drafts up to date. */
export function startAutosave(): void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const later = (): void => {
    clearTimeout(timer);
    timer = setTimeout(saveDrafts, AUTOSAVE_MS);
  };
  useDocument.subscribe(later);
  useTabs.subscribe(later);
  later();
  addEventListener('pagehide', saveDrafts);
}
