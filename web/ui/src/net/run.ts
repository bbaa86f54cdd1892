/** Queueing the open workflow, and opening what people drop. */

import { arrangeApi } from '../doc/arrange';
import { type Definitions, hasControl, readDefinitions, shapeOf } from '../doc/definitions';
import { type Doc, type DocNode, EMPTY, isApiForm, keyOf, readFile, writeFile } from '../doc/document';
import { isArray, isObject, type Json, type JsonObject, parseJson, writeJson } from '../doc/json';
import { readTexts } from '../doc/metadata';
import { isModelFile, problemsOf } from '../doc/problems';
import { withSubgraphs } from '../doc/subgraphs';
import { controlOf, nextSeed, valuesOf, withValue } from '../doc/values';
import { getDefinitions, getWhole, goTo, setServerDefinitions, useDefinitions, wholeOf } from '../state/documents';
import { clearStates, noteJob, readErrors, readOutput, update, useRuns } from '../state/runs';
import { getSettings } from '../state/settings';
import { activeTab, markSaved, nameOf, openTab, putState, stateOf, switchTab, useTabs } from '../state/tabs';
import { locate, openDialog, say, useView } from '../state/view';
import { windowId } from '../state/window';
import { t } from '../words';
import * as api from './api';
import { convert, readSaved, writeSaved } from './files';
import { Refused } from './http';
import { takeAsInput } from './pictures';
import { changed } from './queries';

/** Ask the server which nodes there are; tried again until it knows. */
export async function loadDefinitions(): Promise<void> {
  for (let wait = 300; ; wait = Math.min(wait * 2, 5000)) {
    try {
      setServerDefinitions(readDefinitions(await api.objectInfo()));
      return;
    } catch {
      await new Promise((done) => setTimeout(done, wait));
    }
  }
}

/** The types of a workflow that the server does not have; subgraphs and virtual nodes are none. */
export function missingTypes(doc: Doc): readonly string[] {
  const definitions = withSubgraphs(useDefinitions.getState().server, doc.subgraphs);
  const inner = doc.subgraphs.flatMap((each) => (isArray(each.nodes) ? each.nodes.filter(isObject) : []));
  const types = new Set([...doc.nodes, ...inner].map((each) => String(each.type)));
  return [...types].filter((type) => !definitions.has(type) && !type.startsWith('workflow/'));
}

/** Queue the open workflow `count` times; seeds move on after each. Errors are shown on their nodes. */
export async function run(front = false): Promise<void> {
  const tab = useTabs.getState().active;
  clearStates(tab);
  for (let turn = 0; turn < useView.getState().count; turn++) {
    const isBefore = getSettings().seeds === 'before';
    if (isBefore) moveSeeds(tab);
    const state = stateOf(tab); // another may be shown by now
    if (!state) return; // closed
    try {
      const answer = await api.submit(writeFile(wholeOf(state)), windowId(), front);
      const id = isObject(answer) ? String(answer.prompt_id) : '';
      noteJob(id, tab);
      changed('jobs');
      showErrors(tab, isObject(answer) ? answer.node_errors : undefined);
      if (!isBefore) moveSeeds(tab);
    } catch (error) {
      refused(tab, error);
      return;
    }
  }
}

function showErrors(tab: string, nodeErrors: Parameters<typeof readErrors>[0]): string | undefined {
  const errors = readErrors(nodeErrors);
  for (const [id, list] of Object.entries(errors)) {
    const parts = id.split(':');
    parts.forEach((_, at) => {
      update(tab, parts.slice(0, at + 1).join(':'), { state: 'error', errors: list });
    });
  }
  return Object.keys(errors)[0];
}

function refused(tab: string, error: unknown): void {
  const message =
    error instanceof Refused
      ? error.message
      : 'The server does not answer. The workflow is kept here; run it again when the server is back.';
  const body = error instanceof Refused && isObject(error.body) ? error.body : {};
  const first = showErrors(tab, body.node_errors);
  useRuns.setState({ problem: message });
  say(message, 'error');
  if (first && useTabs.getState().active === tab) locate(goTo(first));
}

