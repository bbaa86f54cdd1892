/** Queueing the open workflow, and opening what people drop. */

import { arrangeApi } from '../doc/arrange';
import { hasControl, readDefinitions, shapeOf } from '../doc/definitions';
import { type Doc, EMPTY, isApiForm, keyOf, readFile, writeFile } from '../doc/document';
import { isArray, isObject, parseJson, writeJson } from '../doc/json';
import { readTexts } from '../doc/metadata';
import { controlOf, nextSeed, valuesOf, withValue } from '../doc/values';
import { getDefinitions, getDoc, silently, useDefinitions } from '../state/documents';
import { clearStates, noteJob, readErrors, readOutput, update, useRuns } from '../state/runs';
import { activeTab, markSaved, openTab, useTabs } from '../state/tabs';
import { locate, say, useView } from '../state/view';
import * as api from './api';
import { CLIENT } from './socket';

/** Ask the server which nodes there are; tried again until it knows. */
export async function loadDefinitions(): Promise<void> {
  for (let wait = 300; ; wait = Math.min(wait * 2, 5000)) {
    try {
      useDefinitions.setState({ definitions: readDefinitions(await api.objectInfo()), isLoaded: true });
      return;
    } catch {
      await new Promise((done) => setTimeout(done, wait));
    }
  }
}

/** The types of a workflow that the server does not have; subgraphs and virtual nodes are none. */
export function missingTypes(doc: Doc): readonly string[] {
  const definitions = getDefinitions();
  const inner =
    isObject(doc.root.definitions) && isArray(doc.root.definitions.subgraphs) ? doc.root.definitions.subgraphs : [];
  const subgraphs = new Set(inner.filter(isObject).map((each) => String(each.id)));
  const own = new Set(['PrimitiveNode']);
  return [...new Set(doc.nodes.map((each) => each.type))].filter(
    (type) => !definitions.has(type) && !subgraphs.has(type) && !own.has(type) && !type.startsWith('workflow/'),
  );
}

/** Queue the open workflow `count` times; seeds move on after each. Errors are shown on their nodes. */
export async function run(front = false): Promise<void> {
  const tab = useTabs.getState().active;
  clearStates(tab);
  for (let turn = 0; turn < useView.getState().count; turn++) {
    try {
      const answer = await api.submit(writeFile(getDoc()), CLIENT, front);
      const id = isObject(answer) ? String(answer.prompt_id) : '';
      noteJob(id, tab);
      showErrors(tab, isObject(answer) ? answer.node_errors : undefined);
      if (useTabs.getState().active === tab) silently(withNextSeeds(getDoc()));
    } catch (error) {
      refused(tab, error);
      return;
    }
  }
}

function showErrors(tab: string, nodeErrors: Parameters<typeof readErrors>[0]): string | undefined {
  const errors = readErrors(nodeErrors);
  for (const [node, list] of Object.entries(errors))
    update(tab, node.split(':')[0] ?? node, { state: 'error', errors: list });
  return Object.keys(errors)[0];
}

function refused(tab: string, error: unknown): void {
  const message =
    error instanceof api.Refused
      ? error.message
      : 'The server does not answer. The workflow is kept here; run it again when the server is back.';
  const body = error instanceof api.Refused && isObject(error.body) ? error.body : {};
  const first = showErrors(tab, body.node_errors);
  useRuns.setState({ problem: message });
  say(message, 'error');
  if (first) locate(first.split(':')[0] ?? first);
}

function withNextSeeds(doc: Doc): Doc {
  const definitions = getDefinitions();
  let changed = false;
  const nodes = doc.nodes.map((node) => {
    const def = shapeOf(definitions, node);
    return def.inputs
      .filter((each) => each.widget === 'int' && hasControl(each))
      .reduce((now, input) => {
        const values = valuesOf(def, now);
        const value = values[input.name] ?? 0;
        const next = nextSeed(
          value,
          values[controlOf(input.name)] ?? 'fixed',
          input.options.min ?? 0,
          input.options.max ?? 2 ** 53,
        );
        if (next === value) return now;
        changed = true;
        return withValue(def, now, input.name, next);
      }, node);
  });
  return changed ? { ...doc, nodes } : doc;
}

/**
 * After a connection was lost, or the page loaded anew: what ended meanwhile is taken from the history, and nodes of jobs
 * that are gone are no longer shown as running.
 */
export async function catchUp(): Promise<void> {
  const { running, pending } = await api.queue();
  const alive = new Set([...running, ...pending].map((each) => each.id));
  const jobs = Object.entries(useRuns.getState().jobs);
  const busy = new Set(jobs.filter(([id]) => alive.has(id)).map(([, tab]) => tab));
  for (const tab of new Set(jobs.map(([, each]) => each))) if (!busy.has(tab)) clearStates(tab, true);
  const ended = new Map((await api.history()).map((each) => [each.id, each]));
  for (const [id, tab] of jobs) {
    for (const [node, output] of Object.entries(ended.get(id)?.outputs ?? {})) update(tab, node, readOutput(output));
  }
}

/** Open the text of a workflow file in a tab of its own. */
export function openText(text: string, name: string): void {
  try {
    const file = parseJson(text);
    const doc = isApiForm(file) ? arrangeApi(file, getDefinitions()) : readFile(file);
    openTab(name.replace(/\.[^.]+$/, '') || 'Untitled', doc);
    reportMissing(doc);
  } catch (error) {
    say(`${name}: ${error instanceof Error ? error.message : String(error)}`, 'error');
  }
}

export function reportMissing(doc: Doc): void {
  if (!useDefinitions.getState().isLoaded) return; // asked again when they are
  const missing = missingTypes(doc);
  if (missing.length === 0) return;
  useView.setState({ panel: 'problems' });
  say(
    `${missing.length === 1 ? 'A node type is' : `${missing.length} node types are`} missing here: ${missing.join(', ')}. The graph is kept as it is.`,
    'error',
  );
}

/** Open a dropped or picked file: JSON, or a picture with its workflow inside. */
export async function openFile(file: File): Promise<void> {
  if (/\.json$/i.test(file.name) || file.type === 'application/json') return openText(await file.text(), file.name);
  const texts = await readTexts(file);
  const text = texts.workflow ?? texts.prompt;
  if (text) openText(text, file.name);
  else say(`${file.name}: there is no workflow inside this file.`, 'error');
}

/** Hand a file to the browser's downloads. */
function download(name: string, text: string): void {
  const url = URL.createObjectURL(new Blob([text], { type: 'application/json' }));
  const link = Object.assign(document.createElement('a'), { href: url, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

/** Save the open workflow as a file. */
export function save(): void {
  download(`${activeTab()?.name ?? 'workflow'}.json`, writeJson(writeFile(getDoc()), 2));
  markSaved();
}

/** The keys of all nodes that are output nodes and may run. */
export const outputsOf = (doc: Doc): readonly string[] =>
  doc.nodes.filter((each) => getDefinitions().get(each.type)?.isOutput).map(keyOf);

export const newWorkflow = (): string => openTab('Untitled', EMPTY);
