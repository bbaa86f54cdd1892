/** Four steps for newcomers: what a node is, how to link, run, and save. */

import { useState } from 'react';
import { choose, useSettings } from '../state/settings';
import { t } from '../words';

const STEPS: readonly (readonly [string, string, string])[] = [
  [
    '.react-flow__node',
    'A node',
    'Each box does one thing: loads a model, reads your words, makes the picture. Change its fields here.',
  ],
  [
    '.react-flow__handle.source',
    'A link',
    'Pull from a coloured point to one of the same kind to hand something on. By keyboard: press C on a node.',
  ],
  ['.run .primary', 'Run', 'This makes the picture; so does Ctrl+Enter. Only what you changed is worked out anew.'],
  ['.brand', 'Save', 'Ctrl+S keeps the workflow on the server. Every picture also carries the workflow that made it.'],
];

export function Tour() {
  const toured = useSettings((state) => state.toured);
  const [at, setAt] = useState(0);
  if (toured) return null;
  const [target, title, text] = STEPS[at] ?? ['', '', ''];
  const box = document.querySelector(target)?.getBoundingClientRect();
  const end = (): void => choose({ toured: true });
  const left = Math.min(Math.max(12, box ? box.left : 80), innerWidth - 352);
  const below = (box?.bottom ?? 100) + 14;
  const top = below + 190 < innerHeight ? below : Math.max(56, (box?.top ?? 300) - 190);
  return (
    <section className="tour" style={{ left, top }} aria-label={t('A short tour')} aria-live="polite">
      <h2>{t(title)}</h2>
      <p>{t(text)}</p>
      <div className="dialog-buttons">
        <span className="faint">{t('{{at}} of {{count}}', { at: at + 1, count: STEPS.length })}</span>
        <button type="button" className="button small" onClick={end}>
          {t('Skip the tour')}
        </button>
        <button
          type="button"
          className="button primary small"
          onClick={() => (at + 1 < STEPS.length ? setAt(at + 1) : end())}
        >
          {t(at + 1 < STEPS.length ? 'Next' : 'Done')}
        </button>
      </div>
    </section>
  );
}
