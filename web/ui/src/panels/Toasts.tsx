/** Short messages over the editor. */

import { X } from 'lucide-react';
import { dismiss, useView } from '../state/view';
import { t } from '../words';

/** What is said to screen readers alone. */
export function Announced() {
  return (
    <p className="hidden" aria-live="polite">
      {useView((state) => state.announced)}
    </p>
  );
}

export function Toasts() {
  const toasts = useView((state) => state.toasts);
  return (
    <section className="toasts" aria-live="polite" aria-label={t('Messages')}>
      {toasts.map((each) => (
        <div key={each.id} className={`toast is-${each.tone}`}>
          <span>{each.text}</span>
          {each.action && (
            <button
              type="button"
              className="button small"
              onClick={() => {
                dismiss(each.id);
                each.action?.perform();
              }}
            >
              {each.action.words}
            </button>
          )}
          <button
            type="button"
            className="icon"
            aria-label={t('Dismiss this message')}
            onClick={() => dismiss(each.id)}
          >
            <X size={14} />
          </button>
        </div>
      ))}
    </section>
  );
}
