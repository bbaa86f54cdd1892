/** The commands for a selection, beside it. */

import { NodeToolbar, Position } from '@xyflow/react';
import { COMMANDS } from '../commands';
import { keysOf, shownKeys } from '../commands/command';
import { useView } from '../state/view';
import { t } from '../words';

const SHOWN: Readonly<Record<string, string>> = {
  'edit.mute': 'Mute',
  'edit.bypass': 'Bypass',
  'edit.duplicate': 'Duplicate',
  'edit.group': 'Group',
  'edit.subgraph': 'Subgraph',
  'view.nodeHelp': 'Help',
  'edit.delete': 'Delete',
};

export function Toolbox() {
  const selected = useView((state) => state.selected);
  const pending = useView((state) => state.pending);
  const ids = [...selected];
  if (ids.length === 0 || pending) return null;
  return (
    <NodeToolbar nodeId={ids} isVisible position={Position.Top} offset={10}>
      <div className="toolbox" role="toolbar" aria-label={t('Selection')}>
        {Object.entries(SHOWN).map(([id, words]) => {
          const command = COMMANDS.find((each) => each.id === id);
          if (!command?.when()) return null;
          const keys = keysOf(command)[0];
          return (
            <button
              key={id}
              type="button"
              className="button small"
              title={keys ? `${t(command.title)} (${shownKeys(keys)})` : t(command.title)}
              onClick={() => void command.perform()}
            >
              {t(words)}
            </button>
          );
        })}
      </div>
    </NodeToolbar>
  );
}
