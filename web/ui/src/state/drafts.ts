/** All open workflows, kept in the browser's storage over reloads and crashes: each window keeps its own. */

import { type Doc, EMPTY, readFile, writeFile } from '../doc/document';
import { isArray, isObject, type Json, type JsonObject, parseJson, writeJson } from '../doc/json';
import { t } from '../words';
import { atTop, getWhole, useDocument, wholeOf } from './documents';
import { activeTab, newId, outerViewport, showTabs, stowed, type Tab, useTabs } from './tabs';
import { say } from './view';
import { keepViewport, type Viewport } from './viewports';
import { windowId } from './window';

const DRAFTS = 'easel.drafts';
const UNREADABLE = 'easel.unreadable';
const AUTOSAVE_MS = 400;
const ANSWER_MS = 1500; // hidden windows are slow, but they answer

const ownKey = (): string => `${DRAFTS}.${windowId()}`;

let isTold = false;
/** Write all open workflows into the browser's storage; false if it refuses. `isLeft`: the window goes. */
export function saveDrafts(isLeft = false): boolean {
  const made = (withSaved: boolean): string => {
    const tabs = stowed().map(({ id, name, path, state, saved }): JsonObject => {
      const doc = wholeOf(state);
      const view = outerViewport(id, state) as JsonObject | null;
      const kept: JsonObject = { id, name, path, clean: doc === saved, view, file: writeFile(doc) };
      return withSaved && doc !== saved && saved !== EMPTY ? { ...kept, saved: writeFile(saved) } : kept;
    });
    return writeJson({ active: useTabs.getState().active, isLeft, tabs });
  };
  for (const withSaved of [true, false])
    try {
      localStorage.setItem(ownKey(), made(withSaved));
      isTold = false;
      return true;
    } catch {
      // full or forbidden: what was saved on the server is there too, and is left out first
    }
  if (!isTold)
    say(t('The browser does not keep unsaved work: its storage is full or switched off. Save what matters.'), 'error');
  isTold = true;
  return false;
}

interface Kept {
  readonly active: string;
  readonly isLeft: boolean;
  readonly tabs: readonly Tab[];
}

function readTab(kept: Json): Tab {
  if (!isObject(kept)) throw new Error('no tab');
  const doc = readFile(kept.file ?? null);
  const saved = (): Doc => (kept.saved === undefined ? EMPTY : readFile(kept.saved));
  const id = typeof kept.id === 'string' ? kept.id : newId();
  if (isObject(kept.view)) keepViewport(id, kept.view as unknown as Viewport);
  return {
    id,
    name: String(kept.name ?? 'Untitled'),
    path: typeof kept.path === 'string' ? kept.path : null,
    state: atTop(doc),
    saved: kept.clean === true ? doc : saved(),
    past: [],
    future: [],
  };
}

/** Put a text that cannot be read aside, where the next draft does not overwrite it. */
function putAside(text: string): void {
  const key = `${UNREADABLE}.${newId()}`;
  try {
    localStorage.setItem(key, text);
  } catch {
    // full: it is said all the same
  }
  say(
    t('An open workflow could not be read again. Its text is in the browser’s storage as {{key}}.', { key }),
    'error',
  );
}

/** The workflows of one window; those that cannot be read are put aside, each by itself. */
function readDrafts(text: string | null): Kept {
  const nothing: Kept = { active: '', isLeft: true, tabs: [] };
  if (text === null) return nothing;
  try {
    const kept = parseJson(text);
    if (!isObject(kept)) throw new Error('no drafts');
    const tabs = (isArray(kept.tabs) ? kept.tabs : []).flatMap((each): Tab[] => {
      try {
        return [readTab(each)];
      } catch {
        putAside(writeJson(each));
        return [];
      }
    });
    // drafts that name no window were left by an editor that kept them for all windows together
    return { active: String(kept.active ?? ''), isLeft: kept.isLeft !== false, tabs };
  } catch {
    putAside(text);
    return nothing;
  }
}

/** What other windows keep: those that went, or all. */
function others(): readonly string[] {
  try {
    return Object.keys(localStorage).filter((each) => each.startsWith(DRAFTS) && each !== ownKey());
  } catch {
    return [];
  }
}

/** Take the workflows of windows that are gone into this one. */
function adopt(keys: readonly string[]): Kept {
  const texts = keys.map((key) => [key, localStorage.getItem(key) ?? 'null'] as const);
  const found = texts.map(([, text]) => readDrafts(text));
  const taken = new Set(stowed().map((each) => each.id));
  const tabs = found
    .flatMap((each) => each.tabs)
    .map((tab) => {
      const id = taken.has(tab.id) ? newId() : tab.id; // of a browser tab that was duplicated
      taken.add(id);
      return { ...tab, id };
    });
  useTabs.setState({ tabs: [...stowed(), ...tabs] });
  for (const [key] of texts) localStorage.removeItem(key); // first, so that there is room
  if (!saveDrafts()) for (const [key, text] of texts) localStorage.setItem(key, text);
  return { active: found.find((each) => each.tabs.length)?.active ?? '', isLeft: true, tabs };
}

let isNew = false;
/** Bring back what was open in this window, or in those that were closed; false if there was nothing. */
export function restoreDrafts(): boolean {
  try {
    const own = readDrafts(localStorage.getItem(ownKey()));
    if (own.tabs.length > 0) {
      showTabs(own.tabs, own.active);
      return true;
    }
    isNew = true;
    const left = others().filter((key) => !/^\{"active":"[^"]*","isLeft":false/.test(localStorage.getItem(key) ?? ''));
    const found = left.length ? adopt(left) : null;
    if (!found || found.tabs.length === 0) return false;
    showTabs(found.tabs, found.active);
    return true;
  } catch {
    return false;
  }
}

/** Windows ask each other who is there: what a window kept that crashed is taken by a new one. */
function meetWindows(): void {
  if (typeof BroadcastChannel === 'undefined') return;
  const channel = new BroadcastChannel('easel.windows');
  const alive = new Set<string>();
  channel.onmessage = ({ data }: MessageEvent<{ readonly asks?: boolean; readonly id: string }>) => {
    if (data.asks) channel.postMessage({ id: windowId() });
    else alive.add(`${DRAFTS}.${data.id}`);
  };
  if (!isNew || others().length === 0) return;
  channel.postMessage({ asks: true, id: windowId() });
  setTimeout(() => {
    const lost = others().filter((each) => !alive.has(each));
    const isUntouched = activeTab()?.saved === getWhole();
    const { tabs, active } = lost.length ? adopt(lost) : { tabs: [], active: '' };
    if (tabs.length === 0) return;
    if (isUntouched) showTabs(stowed(), tabs.some((each) => each.id === active) ? active : (tabs[0]?.id ?? ''));
    say(t('Brought back from a window that is gone: {{count}}.', { count: tabs.length }));
  }, ANSWER_MS);
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
  addEventListener('pagehide', () => saveDrafts(true));
  addEventListener('pageshow', later); // it may have been kept alive, and come back
  meetWindows();
}