/** Seeds move on as their nodes say, in every graph of a tab's workflow. */
function moveSeeds(tab: string): void {
  const state = stateOf(tab);
  if (!state) return;
  const doc = withNextSeeds(state.doc);
  const outer = state.outer.map((level) => {
    const next = withNextSeeds(level.doc);
    return next === level.doc ? level : { ...level, doc: next };
  });
  const isSame = doc === state.doc && outer.every((each, at) => each === state.outer[at]);
  if (!isSame) putState(tab, { doc, outer });
}

function withNextSeeds(doc: Doc): Doc {
  const definitions = withSubgraphs(useDefinitions.getState().server, doc.subgraphs);
  const nodes = movedOn(doc.nodes, definitions);
  const subgraphs = doc.subgraphs.map((each) => {
    const before = isArray(each.nodes) ? (each.nodes as readonly DocNode[]) : [];
    const after = movedOn(before, definitions);
    return after === before ? each : { ...each, nodes: after };
  });
  const isSame = subgraphs.every((each, place) => each === doc.subgraphs[place]);
  if (nodes === doc.nodes && isSame) return doc;
  return { ...doc, nodes, subgraphs: isSame ? doc.subgraphs : subgraphs };
}

/** The nodes with their next seeds; the same list if none changes. */
function movedOn(nodes: readonly DocNode[], definitions: Definitions): readonly DocNode[] {
  const moved = nodes.map((node) => {
    const def = shapeOf(definitions, node);
    return def.inputs
      .filter((each) => each.widget === 'int' && hasControl(each))
      .reduce((now, input) => {
        const values = valuesOf(def, now);
        const value = values[input.name] ?? 0;
        const control = values[controlOf(input.name)] ?? 'fixed';
        const next = nextSeed(value, control, input.options.min ?? 0, input.options.max ?? 2 ** 53);
        return next === value ? now : withValue(def, now, input.name, next);
      }, node);
  });
  return moved.every((each, place) => each === nodes[place]) ? nodes : moved;
}

const LATEST = 200; // jobs; a window remembers fewer
/** What a job shows, as its messages have it: by node, then by kind. */
function outputsByNode(outputs: NonNullable<api.Job['outputs']>): Record<string, JsonObject> {
  const found: Record<string, Record<string, Json[]>> = {};
  for (const { node, kind, text, filename, subfolder, type } of outputs) {
    const kinds = found[node] ?? {};
    found[node] = kinds;
    kinds[kind] = [
      ...(kinds[kind] ?? []),
      text ?? { filename: filename ?? '', subfolder: subfolder ?? '', type: type ?? '' },
    ];
  }
  return found;
}

/**
 * After a connection was lost, or the page loaded anew: what ended meanwhile is taken from the history, and nodes of jobs
 * that are gone are no longer shown as running.
 */
export async function catchUp(): Promise<void> {
  const found = await api.jobs(0, LATEST);
  const alive = new Set(found.jobs.filter((each) => ['running', 'queued'].includes(each.state)).map((each) => each.id));
  const jobs = Object.entries(useRuns.getState().jobs);
  const busy = new Set(jobs.filter(([id]) => alive.has(id)).map(([, tab]) => tab));
  for (const tab of new Set(jobs.map(([, each]) => each))) if (!busy.has(tab)) clearStates(tab, true);
  const ended = new Map(found.jobs.filter((each) => !alive.has(each.id)).map((each) => [each.id, each]));
  for (const [id, tab] of jobs)
    for (const [node, output] of Object.entries(outputsByNode(ended.get(id)?.outputs ?? [])))
      for (const at of [node, node.split(':')[0] ?? node]) update(tab, at, readOutput(output));
  changed('jobs', 'pictures');
}

