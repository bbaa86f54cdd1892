/** The editor, put together. */

import { type DragEvent, useEffect } from 'react';
import { Canvas } from './canvas/Canvas';
import { commandById, listen } from './commands';
import { nodeAt, titleOf } from './doc/document';
import { openFile } from './net/run';
import { NodeMenu } from './panels/NodeMenu';
import { Help, Lightbox, Toasts } from './panels/Overlays';
import { Palette } from './panels/Palette';
import { SidePanel } from './panels/SidePanel';
import { TopBar } from './panels/TopBar';
import { getDefinitions, useDefinitions, useDocument } from './state/documents';
import { useRuns } from './state/runs';
import { useTabs } from './state/tabs';

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
        <main>
          <h1 className="hidden">Easel</h1>
          <NodeMenu>
            <Canvas />
          </NodeMenu>
          <Empty />
        </main>
        <SidePanel />
      </div>
      <StatusLine />
      <Palette />
      <Lightbox />
      <Help />
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
      <p>An empty workflow</p>
      {['file.template', 'edit.add', 'file.open'].map(commandById).map((each) => (
        <button key={each.id} type="button" className="button" onClick={() => void each.perform()}>
          {each.title}
        </button>
      ))}
      <p className="faint">Or drop a workflow, or a picture you made, anywhere here.</p>
    </div>
  );
}

/** How far everything is, in words; also in the title of the browser's tab. */
function StatusLine() {
  const { online, remaining, nodes } = useRuns();
  const isLoaded = useDefinitions((state) => state.isLoaded);
  const { tabs, active } = useTabs();
  const running = Object.entries(nodes[active] ?? {}).find(([, run]) => run.state === 'running');
  const node = useDocument((state) => (running ? nodeAt(state.doc, running[0]) : undefined));
  const part = running?.[1].max ? Math.round((100 * (running[1].value ?? 0)) / running[1].max) : 0;
  const name = tabs.find((each) => each.id === active)?.name ?? 'Easel';
  const isRunning = remaining > 0;
  useEffect(() => {
    document.title = isRunning ? `[${part}%] ${name} · Easel` : `${name} · Easel`;
  }, [isRunning, part, name]);
  const what = node ? titleOf(node, getDefinitions().get(node.type)?.title ?? node.type) : '';
  const words = !online
    ? 'No connection; trying again. Your work is kept.'
    : !isLoaded
      ? 'The server is loading its nodes…'
      : !isRunning
        ? 'Ready'
        : what
          ? `${what} ${part}%`
          : 'Running';
  return (
    <footer className="status">
      <span className={`glyph glyph-${!online ? 'error' : isRunning ? 'running' : 'finished'}`} />
      <span role="status">{words}</span>
      {remaining > 1 && <span className="faint">{`${remaining - 1} more waiting`}</span>}
    </footer>
  );
}
