/** The menu of the right mouse button, made from the commands. */

import { ContextMenu } from '@base-ui/react/context-menu';
import type { ReactNode } from 'react';
import { commandById } from '../commands';
import { keysOf, shownKeys } from '../commands/command';
import { select, useView } from '../state/view';
import { t } from '../words';

const ON_NODES = [
  'edit.connect',
  'edit.rename',
  'edit.collapse',
  'edit.mute',
  'edit.bypass',
  'edit.pin',
  'edit.group',
  'edit.subgraph',
  'edit.enter',
  'edit.unpack',
  'edit.duplicate',
  'edit.copy',
  'edit.cut',
  'edit.disconnect',
  'edit.delete',
];
const ON_CANVAS = [
  'edit.add',
  'edit.paste',
  'edit.selectAll',
  'edit.arrange',
  'edit.leave',
  'view.fit',
  'edit.undo',
  'edit.redo',
];

export function NodeMenu({ children }: { readonly children: ReactNode }) {
  const isOnNodes = useView((state) => state.selected.size > 0);
  /** What the menu is about is what lies under the pointer. */
  const aim = (event: React.MouseEvent): void => {
    const node =
      event.target instanceof Element ? event.target.closest<HTMLElement>('.react-flow__node')?.dataset.id : undefined;
    if (!node || node.startsWith('group:')) select([]);
    else if (!useView.getState().selected.has(node)) select([node]);
  };
  return (
    <ContextMenu.Root>
      <ContextMenu.Trigger className="stage" onContextMenu={aim}>
        {children}
      </ContextMenu.Trigger>
      <ContextMenu.Portal>
        <ContextMenu.Positioner className="positioner">
          <ContextMenu.Popup className="menu" aria-label={t(isOnNodes ? 'Selection' : 'Canvas')}>
            {(isOnNodes ? ON_NODES : ON_CANVAS).map(commandById).map((each) => (
              <ContextMenu.Item
                key={each.id}
                className="menu-item"
                disabled={!each.when()}
                onClick={() => void each.perform()}
              >
                <span>{t(each.title)}</span>
                <kbd>{shownKeys(keysOf(each)[0] ?? '')}</kbd>
              </ContextMenu.Item>
            ))}
          </ContextMenu.Popup>
        </ContextMenu.Positioner>
      </ContextMenu.Portal>
    </ContextMenu.Root>
  );
}
