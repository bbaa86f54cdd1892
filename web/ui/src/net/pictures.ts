/** Pictures that were made: listed, deleted, taken as the input of a workflow. */

import { makeNode } from '../doc/changes';
import { isUpload, shapeOf } from '../doc/definitions';
import { type DocNode, keyOf, nodeAt } from '../doc/document';
import { isArray } from '../doc/json';
import { withValue } from '../doc/values';
import { change, getDefinitions, getDoc } from '../state/documents';
import { holdPlace } from '../state/tabs';
import { locate, say, useView } from '../state/view';
import { t } from '../words';
import { deletePicture, type Picture, pictures, restorePicture, upload } from './api';
import { ask } from './http';
import { changed } from './queries';
import { complain, loadDefinitions } from './run';

const SHOWN = /\.(png|webp|jpe?g|gif)$/i;
export const isPicture = (name: string): boolean => SHOWN.test(name);

/** The names of the pictures in the output folder itself, newest first. */
export async function outputFiles(): Promise<readonly string[]> {
  const names = await ask('internal/files/output');
  return (isArray(names) ? names.map(String) : []).filter(isPicture);
}

export const nameOfPicture = (url: string): string => new URLSearchParams(url.split('?')[1]).get('filename') ?? '';

const PAGE = 200;
/** The gallery's number of a picture; null if no job of this server made it. */
async function idOf(url: string): Promise<number | null> {
  const wanted = new URLSearchParams(url.split('?')[1]);
  const isIt = (each: Picture): boolean =>
    each.filename === wanted.get('filename') && each.subfolder === (wanted.get('subfolder') ?? '');
  for (let offset = 0; ; offset += PAGE) {
    const page = await pictures({ offset, limit: PAGE }); // the newest first: it is on the first page nearly always
    const found = page.items.find(isIt);
    if (found) return found.id;
    if (offset + PAGE >= page.total) return null;
  }
}

/** Move pictures to the trash folder, and offer to bring them back. Throws Error for the first that cannot be moved. */
export async function trashPictures(urls: readonly string[]): Promise<void> {
  const moved: number[] = [];
  try {
    for (const url of urls) {
      const id = await idOf(url);
      if (id === null)
        throw new Error(
          t('{{name}} was made by no job of this server: delete its file by hand.', { name: nameOfPicture(url) }),
        );
      await deletePicture(id);
      moved.push(id);
    }
  } finally {
    changed('pictures');
    if (moved.length)
      say(t('Moved to the trash: {{count}}.', { count: moved.length }), 'info', {
        words: t('Bring back'),
        perform: () => void restorePictures(moved).catch(complain),
      });
  }
}

/** Bring pictures back from the trash folder. Throws Refused for the first that cannot be. */
export async function restorePictures(ids: readonly number[]): Promise<void> {
  try {
    for (const id of ids) await restorePicture(id);
  } finally {
    changed('pictures');
  }
  say(t('Brought back: {{count}}.', { count: ids.length }));
}

/** Delete pictures of the trash folder for good. Throws Refused for the first that cannot be. */
export async function emptyTrash(ids: readonly number[]): Promise<void> {
  try {
    for (const id of ids) await deletePicture(id);
  } finally {
    changed('pictures');
  }
  say(t('Deleted for good: {{count}}.', { count: ids.length }));
}

/** The address of a picture that a node takes: `name.png`, `sub/name.png` or `name.png [output]`. */
export const pictureUrlOfInput = (name: string): string =>
  `./view?${new URLSearchParams({ filename: name, type: 'input' }).toString()}`;

export async function pictureFile(url: string): Promise<File> {
  const answer = await fetch(url);
  if (!answer.ok) throw new Error(t('{{name}} cannot be read.', { name: nameOfPicture(url) }));
  return new File([await answer.blob()], nameOfPicture(url));
}

/** The node that takes a picture: the chosen one, else the first of the graph. */
function taker(): DocNode | undefined {
  const takes = (node: DocNode | undefined): boolean =>
    node !== undefined && shapeOf(getDefinitions(), node).inputs.some(isUpload);
  const chosen = [...useView.getState().selected].map((key) => nodeAt(getDoc(), key)).find(takes);
  return chosen ?? getDoc().nodes.find(takes);
}

export const sendToInput = async (url: string): Promise<void> => takeAsInput(await pictureFile(url));

/** Put a picture into the input folder and into the workflow: one step of undo. */
export async function takeAsInput(file: File): Promise<void> {
  const isHere = holdPlace();
  const name = await upload(file);
  await loadDefinitions();
  if (!isHere())
    return say(
      t('{{name}} was uploaded, but the graph that it was meant for is not shown any more.', { name }),
      'error',
    );
  const node = taker();
  const def = getDefinitions().get('LoadImage');
  if (node) {
    const input = shapeOf(getDefinitions(), node).inputs.find(isUpload);
    if (input) change({ kind: 'value', node: keyOf(node), name: input.name, value: name });
    locate(keyOf(node));
  } else if (def) {
    const bottom = Math.max(0, ...getDoc().nodes.map((each) => (isArray(each.pos) ? Number(each.pos[1]) : 0)));
    const made = withValue(def, makeNode(getDoc(), def, [0, bottom + 420], [270, 320]), 'image', name);
    change({ kind: 'add', nodes: [made], links: [] });
    locate(keyOf(made));
  }
  say(t('{{name}} is now an input of this workflow.', { name }));
}
