/** Which window of the browser this is: to the server, and to the drafts. It survives a reload. */

const KEY = 'easel.client';

const hex = (bytes: number): string =>
  Array.from(crypto.getRandomValues(new Uint8Array(bytes)), (each) => each.toString(16).padStart(2, '0')).join('');

function store(name: string): string {
  try {
    sessionStorage.setItem(KEY, name);
  } catch {
    // no storage: a new name at each load
  }
  return name;
}

function read(): string {
  try {
    const kept = sessionStorage.getItem(KEY);
    if (kept) return kept;
  } catch {
    // as above
  }
  return store(hex(16));
}

let id = read();
export const windowId = (): string => id;
/** Another window has the same name, as a browser tab that was duplicated does: take a new one. */
export const renewWindow = (): void => {
  id = store(hex(16));
};
/** A name for a tab. */
export const newId = (): string => hex(8);
