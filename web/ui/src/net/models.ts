/** Model files, as the server lists them. */

import { isArray, isObject } from '../doc/json';
import { ask, Refused } from './http';

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

/** The texts inside a model file; none if it says nothing of itself. */
export async function modelTexts(folder: string, name: string): Promise<Readonly<Record<string, string>>> {
  const place = `view_metadata/${encodeURIComponent(folder)}?filename=${encodeURIComponent(name)}`;
  const found = await ask(place).catch((error: unknown) => {
    if (error instanceof Refused && error.status === 404) return {};
    throw error;
  });
  return Object.fromEntries(Object.entries(isObject(found) ? found : {}).map(([key, value]) => [key, String(value)]));
}
