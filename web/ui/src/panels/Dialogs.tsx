/** The dialogs; each is loaded when it is first opened. */

import { Dialog } from '@base-ui/react/dialog';
import { X } from 'lucide-react';
import { lazy, type ReactNode, Suspense } from 'react';
import { openDialog, useView, type Dialog as What } from '../state/view';
import { t } from '../words';

const Compare = lazy(() => import('./Compare'));
const MaskEditor = lazy(() => import('./MaskEditor'));
const Diff = lazy(() => import('./Diff'));
const NodeHelp = lazy(() => import('./NodeHelp'));
const Sweep = lazy(() => import('./Sweep'));
const SettingsDialog = lazy(() => import('./Settings'));
const SaveDialog = lazy(() => import('./SaveDialog'));

type Body<K extends What['kind']> = (what: Extract<What, { kind: K }>) => ReactNode;
const BODIES: { readonly [K in What['kind']]: Body<K> } = {
  save: () => <SaveDialog />,
  settings: ({ page }) => <SettingsDialog page={page} />,
  help: ({ type }) => <NodeHelp type={type} />,
  sweep: () => <Sweep />,
  diff: ({ other, name }) => <Diff other={other} name={name} />,
  mask: ({ node }) => <MaskEditor node={node} />,
  compare: ({ urls }) => <Compare urls={urls} />,
};

/** Dialogs that want all the room there is. */
const WIDE: ReadonlySet<What['kind']> = new Set(['mask', 'compare', 'diff', 'sweep', 'settings']);

export function Dialogs() {
  const dialog = useView((state) => state.dialog);
  return (
    <Dialog.Root open={dialog !== null} onOpenChange={(open) => !open && openDialog(null)}>
      <Dialog.Portal>
        <Dialog.Backdrop className="backdrop" />
        <Dialog.Popup className={`dialog dialog-${dialog?.kind} ${dialog && WIDE.has(dialog.kind) ? 'is-wide' : ''}`}>
          {dialog && (
            <Suspense fallback={<Dialog.Title>…</Dialog.Title>}>
              {(BODIES[dialog.kind] as Body<What['kind']>)(dialog as never)}
            </Suspense>
          )}
          <Dialog.Close className="icon-button dialog-close" aria-label={t('Close')}>
            <X size={16} />
          </Dialog.Close>
        </Dialog.Popup>
      </Dialog.Portal>
    </Dialog.Root>
  );
}
