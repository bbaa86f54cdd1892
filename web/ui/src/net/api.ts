/** The server's routes that the editor uses. Answers are read with every digit of their numbers. */

import { isArray, isObject, type Json, type JsonObject, parseJson, writeJson } from '../doc/json';

/** A request the server refused; `body` is its answer. */
export class Refused extends Error {
  constructor(
    readonly status: number,
    message: string,
    readonly body: Json,
  ) {
    super(message);
  }
}

async function fetchText(path: string, init?: RequestInit): Promise<readonly [string, boolean]> {
  const answer = await fetch(`./${path}`, init);
  const text = await answer.text();
  const isJson = (answer.headers.get('Content-Type') ?? '').includes('json') && text !== '';
  if (!answer.ok) {
    const body = isJson ? parseJson(text) : text;
    const error = isObject(body) && isObject(body.error) ? body.error : {};
    throw new Refused(answer.status, String(error.message ?? `${path}: the server answered ${answer.status}`), body);
  }
  return [text, isJson];
}

/** Ask the server; gives its JSON, or its text. Throws Refused. */
export async function ask(path: string, init?: RequestInit): Promise<Json> {
  const [text, isJson] = await fetchText(path, init);
  return isJson ? parseJson(text) : text;
}
/** Ask for a file, as text, letter for letter. Throws Refused. */
export const askText = async (path: string): Promise<string> => (await fetchText(path))[0];

const post = (path: string, body: Json): Promise<Json> => ask(path, { method: 'POST', body: writeJson(body) });

export const objectInfo = (): Promise<Json> => ask('object_info');
export const submit = (workflow: JsonObject, client: string, front: boolean): Promise<Json> =>
  post('prompt', {
    prompt: workflow,
    client_id: client,
    front,
    extra_data: { extra_pnginfo: { workflow } },
  });
export const interrupt = (): Promise<Json> => post('interrupt', {});
export const dropJobs = (ids: readonly string[]): Promise<Json> => post('queue', { delete: ids });
export const clearQueue = (): Promise<Json> => post('queue', { clear: true });
export const pauseQueue = (isOn: boolean): Promise<Json> => post(`api/queue/${isOn ? 'pause' : 'resume'}`, {});
/** Give a waiting job another place; 1 runs next. */
export const moveJob = (id: string, position: number): Promise<Json> =>
  ask(`api/jobs/${encodeURIComponent(id)}`, { method: 'PATCH', body: writeJson({ position }) });
export const retryJob = (id: string): Promise<Json> => post(`api/jobs/${encodeURIComponent(id)}/retry`, {});
export const isPaused = async (): Promise<boolean> => {
  const found = await ask('api/jobs?limit=0');
  return isObject(found) && found.paused === true;
};

export interface JobNode {
  readonly node: string;
  readonly display: string;
  readonly state: string;
  readonly type: string;
  /** Why it ran, or was reused, in the engine's words. */
  readonly why: string;
  readonly seconds: number;
}
/** What became of each node of a job. */
export async function jobNodes(id: string): Promise<readonly JobNode[]> {
  const found = await ask(`api/jobs/${encodeURIComponent(id)}`);
  const nodes = isObject(found) && isArray(found.nodes) ? found.nodes.filter(isObject) : [];
  return nodes.map((each) => ({
    node: String(each.node ?? ''),
    display: String(each.display ?? each.node ?? ''),
    state: String(each.state ?? ''),
    type: String(each.class_type ?? ''),
    why: String(each.why ?? ''),
    seconds: Number(each.seconds ?? 0),
  }));
}
export const dropHistory = (ids: readonly string[]): Promise<Json> => post('history', { delete: ids });

export interface QueuedJob {
  readonly id: string;
  readonly number: number;
  readonly workflow: Json;
}

const jobOf = (item: Json): QueuedJob | null => {
  if (!isArray(item)) return null;
  const extra = isObject(item[3]) && isObject(item[3].extra_pnginfo) ? item[3].extra_pnginfo : {};
  return { number: Number(item[0]), id: String(item[1]), workflow: extra.workflow ?? item[2] ?? null };
};

export async function queue(): Promise<{ running: QueuedJob[]; pending: QueuedJob[] }> {
  const body = await ask('queue');
  const list = (value: Json | undefined): QueuedJob[] =>
    (isArray(value) ? value : []).map(jobOf).filter((each) => each !== null);
  const found = isObject(body) ? body : {};
  return { running: list(found.queue_running), pending: list(found.queue_pending) };
}

export interface PastJob extends QueuedJob {
  readonly status: string;
  readonly outputs: JsonObject;
  readonly message: string | null;
}

/** The newest jobs that ended, newest first. */
export async function history(most = 100): Promise<PastJob[]> {
  const body = await ask(`history?max_items=${most}`);
  const jobs = Object.entries(isObject(body) ? body : {}).flatMap(([id, entry]): PastJob[] => {
    if (!isObject(entry)) return [];
    const job = jobOf(entry.prompt ?? null);
    const status = isObject(entry.status) ? entry.status : {};
    const messages = isArray(status.messages) ? status.messages.filter(isArray) : [];
    const failure = messages.find(([kind]) => kind === 'execution_error')?.[1];
    return [
      {
        id,
        number: job?.number ?? 0,
        workflow: job?.workflow ?? null,
        status: String(status.status_str ?? ''),
        outputs: isObject(entry.outputs) ? entry.outputs : {},
        message: isObject(failure) ? String(failure.exception_message ?? '') : null,
      },
    ];
  });
  return jobs.reverse();
}

/** Upload a picture into the input folder; gives the name a node takes. */
export function upload(file: File): Promise<string> {
  const form = new FormData();
  form.append('image', file, file.name || 'pasted.png');
  return stored('upload/image', form);
}

/** Upload a mask: the original with the transparency of `file`; gives the name a node takes. */
export function uploadMask(
  file: File,
  original: { filename: string; subfolder: string; type: string },
): Promise<string> {
  const form = new FormData();
  form.append('image', file, file.name);
  form.append('original_ref', JSON.stringify(original));
  return stored('upload/mask', form);
}

async function stored(path: string, form: FormData): Promise<string> {
  const body = await ask(path, { method: 'POST', body: form });
  const found = isObject(body) ? body : {};
  return found.subfolder ? `${String(found.subfolder)}/${String(found.name)}` : String(found.name);
}

export const systemStats = (): Promise<Json> => ask('system_stats');
