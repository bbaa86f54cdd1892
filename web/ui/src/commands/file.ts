/** Commands for files and tabs. */

import template from '../../../../workflows/txt2img.json?raw';
import { exportApi, exportFile, newWorkflow, openFile, openText, save } from '../net/run';
import { getWhole, wholeOf } from '../state/documents';
import { activeTab, closeTab, duplicateTab, hasClosed, reopenTab, switchTab, useTabs } from '../state/tabs';
import { openDialog, say, useView } from '../state/view';
import { t } from '../words';
import { always, type Command } from './command';

export const DEFAULT_WORKFLOW: string = template;

function pick(): void {
  const input = Object.assign(document.createElement('input'), {
    type: 'file',
    accept: '.json,.png,.webp,application/json,image/png,image/webp',
    multiple: true,
  });
  input.onchange = () => {
    for (const file of input.files ?? []) void openFile(file);
  };
  input.click();
}

function close(): void {
  const tab = activeTab();
  if (tab) closeWithCare(tab.id);
}

/** Close a workflow; of one that is not saved it is said that it can be opened again. */
export function closeWithCare(id: string): void {
  const tab = useTabs.getState().tabs.find((each) => each.id === id);
  if (!tab) return;
  const isShown = id === useTabs.getState().active;
  const doc = isShown ? getWhole() : wholeOf(tab.state);
  closeTab(id);
  if (doc !== tab.saved && doc.nodes.length > 0)
    say(t('{{name}} was closed without being saved.', { name: tab.name }), 'info', {
      words: t('Open it again'),
      perform: reopenTab,
    });
}

function step(by: number): void {
  const { tabs, active } = useTabs.getState();
  const place = tabs.findIndex((each) => each.id === active);
  const next = tabs[(place + by + tabs.length) % tabs.length];
  if (next) switchTab(next.id);
}

export const FILE: readonly Command[] = [
  {
    id: 'file.new',
    title: 'New workflow',
    keys: ['Alt+N'],
    when: always,
    perform: () => void newWorkflow(),
    inText: true,
  },
  {
    id: 'file.template',
    title: 'Start from text to image',
    keys: [],
    when: always,
    perform: () => openText(DEFAULT_WORKFLOW, 'Text to image.json'),
  },
  { id: 'file.open', title: 'Open…', keys: ['Mod+O'], when: always, perform: pick, inText: true },
  { id: 'file.save', title: 'Save', keys: ['Mod+S'], when: always, perform: save, inText: true },
  {
    id: 'file.saveAs',
    title: 'Save as…',
    keys: ['Mod+Shift+S'],
    when: always,
    perform: () => openDialog({ kind: 'save' }),
    inText: true,
  },
  {
    id: 'file.export',
    title: 'Export as a file',
    keys: ['Mod+Alt+S'],
    when: always,
    perform: exportFile,
    inText: true,
  },
  { id: 'file.exportApi', title: 'Export for programs (API form)', keys: [], when: always, perform: exportApi },
  { id: 'file.close', title: 'Close this workflow', keys: ['Alt+W'], when: always, perform: close, inText: true },
  {
    id: 'file.reopen',
    title: 'Open the workflow that was closed last',
    keys: ['Alt+Shift+W'],
    when: hasClosed,
    perform: reopenTab,
    inText: true,
  },
  {
    id: 'file.duplicate',
    title: 'Duplicate this workflow',
    keys: [],
    when: always,
    perform: () => duplicateTab(t('{{name}} (copy)', { name: activeTab()?.name ?? '' })),
  },
  {
    id: 'file.rename',
    title: 'Rename this workflow',
    keys: [],
    when: always,
    perform: () => useView.setState({ renaming: 'tab' }),
  },
  {
    id: 'file.nextTab',
    title: 'Next workflow',
    keys: ['Alt+PageDown'],
    when: always,
    perform: () => step(1),
    inText: true,
  },
  {
    id: 'file.previousTab',
    title: 'Previous workflow',
    keys: ['Alt+PageUp'],
    when: always,
    perform: () => step(-1),
    inText: true,
  },
];
