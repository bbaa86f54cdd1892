/** Commands that run workflows. */

import * as api from '../net/api';
import { changed } from '../net/queries';
import { run } from '../net/run';
import { useRuns } from '../state/runs';
import { openDialog, say } from '../state/view';
import { always, type Command } from './command';

const tell = (what: Promise<unknown>): Promise<void> =>
  what.then(
    () => changed('jobs'),
    (error: unknown) => say(error instanceof Error ? error.message : String(error), 'error'),
  );

export const RUN: readonly Command[] = [
  { id: 'run.queue', title: 'Run', keys: ['Mod+Enter'], when: always, perform: () => run(), inText: true },
  {
    id: 'run.front',
    title: 'Run before all others',
    keys: ['Mod+Shift+Enter'],
    when: always,
    perform: () => run(true),
    inText: true,
  },
  {
    id: 'run.interrupt',
    title: 'Stop the running job',
    keys: ['Mod+Alt+Enter'],
    when: () => useRuns.getState().remaining > 0,
    perform: () => tell(api.interrupt()),
    inText: true,
  },
  {
    id: 'run.sweep',
    title: 'Sweep: run with several values…',
    keys: [],
    when: always,
    perform: () => openDialog({ kind: 'sweep' }),
  },
  {
    id: 'run.pause',
    title: 'Pause the queue',
    keys: [],
    when: always,
    perform: () => tell(api.pauseQueue(true)),
  },
  {
    id: 'run.resume',
    title: 'Resume the queue',
    keys: [],
    when: always,
    perform: () => tell(api.pauseQueue(false)),
  },
  {
    id: 'run.clear',
    title: 'Clear all waiting jobs',
    keys: [],
    when: () => useRuns.getState().remaining > 0,
    perform: () => tell(api.clearQueue()),
  },
];
