/** Groups: frames around nodes. Which nodes belong to one is a matter of where they are, as in the files. */

import { type Definitions, shapeOf } from './definitions';
import { type Doc, type DocNode, positionOf } from './document';
import { isArray, type JsonObject } from './json';
import { HEADER, layoutNode } from './layout';

/** x, y, width, height. */
export type Bounds = readonly [number, number, number, number];
export const boundsOf = (group: JsonObject): Bounds => {
  const [x, y, width, height] = isArray(group.bounding) ? group.bounding.map(Number) : [];
  return [x ?? 0, y ?? 0, width ?? 200, height ?? 100];
};

/** The nodes whose header lies in a group. */
export function nodesIn(doc: Doc, group: JsonObject): readonly DocNode[] {
  const [x, y, width, height] = boundsOf(group);
  return doc.nodes.filter((each) => {
    const [left, top] = positionOf(each);
    return left >= x && left <= x + width && top + HEADER / 2 >= y && top <= y + height;
  });
}

/** The places of the groups that lie wholly in one. */
export function groupsIn(doc: Doc, place: number): readonly number[] {
  const group = doc.groups[place];
  if (!group) return [];
  const [x, y, width, height] = boundsOf(group);
  return doc.groups.flatMap((each, at) => {
    const [left, top, across, down] = boundsOf(each);
    const isInside = left >= x && top >= y && left + across <= x + width && top + down <= y + height;
    return at !== place && isInside ? [at] : [];
  });
}

const MARGIN = 20;
const TITLE = 60;
/** The frame around some nodes, with room for a title; null around none. */
export function frameAround(nodes: readonly DocNode[], definitions: Definitions): Bounds | null {
  if (nodes.length === 0) return null;
  const boxes = nodes.map((node) => {
    const shape = shapeOf(definitions, node);
    const { width, height } = layoutNode(shape, node, shape.isOutput);
    const [x, y] = positionOf(node);
    return [x, y, x + width, y + height] as const;
  });
  const left = Math.min(...boxes.map((each) => each[0])) - MARGIN;
  const top = Math.min(...boxes.map((each) => each[1])) - TITLE;
  const right = Math.max(...boxes.map((each) => each[2])) + MARGIN;
  const bottom = Math.max(...boxes.map((each) => each[3])) + MARGIN;
  return [left, top, right - left, bottom - top];
}
