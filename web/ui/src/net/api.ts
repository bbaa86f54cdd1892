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

async function ask(path: string, init?: RequestInit): Promise<Json> {
  const answer = await fetch(`./${path}`, init);
  const text = await answer.text();
  const isJson = (answer.headers.get('Content-Type') ?? '').includes('json');
  const body = isJson && text ? parseJson(text) : text;
  if (!answer.ok) {
    const error = isObject(body) && isObject(body.error) ? body.error : {};
    throw new Refused(answer.status, String(error.message ?? `${path}: the server answered ${answer.status}`), body);
  }
  return body;
}

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
export async function upload(file: File): Promise<string> {
  const form = new FormData();
  form.append('image', file, file.name || 'pasted.png');
  const body = await ask('upload/image', { method: 'POST', body: form });
  const found = isObject(body) ? body : {};
  return found.subfolder ? `${String(found.subfolder)}/${String(found.name)}` : String(found.name);
}

/** Convert a workflow in the form for programs to one that can be drawn, where the server offers it. */
export const systemStats = (): Promise<Json> => ask('system_stats');
