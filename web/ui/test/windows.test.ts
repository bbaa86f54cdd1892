import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { CHAIN } from './support';

/** The storage of a browser, which may be full. */
class Storage {
  [key: string]: unknown;
  static of(most = Number.POSITIVE_INFINITY): Storage {
    const made = new Storage();
    const hidden = {
      getItem: (key: string) => (key in made ? made[key] : null),
      setItem: (key: string, text: string) => {
        if (text.length > most) throw new Error('full');
        made[key] = text;
      },
      removeItem: (key: string) => delete made[key],
    };
    for (const [name, value] of Object.entries(hidden)) Object.defineProperty(made, name, { value });
    return made;
  }
}

/** Another window of the same browser: all modules anew. `session`: that of a window that is loaded again. */
async function openWindow(session = Storage.of()) {
  vi.resetModules();
  vi.stubGlobal('sessionStorage', session);
  const drafts = await import('../src/state/drafts');
  const tabs = await import('../src/state/tabs');
  const documents = await import('../src/state/documents');
  const { readFile } = await import('../src/doc/document');
  const { parseJson } = await import('../src/doc/json');
  const view = await import('../src/state/view');
  const identity = await import('../src/state/window');
  const open = (name: string): string => tabs.openTab(name, readFile(parseJson(CHAIN)));
  return { session, ...drafts, ...tabs, ...documents, ...identity, view, open };
}
const names = (window: Awaited<ReturnType<typeof openWindow>>): string[] =>
  window.useTabs.getState().tabs.map((each) => each.name);
const keys = (): string[] => Object.keys(localStorage).filter((each) => each.startsWith('easel.drafts'));

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  vi.stubGlobal('localStorage', Storage.of());
  vi.stubGlobal('addEventListener', () => undefined);
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

test('two windows keep their workflows apart, and each finds its own again', async () => {
  const first = await openWindow();
  first.open('one');
  first.saveDrafts();
  const second = await openWindow();
  expect(second.restoreDrafts()).toBe(false); // the first lives
  second.open('two');
  second.saveDrafts();
  expect(keys()).toHaveLength(2);
  const again = await openWindow(first.session);
  expect(again.restoreDrafts()).toBe(true);
  expect(names(again)).toEqual(['one']);
});

test('a new window takes what closed windows kept, and what an older editor did', async () => {
  for (const name of ['one', 'two']) {
    const window = await openWindow();
    window.open(name);
    window.saveDrafts(true);
  }
  localStorage.setItem('easel.drafts', `{"active":"x","tabs":[{"id":"x","name":"old","clean":true,"file":${CHAIN}}]}`);
  const window = await openWindow();
  expect(window.restoreDrafts()).toBe(true);
  expect(names(window).sort()).toEqual(['old', 'one', 'two']);
  expect(keys()).toEqual([`easel.drafts.${window.windowId()}`]);
});

test('a window whose browser tab was duplicated takes another name and keeps what it holds', async () => {
  const { isReplaced } = await import('../src/net/socket');
  expect(isReplaced({ code: 1008, reason: 'replaced by a newer connection' })).toBe(true);
  expect(isReplaced({ code: 1006, reason: '' })).toBe(false);
  const first = await openWindow();
  const id = first.open('one');
  first.saveDrafts();
  const before = first.windowId();
  first.renewWindow();
  first.saveDrafts();
  expect(first.windowId()).not.toBe(before);
  expect(first.session['easel.client']).toBe(first.windowId());
  expect(keys()).toHaveLength(2);
  expect(first.useTabs.getState().active).toBe(id);
});

test('one workflow that cannot be read takes no other with it, and its text is kept', async () => {
  const window = await openWindow();
  window.open('good');
  window.open('bad');
  window.saveDrafts();
  const key = `easel.drafts.${window.windowId()}`;
  const kept = JSON.parse(String(localStorage[key])) as { tabs: { file: unknown }[] };
  (kept.tabs[1] as { file: unknown }).file = { nodes: 'none' };
  localStorage.setItem(key, JSON.stringify(kept));
  const again = await openWindow(window.session);
  expect(again.restoreDrafts()).toBe(true);
  expect(names(again)).toEqual(['good']);
  const aside = Object.keys(localStorage).filter((each) => each.startsWith('easel.unreadable'));
  expect(aside.map((each) => String(localStorage[each]).includes('"bad"'))).toEqual([true]);
  expect(again.view.useView.getState().toasts).toHaveLength(1);
});

test('that the storage is full is said once', async () => {
  const window = await openWindow();
  window.open('one');
  vi.stubGlobal('localStorage', Storage.of(10));
  expect(window.saveDrafts()).toBe(false);
  expect(window.saveDrafts()).toBe(false);
  expect(window.view.useView.getState().toasts.map((each) => each.tone)).toEqual(['error']);
});

test('what was saved of a changed workflow is known after a reload', async () => {
  const window = await openWindow();
  const id = window.open('one');
  window.change({ kind: 'patch', nodes: ['1'], fields: { title: 'changed' } });
  window.saveDrafts();
  const again = await openWindow(window.session);
  again.restoreDrafts();
  const tab = again.useTabs.getState().tabs.find((each) => each.id === id);
  expect(tab?.saved.nodes.map((each) => each.title)).toEqual([undefined, undefined, undefined, undefined]);
  expect(tab?.state.doc.nodes[0]?.title).toBe('changed');
});

test('a save marks the tab that it began in', async () => {
  const window = await openWindow();
  const first = window.open('one');
  const doc = window.getWhole();
  const second = window.open('two');
  window.markSaved(first, doc, 'kept/mine.json');
  const tabs = window.useTabs.getState().tabs;
  expect(tabs.map((each) => [each.id, each.path])).toEqual([
    [first, 'kept/mine.json'],
    [second, null],
  ]);
});

test('a batch goes on with the workflow that it began with, and stops when that is closed', async () => {
  const window = await openWindow();
  const { run } = await import('../src/net/run');
  const { useView } = window.view;
  const { setServerDefinitions } = window;
  const support = await import('./support');
  setServerDefinitions(support.DEFINITIONS);
  const first = window.open('one');
  window.change({ kind: 'value', node: '3', name: 'seed', value: 5 });
  window.change({ kind: 'value', node: '3', name: 'seed:control', value: 'increment' });
  useView.setState({ count: 3 });
  const sent: string[] = [];
  let turn = (_: number): void => undefined;
  vi.stubGlobal('location', { href: 'http://here/' });
  vi.stubGlobal('fetch', async (input: Request | string, init?: RequestInit) => {
    sent.push(input instanceof Request ? await input.text() : String(init?.body));
    turn(sent.length);
    return new Response(JSON.stringify({ prompt_id: `job${sent.length}`, number: 1, node_errors: {} }), {
      headers: { 'content-type': 'application/json' },
    });
  });
  turn = (at) => {
    if (at === 1) window.openTab('another', { ...window.getWhole(), nodes: [], links: [] });
    if (at === 2) window.closeTab(first);
  };
  await run();
  expect(sent).toHaveLength(2);
  const seed = (text: string): unknown =>
    (JSON.parse(text) as { prompt: { nodes: { widgets_values: unknown[] }[] } }).prompt.nodes[2]?.widgets_values[0];
  expect(sent.map(seed)).toEqual([5, 6]);
});
