/** The editor, put together. */

import { type DragEvent, lazy, Suspense, useEffect, useState } from 'react';
import { Canvas } from './canvas/Canvas';
import { commandById, listen } from './commands';
import { nodeAt, titleOf } from './doc/document';
import { useDevices } from './net/queries';
import { openFile } from './net/run';
import { Crumbs } from './panels/Crumbs';
import { Dialogs } from './panels/Dialogs';
import { Inspector } from './panels/Inspector';
import { shownBytes } from './panels/jobs';
import { Lightbox } from './panels/Lightbox';
import { NodeMenu } from './panels/NodeMenu';
import { Palette } from './panels/Palette';
import { Rail, SidePanel } from './panels/SidePanel';
import { Announced, Toasts } from './panels/Toasts';
import { TopBar } from './panels/TopBar';
import { Tour } from './panels/Tour';
import { Templates } from './panels/Workflows';
import { getDefinitions, useDefinitions, useDocument } from './state/documents';
import { overall, type RunState, useRuns } from './state/runs';
import { useTabs } from './state/tabs';
import { useView } from './state/view';
import { t } from './words';

const FormView = lazy(() => import('./panels/FormView'));

export function App() {
  useEffect(listen, []);
  const isPhone = usePhone();
  const isForm = useView((state) => state.phone === 'form') && isPhone;
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
          {isForm ? (
            <Suspense fallback={null}>
              <div className="phone-form">
                <FormView />
              </div>
            </Suspense>
          ) : (
            <>
              <NodeMenu>
                <Canvas />
              </NodeMenu>
              <Crumbs />
              <Empty />
            </>
          )}
        </main>
        {!isPhone && <Inspector />}
      </div>
      <StatusLine />
      {isPhone && <PhoneBar />}
      <Palette />
      <Lightbox />
      <Dialogs />
      <Toasts />
      <Announced />
      {!isPhone && <Tour />}
    </div>
  );
}

const SMALL = '(max-width: 720px)';
function usePhone(): boolean {
  const [isPhone, setIsPhone] = useState(() => matchMedia(SMALL).matches);
  useEffect(() => {
    const query = matchMedia(SMALL);
    const hear = (): void => setIsPhone(query.matches);
    query.addEventListener('change', hear);
    return () => query.removeEventListener('change', hear);
  }, []);
  return isPhone;
}

/** On a small screen: the form, the queue and the pictures; the graph for those who want it. */
function PhoneBar() {
  const { phone, panel } = useView();
  const show = (change: Partial<ReturnType<typeof useView.getState>>) => () => useView.setState(change);
  return (
    <nav className="phone-bar" aria-label={t('Views')}>
      {(
        [
          ['Form', phone === 'form' && !panel, show({ phone: 'form', panel: null })],
          ['Queue', panel === 'queue', show({ panel: 'queue' })],
          ['Pictures', panel === 'gallery', show({ panel: 'gallery' })],
          ['Workflows', panel === 'workflows', show({ panel: 'workflows' })],
          ['Graph', phone === 'graph' && !panel, show({ phone: 'graph', panel: null })],
        ] as const
      ).map(([words, isOpen, perform]) => (
        <button key={words} type="button" className="button" aria-pressed={isOpen} onClick={perform}>
          {t(words)}
        </button>
      ))}
    </nav>
  );
}

/** An empty canvas says what can be done. */
function Empty() {
  const isEmpty = useDocument((state) => state.doc.nodes.length === 0);
  if (!isEmpty) return null;
  return (
    <div className="empty">
      <p>{t('An empty workflow')}</p>
      <div className="empty-tools">
        {['file.template', 'edit.add', 'file.open', 'view.workflows'].map(commandById).map((each, at) => (
          <button
            key={each.id}
            type="button"
            className={at === 0 ? 'button primary' : 'button'}
            onClick={() => void each.perform()}
          >
            {t(each.title)}
          </button>
        ))}
      </div>
      <Templates wanted={() => true} most={4} />
      <p className="faint">{t('Or drop a workflow, or a picture you made, anywhere here.')}</p>
    </div>
  );
}

/** What jobs run on, and how much of its memory is in use. */
function Devices() {
  const { data: devices = [] } = useDevices();
  return devices.map((each) => (
    <span key={each.name} className="device faint">
      <meter
        min={0}
        max={each.total}
        value={each.total - each.free}
        aria-label={t('Memory of {{name}} in use', { name: each.name })}
      />
      {t('{{name}}: {{used}} of {{total}}', {
        name: each.type === 'cpu' ? t('Memory') : each.name,
        used: shownBytes(each.total - each.free),
        total: shownBytes(each.total),
      })}
    </span>
  ));
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
      {online && <Devices />}
    </footer>
  );
}
