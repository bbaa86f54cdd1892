/** The editor, put together. */

import { type DragEvent, useEffect } from 'react';
import { Canvas } from './canvas/Canvas';
import { commandById, listen } from './commands';
import { nodeAt, titleOf } from './doc/document';
import { openFile } from './net/run';
import { Crumbs } from './panels/Crumbs';
import { Dialogs } from './panels/Dialogs';
import { Lightbox } from './panels/Lightbox';
import { NodeMenu } from './panels/NodeMenu';
import { Palette } from './panels/Palette';
import { Rail, SidePanel } from './panels/SidePanel';
import { Toasts } from './panels/Toasts';
import { TopBar } from './panels/TopBar';
import { getDefinitions, useDefinitions, useDocument } from './state/documents';
import { overall, type RunState, useRuns } from './state/runs';
import { useTabs } from './state/tabs';
import { t } from './words';

export function App() {
  useEffect(listen, []);
  const drop = (event: DragEvent): void => {
    if (event.dataTransfer.files.length === 0) return;
    event.preventDefault();
    for (const file of event.dataTransfer.files) void openFile(file);
  };
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: dropping is a short way for Open…
    <div className="app" onDragOver={(event) => event.preventDefault()} onDrop={drop}>
      <TopBar />
      <div className="middle">
        <Rail />
        <SidePanel />
        <main>
          <h1 className="hidden">Easel</h1>
          <NodeMenu>
            <Canvas />
          </NodeMenu>
          <Crumbs />
          <Empty />
        </main>
      </div>
      <StatusLine />
      <Palette />
      <Lightbox />
      <Dialogs />
      <Toasts />
    </div>
  );
}

/** An empty canvas says what can be done. */
function Empty() {
  const isEmpty = useDocument((state) => state.doc.nodes.length === 0);
  if (!isEmpty) return null;
  return (
    <div className="empty">
      <p>{t('An empty workflow')}</p>
      {['file.template', 'edit.add', 'file.open', 'view.workflows'].map(commandById).map((each) => (
        <button key={each.id} type="button" className="button" onClick={() => void each.perform()}>
          {t(each.title)}
        </button>
      ))}
      <p className="faint">{t('Or drop a workflow, or a picture you made, anywhere here.')}</p>
    </div>
  );
}

const runningNode = (state: RunState, tab: string): string | undefined =>
  Object.entries(state.nodes[tab] ?? {}).find(([, run]) => run.state === 'running')?.[0];

/** How far everything is, in words; also in the title of the browser's tab. */
function StatusLine() {
  const { online, remaining, running, jobs } = useRuns();
  const isLoaded = useDefinitions((state) => state.isLoaded);
  const { tabs, active } = useTabs();
  const at = (running && jobs[running]) || active;
  const all = useRuns((state) => Math.round(100 * overall(state, at)));
  const busy = useRuns((state) => runningNode(state, at)); // a key: a selector must not make anew what it gives
  const run = useRuns((state) => (busy ? state.nodes[at]?.[busy] : undefined));
  const node = useDocument((state) => (busy ? nodeAt(state.doc, busy) : undefined));
  const part = run?.max ? Math.round((100 * (run.value ?? 0)) / run.max) : 0;
  const name = tabs.find((each) => each.id === active)?.name ?? 'Easel';
  const isRunning = remaining > 0;
  useEffect(() => {
    document.title = isRunning ? `[${all}%] ${name} · Easel` : `${name} · Easel`;
  }, [isRunning, all, name]);
  const what = node ? titleOf(node, getDefinitions().get(node.type)?.title ?? node.type) : '';
  const words = !online
    ? t('No connection; trying again. Your work is kept.')
    : !isLoaded
      ? t('The server is loading its nodes…')
      : !isRunning
        ? t('Ready')
        : what
          ? `${what} ${part}%`
          : t('Running');
  return (
    <footer className="status">
      <span className={`glyph glyph-${!online ? 'error' : isRunning ? 'running' : 'finished'}`} />
      <span role="status">{words}</span>
      {isRunning && <progress max={100} value={all} aria-label={t('Progress of the running workflow')} />}
      {remaining > 1 && <span className="faint">{t('{{count}} more waiting', { count: remaining - 1 })}</span>}
    </footer>
  );
}
