/**
 * Points that a link runs through. Files of version 1 hold them at the top and in the links, those of 0.4 in `extra`;
 * here they stay where the file has them. A link names the point before its end, each point the one before it.
 */

import type { Doc, DocLink, Point } from './document';
import { isArray, isObject, type Json, type JsonObject } from './json';

export interface Reroute {
  readonly id: number;
  readonly pos: Point;
  readonly parentId: number | null;
}

const NONE: ReadonlyMap<number, Reroute> = new Map();
const NO_PARENTS: ReadonlyMap<number, number> = new Map();
const isNew = (doc: Doc): boolean => doc.root.version === 1;
const extraOf = (root: JsonObject): JsonObject => (isObject(root.extra) ? root.extra : {});
const listOf = (root: JsonObject, isV1: boolean): readonly Json[] => {
  const found = isV1 ? root.reroutes : extraOf(root).reroutes;
  return isArray(found) ? found : [];
};

const read = new WeakMap<JsonObject, ReadonlyMap<number, Reroute>>();
export function reroutesOf(doc: Doc): ReadonlyMap<number, Reroute> {
  const list = listOf(doc.root, isNew(doc));
  if (list.length === 0) return NONE;
  const known = read.get(doc.root);
  if (known) return known;
  const found = new Map<number, Reroute>();
  for (const each of list) {
    if (!isObject(each) || typeof each.id !== 'number' || !isArray(each.pos)) continue;
    const pos: Point = [Number(each.pos[0]), Number(each.pos[1])];
    found.set(each.id, { id: each.id, pos, parentId: typeof each.parentId === 'number' ? each.parentId : null });
  }
  read.set(doc.root, found);
  return found;
}

const parents = new WeakMap<JsonObject, ReadonlyMap<number, number>>();
/** In files of version 0.4: the last point of each link. */
function parentsOf(root: JsonObject): ReadonlyMap<number, number> {
  const list = extraOf(root).linkExtensions;
  if (!isArray(list) || list.length === 0) return NO_PARENTS;
  const known = parents.get(root);
  if (known) return known;
  const found = new Map(
    list
      .filter(isObject)
      .flatMap((each) =>
        typeof each.id === 'number' && typeof each.parentId === 'number' ? [[each.id, each.parentId] as const] : [],
      ),
  );
  parents.set(root, found);
  return found;
}

function lastOf(doc: Doc, link: DocLink): number | null {
  if (!isNew(doc)) return parentsOf(doc.root).get(link.id) ?? null;
  const raw = isObject(link.raw) ? link.raw.parentId : null;
  return typeof raw === 'number' ? raw : null;
}

/** The points of a link, from its start to its end. */
export function pointsOf(doc: Doc, link: DocLink): readonly Reroute[] {
  const all = reroutesOf(doc);
  if (all.size === 0) return [];
  const found: Reroute[] = [];
  const seen = new Set<number>();
  for (let id = lastOf(doc, link); id !== null && !seen.has(id); ) {
    seen.add(id);
    const point = all.get(id);
    if (!point) break;
    found.push(point);
    id = point.parentId;
  }
  return found.reverse();
}

function withList(doc: Doc, list: readonly Json[], lasts?: ReadonlyMap<number, number>): Doc {
  if (isNew(doc)) return { ...doc, root: { ...doc.root, reroutes: list } };
  const { reroutes: _, linkExtensions: before, ...rest } = extraOf(doc.root);
  const extensions: Json = lasts ? [...lasts].map(([id, parentId]) => ({ id, parentId })) : (before ?? []);
  const extra = { ...rest, ...(list.length || before ? { reroutes: list, linkExtensions: extensions } : {}) };
  return { ...doc, root: { ...doc.root, extra } };
}

/** Let a link run through one more point, before its end. */
export function addReroute(doc: Doc, link: number, pos: Point): Doc {
  const target = doc.links.find((each) => each.id === link);
  if (!target) return doc;
  const all = reroutesOf(doc);
  const id = Math.max(0, ...all.keys()) + 1;
  const before = lastOf(doc, target);
  const made: JsonObject = { id, ...(before === null ? {} : { parentId: before }), pos: [...pos], linkIds: [link] };
  const list = [...listOf(doc.root, isNew(doc)), made];
  if (!isNew(doc)) return withList(doc, list, new Map([...parentsOf(doc.root), [link, id]]));
  const raw = { ...(isObject(target.raw) ? target.raw : {}), parentId: id };
  return withList({ ...doc, links: doc.links.map((each) => (each === target ? { ...each, raw } : each)) }, list);
}

export const moveReroute = (doc: Doc, id: number, pos: Point): Doc =>
  withList(
    doc,
    listOf(doc.root, isNew(doc)).map((each) => (isObject(each) && each.id === id ? { ...each, pos: [...pos] } : each)),
  );

/** Take a point away; what came after it follows what came before it. */
export function removeReroute(doc: Doc, id: number): Doc {
  const gone = reroutesOf(doc).get(id);
  if (!gone) return doc;
  const follow = (parentId: Json | undefined): Json | undefined =>
    parentId === id ? (gone.parentId ?? undefined) : parentId;
  const list = listOf(doc.root, isNew(doc))
    .filter((each) => !isObject(each) || each.id !== id)
    .map((each) => (isObject(each) && each.parentId === id ? withParent(each, follow(each.parentId)) : each));
  if (!isNew(doc)) {
    const lasts = new Map<number, number>();
    for (const [link, last] of parentsOf(doc.root)) {
      const now = follow(last);
      if (typeof now === 'number') lasts.set(link, now);
    }
    return withList(doc, list, lasts);
  }
  const links = doc.links.map((each) =>
    isObject(each.raw) && each.raw.parentId === id ? { ...each, raw: withParent(each.raw, follow(id)) } : each,
  );
  return withList({ ...doc, links }, list);
}

function withParent(object: JsonObject, parentId: Json | undefined): JsonObject {
  const { parentId: _, ...rest } = object;
  return parentId === undefined ? rest : { ...rest, parentId };
}

/** After links went: the points that only they ran through go too. */
export function prune(doc: Doc, before: Doc): Doc {
  if (reroutesOf(before).size === 0) return doc;
  const through = (which: Doc): Set<number> =>
    new Set(which.links.flatMap((link) => pointsOf(which, link)).map((each) => each.id));
  const kept = through(doc);
  const gone = [...through(before)].filter((id) => !kept.has(id));
  if (gone.length === 0) return doc;
  const lost = new Set(gone);
  const list = listOf(doc.root, isNew(doc)).filter((each) => !isObject(each) || !lost.has(Number(each.id)));
  const alive = new Set(doc.links.map((each) => each.id));
  return withList(doc, list, new Map([...parentsOf(doc.root)].filter(([link]) => alive.has(link))));
}
