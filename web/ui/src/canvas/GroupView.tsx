/** A group on the canvas: a frame with a title, which can be renamed, coloured, resized, fitted and taken away. */

import { type NodeProps, NodeResizeControl } from '@xyflow/react';
import { memo } from 'react';
import { keyOf, type Point } from '../doc/document';
import { frameAround, nodesIn } from '../doc/groups';
import type { JsonObject } from '../doc/json';
import { change, getDefinitions, getDoc } from '../state/documents';
import { useView } from '../state/view';
import { t } from '../words';
import { Rename } from './Field';

export const GROUP = 'group:';
export const groupPlace = (id: string): number => Number(id.slice(GROUP.length));

const COLOURS = ['#3f789e', '#8a5d9e', '#3f8a5a', '#a1763a', '#a04848', '#5a6270'];

export const GroupView = memo(function GroupView({ id, data }: NodeProps) {
  const group = (data as { group: JsonObject }).group;
  const place = groupPlace(id);
  const title = String(group.title ?? t('Group'));
  const isRenaming = useView((state) => state.renaming === id);
  const colour = typeof group.color === 'string' && /^#[0-9a-f]{3,8}$/i.test(group.color) ? group.color : undefined;
  const set = (fields: JsonObject): void => change({ kind: 'group', place, group: { ...group, ...fields } });
  const next = COLOURS[(COLOURS.indexOf(colour ?? '') + 1) % COLOURS.length] ?? '#3f789e';
  const done = (text: string | null): void => {
    useView.setState({ renaming: null });
    if (text !== null && text !== title) set({ title: text });
  };
  const fit = (): void => {
    const bounding = frameAround(nodesIn(getDoc(), group), getDefinitions());
    if (bounding) set({ bounding: [...bounding] });
  };
  const select = (): void => useView.setState({ selected: new Set(nodesIn(getDoc(), group).map(keyOf)) });
  return (
    <div className="frame" style={{ '--frame': colour } as object}>
      <div className="frame-head">
        {isRenaming ? (
          <Rename title={title} label={t('Name of the group')} done={done} />
        ) : (
          // biome-ignore lint/a11y/noStaticElementInteractions: the button beside it does the same
          <span className="frame-title" onDoubleClick={() => useView.setState({ renaming: id })}>
            {title}
          </span>
        )}
        <span className="frame-tools nodrag">
          {(
            [
              ['Rename', () => useView.setState({ renaming: id })],
              ['Colour', () => set({ color: next })],
              ['Fit', fit],
              ['Select its nodes', select],
              ['Ungroup', () => change({ kind: 'group', place, group: null })],
            ] as const
          ).map(([words, perform]) => (
            <button
              key={words}
              type="button"
              className="button small"
              aria-label={t('{{words}}: group {{title}}', { words: t(words), title })}
              onClick={perform}
            >
              {t(words)}
            </button>
          ))}
        </span>
      </div>
      <NodeResizeControl className="resize" minWidth={120} minHeight={80} />
    </div>
  );
});

export type Live = Readonly<Record<string, Point>>;
