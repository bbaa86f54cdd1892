/** The rail and the panel at the left: workflows, the graph as a list, models, the queue, pictures, what is wrong. */

import { Boxes, FolderOpen, Image, ListTree, Rows3, TriangleAlert, X } from 'lucide-react';
import { lazy, type ReactNode, Suspense } from 'react';
import { COMMANDS } from '../commands';
import { keysOf, shownKeys } from '../commands/command';
import { useRuns } from '../state/runs';
import { type Panel, togglePanel, useView } from '../state/view';
import { t } from '../words';
import { Outline } from './Outline';
import { Problems, useProblems } from './Problems';
import { Queue } from './Queue';
import { Workflows } from './Workflows';

const Gallery = lazy(() => import('./Gallery'));
const Models = lazy(() => import('./Models'));

const PANELS: Readonly<Record<NonNullable<Panel>, readonly [string, ReactNode, () => ReactNode]>> = {
  workflows: ['Workflows', <FolderOpen key="i" size={18} />, () => <Workflows />],
  outline: ['Outline', <ListTree key="i" size={18} />, () => <Outline />],
  models: ['Models', <Boxes key="i" size={18} />, () => <Models />],
  gallery: ['Pictures', <Image key="i" size={18} />, () => <Gallery />],
  queue: ['Queue and history', <Rows3 key="i" size={18} />, () => <Queue />],
  problems: ['Problems', <TriangleAlert key="i" size={18} />, () => <Problems />],
};

export function Rail() {
  return (
    <nav className="rail" aria-label={t('Panels')}>
      {(Object.keys(PANELS) as NonNullable<Panel>[]).map((panel) => (
        <PanelButton key={panel} panel={panel} />
      ))}
    </nav>
  );
}

export function SidePanel() {
  const panel = useView((state) => state.panel);
  if (!panel) return null;
  const [title, , body] = PANELS[panel];
  return (
    <aside className={`side side-${panel}`} aria-label={t(title)}>
      <div className="side-head">
        <h2>{t(title)}</h2>
        <button
          type="button"
          className="icon-button"
          aria-label={t('Close {{name}}', { name: t(title) })}
          onClick={() => useView.setState({ panel: null })}
        >
          <X size={16} />
        </button>
      </div>
      <div className="side-body">
        <Suspense fallback={<p className="faint">…</p>}>{body()}</Suspense>
      </div>
    </aside>
  );
}

function PanelButton({ panel }: { readonly panel: NonNullable<Panel> }) {
  const isOpen = useView((state) => state.panel === panel);
  const remaining = useRuns((state) => state.remaining);
  const problems = useProblems().length;
  const [title, icon] = PANELS[panel];
  const name = t(title);
  const count = panel === 'queue' ? remaining : panel === 'problems' ? problems : 0;
  const command = COMMANDS.find((each) => each.id === `view.${panel}`);
  const key = command && keysOf(command)[0];
  return (
    <button
      type="button"
      className="icon-button"
      aria-pressed={isOpen}
      aria-label={count ? t('{{name}}, {{count}} in all', { name, count }) : name}
      title={key ? `${name} (${shownKeys(key)})` : name}
      onClick={() => togglePanel(panel)}
    >
      {icon}
      {panel === 'queue' && remaining > 0 && (
        <span className="badge" aria-hidden="true">
          {remaining}
        </span>
      )}
      {panel === 'problems' && problems > 0 && (
        <span className="badge is-bad" aria-hidden="true">
          {problems}
        </span>
      )}
    </button>
  );
}
