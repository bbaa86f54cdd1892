/** Commands that change what is on the screen. */

import { openPalette, setTheme, type Theme, togglePanel, useView } from '../state/view';
import { always, type Command } from './command';

const THEMES: readonly Theme[] = ['system', 'dark', 'light'];

export const VIEW: readonly Command[] = [
  {
    id: 'view.commands',
    title: 'All commands…',
    keys: ['Mod+K', 'Mod+Shift+P'],
    when: always,
    perform: () => openPalette({ kind: 'commands' }),
    inText: true,
  },
  {
    id: 'view.find',
    title: 'Find a node…',
    keys: ['Mod+F'],
    when: always,
    perform: () => openPalette({ kind: 'find' }),
  },
  {
    id: 'view.fit',
    title: 'Show the whole graph',
    keys: ['.'],
    when: always,
    perform: () => useView.setState((state) => ({ fit: state.fit + 1 })),
  },
  { id: 'view.outline', title: 'Outline panel', keys: ['O'], when: always, perform: () => togglePanel('outline') },
  {
    id: 'view.queue',
    title: 'Queue and history panel',
    keys: ['Q'],
    when: always,
    perform: () => togglePanel('queue'),
  },
  { id: 'view.gallery', title: 'Pictures panel', keys: ['G'], when: always, perform: () => togglePanel('gallery') },
  { id: 'view.problems', title: 'Problems panel', keys: ['E'], when: always, perform: () => togglePanel('problems') },
  {
    id: 'view.minimap',
    title: 'Show or hide the map',
    keys: ['M'],
    when: always,
    perform: () => useView.setState(({ minimap }) => ({ minimap: !minimap })),
  },
  {
    id: 'view.snap',
    title: 'Snap to the grid, or not',
    keys: [],
    when: always,
    perform: () => useView.setState(({ snap }) => ({ snap: !snap })),
  },
  {
    id: 'view.help',
    title: 'Keyboard shortcuts',
    keys: ['?'],
    when: always,
    perform: () => useView.setState({ help: true }),
  },
  ...THEMES.map(
    (theme): Command => ({
      id: `view.theme.${theme}`,
      title: `Colours: ${theme}`,
      keys: [],
      when: always,
      perform: () => setTheme(theme),
    }),
  ),
];
