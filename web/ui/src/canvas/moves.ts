/** Dragging and resizing: what a group takes along, and what is written into the document in the end. */

import type { Point } from '../doc/document';
import { keyOf, positionOf } from '../doc/document';
import { boundsOf, groupsIn, nodesIn } from '../doc/groups';
import { change, getDoc } from '../state/documents';
import { GROUP, groupPlace, type Live } from './GroupView';

export function resizeGroup(id: string, { width, height }: { readonly width: number; readonly height: number }): void {
  const place = groupPlace(id);
  const group = getDoc().groups[place];
  if (!group) return;
  const [x, y] = boundsOf(group);
  const bounding = [x, y, Math.round(width), Math.round(height)];
  change({ kind: 'group', place, group: { ...group, bounding } }, `resize ${id}`);
}

/** The nodes and groups that lie in a group, with where they are relative to it. */
export function membersOf(id: string): ReadonlyMap<string, Point> {
  const doc = getDoc();
  const group = doc.groups[groupPlace(id)];
  if (!group) return new Map();
  const [x, y] = boundsOf(group);
  const nodes = nodesIn(doc, group).map((each) => [keyOf(each), positionOf(each)] as const);
  const groups = groupsIn(doc, groupPlace(id)).map((place) => {
    const [left, top] = boundsOf(doc.groups[place] ?? {});
    return [`${GROUP}${place}`, [left, top]] as const;
  });
  return new Map([...nodes, ...groups].map(([key, [left, top]]) => [key, [left - x, top - y]]));
}

/** Where what lies in the group that is being moved goes. */
export function carried(moved: Live, members: ReadonlyMap<string, Point>): Live {
  const group = Object.entries(moved).find(([id]) => id.startsWith(GROUP))?.[1];
  if (!group) return {};
  return Object.fromEntries([...members].map(([key, [dx, dy]]) => [key, [group[0] + dx, group[1] + dy]]));
}

/** Write the end of a drag into the document: one step. */
export function commit(moved: Live): void {
  const nodes = Object.entries(moved)
    .filter(([id]) => !id.startsWith(GROUP))
    .map(([id, [x, y]]) => [id, [Math.round(x), Math.round(y)]]);
  const groups = Object.entries(moved)
    .filter(([id]) => id.startsWith(GROUP))
    .flatMap(([id, [x, y]]) => {
      const place = groupPlace(id);
      const group = getDoc().groups[place];
      if (!group) return [];
      const [, , width, height] = boundsOf(group);
      return [
        { kind: 'group' as const, place, group: { ...group, bounding: [Math.round(x), Math.round(y), width, height] } },
      ];
    });
  change({ kind: 'all', changes: [{ kind: 'move', to: Object.fromEntries(nodes) }, ...groups] });
}
