/** Model files, as the server lists them. */

import { isArray, isObject } from '../doc/json';
import { ask } from './api';

export interface ModelFile {
  readonly name: string;
  /** Bytes. */
  readonly size: number;
}

export async function modelFolders(): Promise<readonly string[]> {
  const found = await ask('experiment/models');
  return (isArray(found) ? found.filter(isObject) : []).map((each) => String(each.name));
}

export async function modelFiles(folder: string): Promise<readonly ModelFile[]> {
  const found = await ask(`experiment/models/${encodeURIComponent(folder)}`);
  return (isArray(found) ? found.filter(isObject) : []).map((each) => ({
    name: String(each.name),
    size: Number(each.size ?? 0),
  }));
}

/** The texts inside a model file. Throws Refused (404) if it has none. */
export async function modelTexts(folder: string, name: string): Promise<Readonly<Record<string, string>>> {
  const found = await ask(`view_metadata/${encodeURIComponent(folder)}?filename=${encodeURIComponent(name)}`);
  return Object.fromEntries(Object.entries(isObject(found) ? found : {}).map(([key, value]) => [key, String(value)]));
}
