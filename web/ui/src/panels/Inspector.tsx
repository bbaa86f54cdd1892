/** The panel at the right: the chosen nodes, the form of the workflow, or what the last run cost. */

import { X } from 'lucide-react';
import { lazy, type ReactNode, Suspense } from 'react';
import { useView, type Inspector as Which } from '../state/view';
import { t } from '../words';
import { Properties } from './Properties';

const FormView = lazy(() => import('./FormView'));
const Timing = lazy(() => import('./Timing'));

const PAGES: Readonly<Record<NonNullable<Which>, readonly [string, () => ReactNode]>> = {
  properties: ['Properties', () => <Properties />],
  form: ['Form', () => <FormView />],
  timing: ['What ran, and why', () => <Timing />],
};

export function Inspector() {
  const which = useView((state) => state.inspector);
  if (!which) return null;
  const [title, body] = PAGES[which];
  return (
    <aside className="inspector" aria-label={t(title)}>
      <div className="side-head">
        <h2>{t(title)}</h2>
        <button
          type="button"
          className="icon-button"
          aria-label={t('Close {{name}}', { name: t(title) })}
          onClick={() => useView.setState({ inspector: null })}
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
