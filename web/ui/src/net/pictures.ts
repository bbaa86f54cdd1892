/** Pictures that were made: listed, deleted, taken as the input of a workflow. */

import { makeNode } from '../doc/changes';
import { isUpload, shapeOf } from '../doc/definitions';
import { type DocNode, keyOf, nodeAt } from '../doc/document';
import { isArray } from '../doc/json';
import { withValue } from '../doc/values';
import { change, getDefinitions, getDoc } from '../state/documents';
import { pictureUrl } from '../state/runs';
import { say, select, useView } from '../state/view';
import { t } from '../words';
import { ask, upload } from './api';
import { loadDefinitions } from './run';

const SHOWN = /\.(png|webp|jpe?g|gif)$/i;

/** The addresses of all pictures in the output folder, newest first. */
export async function outputPictures(): Promise<readonly string[]> {
  const names = await ask('internal/files/output');
  return (isArray(names) ? names.map(String) : [])
    .filter((each) => SHOWN.test(each))
    .map((filename) => pictureUrl({ filename, subfolder: '', type: 'output' }));
}

export const nameOfPicture = (url: string): string => new URLSearchParams(url.split('?')[1]).get('filename') ?? '';
export const deletePicture = (url: string): Promise<unknown> => ask(url.replace(/^\.\//, ''), { method: 'DELETE' });

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

/** Put a picture into the input folder and into the workflow: one step of undo. */
export async function sendToInput(url: string): Promise<void> {
  const name = await upload(await pictureFile(url));
  await loadDefinitions();
  const node = taker();
  const def = getDefinitions().get('LoadImage');
  if (node) {
    const input = shapeOf(getDefinitions(), node).inputs.find(isUpload);
    if (input) change({ kind: 'value', node: keyOf(node), name: input.name, value: name });
    select([keyOf(node)]);
  } else if (def) {
    const bottom = Math.max(0, ...getDoc().nodes.map((each) => (isArray(each.pos) ? Number(each.pos[1]) : 0)));
    const made = withValue(def, makeNode(getDoc(), def, [0, bottom + 420], [270, 320]), 'image', name);
    change({ kind: 'add', nodes: [made], links: [] });
    select([keyOf(made)]);
  }
  say(t('{{name}} is now an input of this workflow.', { name }));
}
