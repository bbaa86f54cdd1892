/** Workflows on the server: the user's own folder, and the templates that come with Easel. */

import { isArray, isObject, type Json } from '../doc/json';
import { ask, askText } from './http';

const FOLDER = 'workflows';
const place = (path: string): string => encodeURIComponent(`${FOLDER}/${path}`);

export interface SavedFile {
  /** Below the folder of workflows, with `.json`. */
  readonly path: string;
  /** Milliseconds since the epoch. */
  readonly modified: number;
}

/** The saved workflows, newest first. */
export async function savedFiles(): Promise<readonly SavedFile[]> {
  const root = await ask('v2/userdata?path=');
  const isThere = isArray(root) && root.some((each) => isObject(each) && each.path === FOLDER);
  if (!isThere) return []; // nothing was ever saved
  const found = await ask(`userdata?dir=${FOLDER}&recurse=true&full_info=true`);
  return (isArray(found) ? found : [])
    .filter(isObject)
    .map((each) => ({ path: String(each.path), modified: Number(each.modified ?? 0) }))
    .filter((each) => each.path.endsWith('.json'))
    .sort((a, b) => b.modified - a.modified);
}

export const readSaved = (path: string): Promise<string> => askText(`userdata/${place(path)}`);
export const writeSaved = (path: string, text: string): Promise<Json> =>
  ask(`userdata/${place(path)}?overwrite=true`, { method: 'POST', body: text });
export const deleteSaved = (path: string): Promise<Json> => ask(`userdata/${place(path)}`, { method: 'DELETE' });
export const moveSaved = (path: string, to: string): Promise<Json> =>
  ask(`userdata/${place(path)}/move/${place(to)}?overwrite=false`, { method: 'POST' });

/** The templates by pack: `[pack, name]`. */
export async function templates(): Promise<readonly (readonly [string, string])[]> {
  const found = await ask('workflow_templates');
  return Object.entries(isObject(found) ? found : {}).flatMap(([pack, names]) =>
    (isArray(names) ? names : []).map((name) => [pack, String(name)] as const),
  );
}
export const readTemplate = (pack: string, name: string): Promise<string> =>
  askText(`workflow_templates/${encodeURIComponent(pack)}/${encodeURIComponent(name)}.json`);

/** A workflow out of a picture or a text of another program, in both forms. Throws Refused if there is none. */
export async function convert(body: Blob | string): Promise<{ readonly workflow: Json; readonly prompt: Json }> {
  const found = await ask('api/workflows/import', { method: 'POST', body });
  return isObject(found)
    ? { workflow: found.workflow ?? null, prompt: found.prompt ?? null }
    : { workflow: null, prompt: null };
}
