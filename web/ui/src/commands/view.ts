/** Commands that change what is on the screen. */

import { canvas } from '../canvas/port';
import { nodeAt, writeFile } from '../doc/document';
import { getDoc } from '../state/documents';
import { choose, getSettings, type Theme } from '../state/settings';
import { activeTab } from '../state/tabs';
import { openDialog, openPalette, toggleInspector, togglePanel, useView } from '../state/view';
import { always, type Command } from './command';

const chosenNode = () => {
  const [key] = useView.getState().selected;
  return key === undefined ? undefined : nodeAt(getDoc(), key);
};

const ZOOM = 1.25;
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
  {
    id: 'view.fitSelection',
    title: 'Show the selection',
    keys: [','],
    when: () => useView.getState().selected.size > 0,
    perform: () => canvas.show([...useView.getState().selected]),
  },
  { id: 'view.zoomIn', title: 'Zoom in', keys: ['+', '='], when: always, perform: () => canvas.zoomBy(ZOOM) },
  { id: 'view.zoomOut', title: 'Zoom out', keys: ['-'], when: always, perform: () => canvas.zoomBy(1 / ZOOM) },
  { id: 'view.realSize', title: 'Zoom to real size', keys: ['0'], when: always, perform: () => canvas.zoomTo(1) },
  {
    id: 'view.tool',
    title: 'Dragging moves the view, or chooses nodes',
    keys: ['V'],
    when: always,
    perform: () => useView.setState(({ tool }) => ({ tool: tool === 'hand' ? 'select' : 'hand' })),
  },
  {
    id: 'view.lock',
    title: 'Lock or unlock the graph',
    keys: ['L'],
    when: always,
    perform: () => useView.setState(({ isLocked }) => ({ isLocked: !isLocked })),
  },
  {
    id: 'view.workflows',
    title: 'Workflows panel',
    keys: ['W'],
    when: always,
    perform: () => togglePanel('workflows'),
  },
  { id: 'view.models', title: 'Models panel', keys: ['B'], when: always, perform: () => togglePanel('models') },
  {
    id: 'view.properties',
    title: 'Properties of the selection',
    keys: ['I'],
    when: always,
    perform: () => toggleInspector('properties'),
  },
  {
    id: 'view.form',
    title: 'Form view: the inputs that matter',
    keys: ['F'],
    when: always,
    perform: () => toggleInspector('form'),
  },
  {
    id: 'view.timing',
    title: 'What ran, why, and how long it took',
    keys: ['T'],
    when: always,
    perform: () => toggleInspector('timing'),
  },
  {
    id: 'view.nodeHelp',
    title: 'What is this node?',
    keys: ['H'],
    when: () => chosenNode() !== undefined,
    perform: () => openDialog({ kind: 'help', type: chosenNode()?.type ?? '' }),
  },
  {
    id: 'view.diff',
    title: 'What changed since it was saved?',
    keys: [],
    when: always,
    perform: () => {
      const tab = activeTab();
      if (tab) openDialog({ kind: 'diff', other: writeFile(tab.saved), name: tab.name });
    },
  },
  { id: 'view.tour', title: 'Show the tour', keys: [], when: always, perform: () => choose({ toured: false }) },
  {
    id: 'view.settings',
    title: 'Settings…',
    keys: ['Mod+,'],
    when: always,
    perform: () => openDialog({ kind: 'settings', page: 'general' }),
    inText: true,
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
    perform: () => choose({ minimap: !getSettings().minimap }),
  },
  {
    id: 'view.snap',
    title: 'Snap to the grid, or not',
    keys: [],
    when: always,
    perform: () => choose({ snap: !getSettings().snap }),
  },
  {
    id: 'view.help',
    title: 'Keyboard shortcuts',
    keys: ['?'],
    when: always,
    perform: () => openDialog({ kind: 'settings', page: 'keys' }),
  },
  ...THEMES.map(
    (theme): Command => ({
      id: `view.theme.${theme}`,
      title: `Colours: ${theme}`,
      keys: [],
      when: always,
      perform: () => choose({ theme }),
    }),
  ),
];
