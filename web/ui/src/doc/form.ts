/**
 * The form of a workflow: the fields that matter, in the order in which people ask for them. The file says which
 * (`extra.easel.form`); without, the fields that every text-to-image graph has are found by their names.
 */

import { type Definitions, type InputDef, shapeOf } from './definitions';
import { type Doc, type DocNode, keyOf, linksInto, nodeAt } from './document';
import { isArray, isObject, type JsonObject } from './json';

export interface FormField {
  readonly node: DocNode;
  readonly input: InputDef;
}

const extraOf = (doc: Doc): JsonObject => (isObject(doc.root.extra) ? doc.root.extra : {});
const ownOf = (doc: Doc): JsonObject => {
  const { easel } = extraOf(doc);
  return isObject(easel) ? easel : {};
};
const chosenOf = (doc: Doc): readonly string[] | null => {
  const { form } = ownOf(doc);
  return isArray(form) ? form.map(String) : null;
};

export const isFormField = (doc: Doc, node: string, input: string): boolean =>
  chosenOf(doc)?.includes(`${node}.${input}`) ?? false;

/** The top of the file with a field put into the form, or taken out. */
export function toggleFormField(doc: Doc, node: string, input: string): JsonObject {
  const place = `${node}.${input}`;
  const now = chosenOf(doc) ?? [];
  const form = now.includes(place) ? now.filter((each) => each !== place) : [...now, place];
  const { form: _, ...own } = ownOf(doc);
  const { easel: __, ...extra } = extraOf(doc);
  const kept = form.length ? { ...own, form } : own;
  return { ...doc.root, extra: Object.keys(kept).length ? { ...extra, easel: kept } : extra };
}

/** Names of fields that people change from picture to picture, the first things first. */
const USUAL = [
  'text',
  'image',
  'seed',
  'noise_seed',
  'steps',
  'cfg',
  'width',
  'height',
  'denoise',
  'batch_size',
  'ckpt_name',
];

export function formFields(doc: Doc, definitions: Definitions): readonly FormField[] {
  const field = (node: DocNode, name: string): FormField[] => {
    const input = shapeOf(definitions, node).inputs.find((each) => each.name === name && each.widget !== null);
    return input && !linksInto(doc, keyOf(node)).has(name) ? [{ node, input }] : [];
  };
  const chosen = chosenOf(doc);
  if (chosen)
    return chosen.flatMap((place) => {
      const dot = place.indexOf('.');
      const node = nodeAt(doc, place.slice(0, dot));
      return node ? field(node, place.slice(dot + 1)) : [];
    });
  return USUAL.flatMap((name) =>
    doc.nodes.filter((each) => !definitions.get(each.type)?.isVirtual).flatMap((node) => field(node, name)),
  );
}
