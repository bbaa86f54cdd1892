/** Commands for files and tabs. */

import template from '../../../../workflows/txt2img.json?raw';
import { exportApi, exportFile, newWorkflow, openFile, openText, save } from '../net/run';
import { activeTab, closeTab, switchTab, useTabs } from '../state/tabs';
import { openDialog, useView } from '../state/view';
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
  if (tab) closeTab(tab.id);
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