/** Open the text of a workflow file in a tab of its own. */
export function openText(text: string, name: string, path: string | null = null): void {
  try {
    const file = parseJson(text);
    if (isApiForm(file) && !useDefinitions.getState().isLoaded) {
      // which values a node has is known from its definition only
      const stop = useDefinitions.subscribe(({ isLoaded }) => {
        if (!isLoaded) return;
        stop();
        openText(text, name, path);
      });
      return;
    }
    const doc = isApiForm(file) ? arrangeApi(file, getDefinitions()) : readFile(file);
    openTab(nameOf(name), doc, path);
    reportMissing(doc);
  } catch (error) {
    say(`${name}: ${error instanceof Error ? error.message : String(error)}`, 'error');
  }
}

export function reportMissing(doc: Doc): void {
  if (!useDefinitions.getState().isLoaded) return; // asked again when they are
  const missing = missingTypes(doc);
  const models = problemsOf(doc, getDefinitions()).filter(
    (each) => each.code === 'value_not_in_list' && isModelFile(each.found),
  );
  if (missing.length + models.length > 0) useView.setState({ panel: 'problems' });
  if (missing.length)
    say(
      t('Node types that are missing here: {{types}}. The graph is kept as it is.', { types: missing.join(', ') }),
      'error',
    );
  if (models.length)
    say(
      t('Models that are missing here: {{models}}. The names are kept.', {
        models: [...new Set(models.map((each) => each.found))].join(', '),
      }),
      'error',
    );
}

/** Open a dropped or picked file: JSON, or a picture with its workflow inside. */
export async function openFile(file: File): Promise<void> {
  if (/\.json$/i.test(file.name) || file.type === 'application/json') return openText(await file.text(), file.name);
  const texts = await readTexts(file);
  const text = texts.workflow ?? texts.prompt;
  if (text) return openText(text, file.name);
  try {
    openText(writeJson((await convert(file)).workflow), file.name); // of another program: its settings as text
  } catch (error) {
    if (error instanceof Refused && file.type.startsWith('image/')) await takeAsInput(file).catch(complain);
    else say(`${file.name}: ${error instanceof Error ? error.message : String(error)}`, 'error');
  }
}

/** Hand a file to the browser's downloads. */
function download(name: string, text: string): void {
  const url = URL.createObjectURL(new Blob([text], { type: 'application/json' }));
  const link = Object.assign(document.createElement('a'), { href: url, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

/** Hand the open workflow out as a file, in the editor's form. */
export function exportFile(): void {
  download(`${activeTab()?.name ?? 'workflow'}.json`, writeJson(writeFile(getWhole()), 2));
}

/** Hand the open workflow out in the form for programs; the server converts it. */
export async function exportApi(): Promise<void> {
  try {
    const { prompt } = await convert(writeJson(writeFile(getWhole())));
    download(`${activeTab()?.name ?? 'workflow'}.api.json`, writeJson(prompt, 2));
  } catch (error) {
    complain(error);
  }
}

/** Save the open workflow on the server; asks for a name where it has none. */
export async function save(): Promise<void> {
  const path = activeTab()?.path;
  if (path) await saveAs(path);
  else openDialog({ kind: 'save' });
}

/** Save the open workflow on the server under a path below the folder of workflows. */
export async function saveAs(path: string): Promise<void> {
  const doc = getWhole();
  const tab = useTabs.getState().active; // another may be shown once it is written
  try {
    await writeSaved(path, `${writeJson(writeFile(doc), 2)}\n`);
    markSaved(tab, doc, path);
    changed('saved');
    say(t('Saved as {{path}}.', { path }));
  } catch (error) {
    complain(error);
  }
}

/** Open a workflow that is saved on the server, or the tab that has it open already. */
export async function openSaved(path: string): Promise<void> {
  const open = useTabs.getState().tabs.find((each) => each.path === path);
  if (open) return switchTab(open.id);
  try {
    openText(await readSaved(path), path.replace(/^.*\//, ''), path);
  } catch (error) {
    complain(error);
  }
}

export const complain = (error: unknown): void => say(error instanceof Error ? error.message : String(error), 'error');

/** The keys of all nodes that are output nodes and may run. */
export const outputsOf = (doc: Doc): readonly string[] =>
  doc.nodes.filter((each) => getDefinitions().get(each.type)?.isOutput).map(keyOf);

export const newWorkflow = (): string => openTab('Untitled', EMPTY);
