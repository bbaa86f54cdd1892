/** Asking the server: refusals as errors, and answers with every digit of their numbers. */

import createClient from 'openapi-fetch';
import { isObject, type Json, parseJson, writeJson } from '../doc/json';
import type { paths } from './schema';

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

function refusal(status: number, path: string, body: Json): Refused {
  const error = isObject(body) && isObject(body.error) ? body.error : {};
  return new Refused(status, String(error.message ?? `${path}: the server answered ${status}`), body);
}

async function fetchText(path: string, init?: RequestInit): Promise<readonly [string, boolean]> {
  const answer = await fetch(`./${path}`, init);
  const text = await answer.text();
  const isJson = (answer.headers.get('Content-Type') ?? '').includes('json') && text !== '';
  if (!answer.ok) throw refusal(answer.status, path, isJson ? parseJson(text) : text);
  return [text, isJson];
}

/** Ask for something the server's description holds no types of; gives its JSON, or its text. Throws Refused. */
export async function ask(path: string, init?: RequestInit): Promise<Json> {
  const [text, isJson] = await fetchText(path, init);
  return isJson ? parseJson(text) : text;
}
/** Ask for a file, as text, letter for letter. Throws Refused. */
export const askText = async (path: string): Promise<string> => (await fetchText(path))[0];

/** `fetch`, but whole numbers beyond 2^53 in an answer become bigints instead of other numbers. */
async function exactly(request: Request): Promise<Response> {
  const answer = await fetch(request);
  const text = await answer.text();
  const headers = new Headers(answer.headers);
  headers.set('Content-Length', String(text.length)); // with a length, the client asks for `json` and not for the text
  const { status, statusText } = answer;
  const kept = new Response(text === '' ? null : text, { status, statusText, headers });
  return Object.assign(kept, { json: async () => parseJson(text) });
}

/** The typed routes. Their calls give `{data, error, response}`: pass them through `answered`. */
export const server = createClient<paths>({
  baseUrl: typeof location === 'undefined' ? '' : new URL('.', location.href).href,
  fetch: exactly,
  bodySerializer: (body) => writeJson(body as unknown as Json), // seeds may have more than 53 bits
});

/** The data of an answer. Throws Refused. */
export async function answered<T>(
  call: Promise<{ readonly data?: T; readonly error?: unknown; readonly response: Response }>,
): Promise<T> {
  const { data, error, response } = await call;
  if (!response.ok) throw refusal(response.status, new URL(response.url || 'x:').pathname, (error ?? null) as Json);
  return data as T;
}
