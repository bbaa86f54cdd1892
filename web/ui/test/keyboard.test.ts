import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { COMMANDS, commandById, commandOf } from '../src/commands';
import { shortcutOf } from '../src/commands/command';
import { reroutesOf } from '../src/doc/reroutes';
import { change, enter, getDoc, setServerDefinitions, undo } from '../src/state/documents';
import { useRuns } from '../src/state/runs';
import { closeTab, openTab, useTabs } from '../src/state/tabs';
import { select, useView } from '../src/state/view';
import { chain, DEFINITIONS } from './support';

/** What has the focus when a key is pressed; `within`: the elements around it. */
class FakeElement {
  constructor(readonly within: readonly string[] = []) {}
  closest(selector: string): FakeElement | null {
    return this.within.some((each) => selector.split(/,\s*/).includes(each)) ? this : null;
  }
}
let marked = '';
const press = (key: string, more: object = {}): string | null => {
  const held = { ctrlKey: false, metaKey: false, shiftKey: false, altKey: false, target: new FakeElement() };
  return commandOf({ key, ...held, ...more } as never)?.id ?? null;
};
const perform = (id: string): void => {
  expect(commandById(id).when()).toBe(true);
  void commandById(id).perform();
};

beforeEach(() => {
  marked = '';
  vi.stubGlobal('Element', FakeElement);
  vi.stubGlobal('HTMLElement', class {});
  vi.stubGlobal('getSelection', () => marked);
  useView.setState({ selected: new Set(), selectedLinks: new Set(), isLocked: false, palette: null, dialog: null });
  useRuns.setState({ remaining: 0 });
  useTabs.setState({ tabs: [], active: '' });
  setServerDefinitions(DEFINITIONS);
  openTab('one', chain());
});
afterEach(() => vi.unstubAllGlobals());

test('every command can be reached in the palette by keys alone', () => {
  const found = new Set<string>();
  const look = (): void => {
    for (const each of COMMANDS) if (each.when()) found.add(each.id);
  };
  look();
  select(['3']); // as Tab does
  look();
  perform('edit.selectAll');
  look();
  perform('edit.subgraph');
  look();
  enter([...useView.getState().selected][0] ?? '');
  look();
  perform('edit.leave');
  undo();
  look();
  perform('edit.link');
  expect(useView.getState().palette).toEqual({ kind: 'links', nodes: [] });
  useView.setState({ palette: null, selectedLinks: new Set([1]) }); // as the palette does
  look();
  perform('edit.reroute');
  look();
  change({ kind: 'add', nodes: [{ id: 40, type: 'Picture' }], links: [] });
  select(['40']);
  look();
  useRuns.setState({ remaining: 2 });
  look();
  closeTab(useTabs.getState().active);
  look();
  expect(COMMANDS.map((each) => each.id).filter((id) => !found.has(id))).toEqual([]);
});

test('a link that was chosen gets points, which are moved by the arrows and removed, and is deleted', () => {
  useView.setState({ selectedLinks: new Set([1]) });
  perform('edit.reroute');
  const [before] = [...reroutesOf(getDoc()).values()];
  perform('edit.moveRight');
  const [after] = [...reroutesOf(getDoc()).values()];
  expect([after?.pos[0], after?.pos[1]]).toEqual([(before?.pos[0] ?? 0) + 10, before?.pos[1]]);
  perform('edit.straighten');
  expect(reroutesOf(getDoc()).size).toBe(0);
  expect(press('Delete')).toBe('edit.delete');
  perform('edit.delete');
  expect(getDoc().links.map((each) => each.id)).toEqual([2, 3]);
});

test('keys for text that is marked, and those pressed beside the graph, leave the graph alone', () => {
  select(['3']);
  expect(press('c', { ctrlKey: true })).toBe('edit.copy');
  expect(press('Delete', { target: new FakeElement(['aside']) })).toBeNull();
  expect(press('x', { ctrlKey: true, target: new FakeElement(['aside']) })).toBeNull();
  marked = 'some words';
  expect(press('c', { ctrlKey: true })).toBeNull();
  expect(press('x', { ctrlKey: true })).toBeNull();
});

test('a locked graph is looked at and copied, and not changed', () => {
  select(['3']);
  useView.setState({ isLocked: true });
  for (const id of ['edit.delete', 'edit.cut', 'edit.duplicate', 'edit.mute', 'edit.undo', 'edit.paste'])
    expect(commandById(id).when()).toBe(false);
  expect(commandById('edit.copy').when()).toBe(true);
  expect(commandById('view.lock').when()).toBe(true);
});

test.each([
  [{ key: 'œ', code: 'KeyW', altKey: true, shiftKey: true }, 'Alt+Shift+W'], // a Mac
  [{ key: 'Dead', code: 'KeyN', altKey: true }, 'Alt+N'],
  [{ key: 'я', code: 'KeyZ', ctrlKey: true }, 'Mod+Z'], // Russian
  [{ key: 'a', code: 'KeyQ', altKey: true }, 'Alt+A'], // French: the letter counts where there is one
  [{ key: 'é', code: 'Digit2' }, 'É'],
  [{ key: 'ś', code: 'KeyS', ctrlKey: true, altKey: true, getModifierState: () => true }, 'Mod+Alt+Ś'], // AltGr types
  [{ key: '?', code: 'Minus', shiftKey: true }, '?'],
])('%o is %s', (event, keys) => {
  expect(shortcutOf({ ctrlKey: false, metaKey: false, shiftKey: false, altKey: false, ...event })).toBe(keys);
});
