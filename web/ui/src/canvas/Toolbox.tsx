/** The commands for a selection, above it, and always on the screen. */

import { useStore } from '@xyflow/react';
import { useLayoutEffect, useRef, useState } from 'react';
import { COMMANDS } from '../commands';
import { keysOf, shownKeys } from '../commands/command';
import { nodeAt, positionOf } from '../doc/document';
import { useDefinitions, useDocument } from '../state/documents';
import { useView } from '../state/view';
import { t } from '../words';
import { layoutOf } from './FarView';

const SHOWN: Readonly<Record<string, string>> = {
  'edit.mute': 'Mute',
  'edit.bypass': 'Bypass',
  'edit.duplicate': 'Duplicate',
  'edit.group': 'Group',
  'edit.subgraph': 'Subgraph',
  'view.nodeHelp': 'Help',
  'edit.delete': 'Delete',
};
const GAP = 10;
const HEIGHT = 34;

export function Toolbox() {
  const selected = useView((state) => state.selected);
  const pending = useView((state) => state.pending);
  if (selected.size === 0 || pending) return null;
  return <Tools selected={selected} />;
}

function Tools({ selected }: { readonly selected: ReadonlySet<string> }) {
  const [x, y, zoom] = useStore((state) => state.transform);
  const room = useStore((state) => state.width);
  const doc = useDocument((state) => state.doc);
  const definitions = useDefinitions((state) => state.definitions);
  const box = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(0);
  useLayoutEffect(() => setWidth(box.current?.offsetWidth ?? 0), []);
  const boxes = [...selected].flatMap((key) => {
    const node = nodeAt(doc, key);
    if (!node) return [];
    const [left, top] = positionOf(node);
    return [[left, top, left + layoutOf(definitions, node).width] as const];
  });
  if (boxes.length === 0) return null;
  const left = Math.min(...boxes.map((each) => each[0]));
  const top = Math.min(...boxes.map((each) => each[1]));
  const right = Math.max(...boxes.map((each) => each[2]));
  const middle = ((left + right) / 2) * zoom + x - width / 2;
  const place = [Math.max(GAP, Math.min(room - width - GAP, middle)), Math.max(GAP, top * zoom + y - HEIGHT - GAP)];
  return (
    <div
      ref={box}
      className="toolbox nopan"
      role="toolbar"
      aria-label={t('Selection')}
      style={{ transform: `translate(${place[0]}px, ${place[1]}px)` }}
    >
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
  );
}
