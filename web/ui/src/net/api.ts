/** The server's routes that the editor uses: jobs and pictures by their own routes, the rest as ComfyUI has it. */

import { isArray, isObject, type Json, type JsonObject, writeJson } from '../doc/json';
import { answered, ask, server } from './http';
import type { components } from './schema';

export type Job = components['schemas']['JobView'];
export type JobNode = components['schemas']['NodeView'];
export type JobPage = components['schemas']['JobList'];
export type Picture = components['schemas']['Item'];
export type PicturePage = components['schemas']['Items'];
export type Prediction = components['schemas']['PredictionView'];
export type ModelInfo = components['schemas']['ModelInfo'];

const post = (path: string, body: Json): Promise<Json> => ask(path, { method: 'POST', body: writeJson(body) });

export const objectInfo = (): Promise<Json> => ask('object_info');

// -- running -------------------------------------------------------------------------------------------------------

export const submit = (workflow: JsonObject, client: string, front: boolean): Promise<Json> =>
  post('prompt', {
    prompt: workflow,
    client_id: client,
    front,
    extra_data: { extra_pnginfo: { workflow } },
  });
export const interrupt = (): Promise<Json> => post('interrupt', {});
export const clearQueue = (): Promise<Json> => post('queue', { clear: true });
export const pauseQueue = (isOn: boolean): Promise<unknown> =>
  answered(isOn ? server.POST('/api/queue/pause') : server.POST('/api/queue/resume'));
/** What would become of each node of a workflow if it ran now. */
export const predict = (workflow: JsonObject): Promise<Prediction> =>
  answered(server.POST('/api/predict', { body: { workflow } as never }));

const ofJob = (job_id: string) => ({ params: { path: { job_id } } });
/** Jobs: those that run, those that wait in their order, the ended ones with the newest first. */
export const jobs = (offset: number, limit: number): Promise<JobPage> =>
  answered(server.GET('/api/jobs', { params: { query: { offset, limit } } }));
/** One job, with what became of each node. */
export const job = (id: string): Promise<Job> => answered(server.GET('/api/jobs/{job_id}', ofJob(id))) as Promise<Job>;
export const cancelJob = (id: string): Promise<unknown> =>
  answered(server.POST('/api/jobs/{job_id}/cancel', ofJob(id)));
/** Give a waiting job another place; 1 runs next. */
export const moveJob = (id: string, position: number): Promise<unknown> =>
  answered(server.PATCH('/api/jobs/{job_id}', { ...ofJob(id), body: { position } }));
export const retryJob = (id: string): Promise<unknown> => answered(server.POST('/api/jobs/{job_id}/retry', ofJob(id)));
export const forgetJob = (id: string): Promise<unknown> => answered(server.DELETE('/api/jobs/{job_id}', ofJob(id)));

/** The workflow of a job as it was drawn; in the form for programs if it came from one. */
export async function workflowOf(id: string): Promise<Json> {
  const past = await ask(`history/${encodeURIComponent(id)}`);
  const entry = isObject(past) ? past[id] : undefined;
  const item = isObject(entry) ? entry.prompt : undefined;
  const extra = isArray(item) && isObject(item[3]) ? item[3].extra_pnginfo : undefined;
  return (isObject(extra) ? extra.workflow : undefined) ?? (isArray(item) ? item[2] : undefined) ?? null;
}

// -- files ---------------------------------------------------------------------------------------------------------

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

// -- pictures ------------------------------------------------------------------------------------------------------

export const pictures = (query: {
  readonly prompt?: string;
  readonly trash?: boolean;
  readonly offset: number;
  readonly limit: number;
}): Promise<PicturePage> => answered(server.GET('/api/gallery', { params: { query } }));
const ofPicture = (id: number) => ({ params: { path: { id: String(id) } } });
/** Move a picture to the trash folder; from there, it goes for good. */
export const deletePicture = (id: number): Promise<unknown> =>
  answered(server.DELETE('/api/gallery/{id}', ofPicture(id)));
export const restorePicture = (id: number): Promise<unknown> =>
  answered(server.POST('/api/gallery/{id}/restore', ofPicture(id)));

// -- the machine ---------------------------------------------------------------------------------------------------

export interface Device {
  readonly name: string;
  readonly type: string;
  /** Bytes. */
  readonly total: number;
  readonly free: number;
}
/** The devices that jobs run on. */
export async function devices(): Promise<readonly Device[]> {
  const found = await ask('system_stats');
  const list = isObject(found) && isArray(found.devices) ? found.devices.filter(isObject) : [];
  return list.map((each) => ({
    name: String(each.name),
    type: String(each.type),
    total: Number(each.vram_total ?? 0),
    free: Number(each.vram_free ?? 0),
  }));
}

export const modelInfo = (folder: string, filename: string): Promise<ModelInfo> =>
  answered(server.GET('/api/models/{folder}/{filename}/info', { params: { path: { folder, filename } } }));
