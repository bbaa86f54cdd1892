/** What the server does and has made, by workflow and node. Nothing of it is part of the document. */

import { create } from 'zustand';
import { isArray, isObject, type Json, type JsonObject } from '../doc/json';

export type NodeState = 'queued' | 'running' | 'finished' | 'cached' | 'error';

export interface NodeRun {
  readonly state?: NodeState;
  readonly value?: number;
  readonly max?: number;
  readonly preview?: string;
  readonly images?: readonly string[];
  readonly texts?: readonly string[];
  readonly errors?: readonly NodeError[];
}

export interface NodeError {
  readonly message: string;
  readonly details: string;
  readonly input: string | null;
  readonly choices: readonly string[];
}

export interface RunState {
  readonly nodes: Readonly<Record<string, Readonly<Record<string, NodeRun>>>>;
  readonly jobs: Readonly<Record<string, string>>;
  readonly running: string | null;
  readonly remaining: number;
  readonly online: boolean;
  readonly problem: string | null;
}

const JOBS = 'easel.jobs';
const KEPT = 300; // more than a batch and a sweep queue at once

/** Which workflow each job of this window belongs to; kept over a reload. */
function readJobs(): Record<string, string> {
  try {
    return JSON.parse(sessionStorage.getItem(JOBS) ?? '{}') as Record<string, string>;
  } catch {
    return {};
  }
}

/** Note that a workflow was queued as a job. */
export function noteJob(id: string, tab: string): void {
  useRuns.setState((state) => ({
    jobs: Object.fromEntries([...Object.entries(state.jobs), [id, tab]].slice(-KEPT)),
  }));
  try {
    sessionStorage.setItem(JOBS, JSON.stringify(useRuns.getState().jobs));
  } catch {
    // without storage, pictures of a job that ends during a reload are found in the history only
  }
}

export const useRuns = create<RunState>(() => ({
  nodes: {},
  jobs: readJobs(),
  running: null,
  remaining: 0,
  online: false,
  problem: null,
}));

const NOTHING: NodeRun = {};
export const runOf = (state: RunState, tab: string, node: string): NodeRun => state.nodes[tab]?.[node] ?? NOTHING;

/** How far a workflow's run is, from 0 to 1: each node that takes part counts alike. */
export function overall(state: RunState, tab: string | undefined): number {
  const runs = Object.values((tab && state.nodes[tab]) || {}).filter((each) => each.state);
  if (runs.length === 0) return 0;
  const done = runs.reduce((sum, { state: now, value, max }) => {
    if (now === 'finished' || now === 'cached') return sum + 1;
    return now === 'running' && max ? sum + (value ?? 0) / max : sum;
  }, 0);
  return Math.min(1, done / runs.length);
}

export function update(tab: string, node: string, change: Partial<NodeRun>): void {
  useRuns.setState((state) => ({
    nodes: { ...state.nodes, [tab]: { ...state.nodes[tab], [node]: { ...runOf(state, tab, node), ...change } } },
  }));
}

/** A run begins: what the last one said of nodes is over; its pictures stay until new ones come. */
export function clearStates(tab: string, keepErrors = false): void {
  useRuns.setState((state) => ({
    problem: keepErrors ? state.problem : null,
    nodes: {
      ...state.nodes,
      [tab]: Object.fromEntries(
        Object.entries(state.nodes[tab] ?? {}).map(([node, run]) => {
          const { images, texts, preview, errors } = run;
          return [node, { images, texts, preview, ...(keepErrors ? { errors } : {}) }];
        }),
      ),
    },
  }));
}

export function dropPreviews(tab: string): void {
  for (const [node, run] of Object.entries(useRuns.getState().nodes[tab] ?? {})) {
    if (!run.preview) continue;
    URL.revokeObjectURL(run.preview);
    update(tab, node, { preview: undefined });
  }
}

export const pictureUrl = (image: JsonObject): string =>
  `./view?${new URLSearchParams({
    filename: String(image.filename ?? ''),
    subfolder: String(image.subfolder ?? ''),
    type: String(image.type ?? 'output'),
  }).toString()}`;

/** What a node shows after a run: its pictures and texts. */
export function readOutput(output: Json | undefined): Pick<NodeRun, 'images' | 'texts'> {
  const shown = isObject(output) ? output : {};
  const images = isArray(shown.images) ? shown.images.filter(isObject).map(pictureUrl) : undefined;
  const texts = isArray(shown.text) ? shown.text.map(String) : undefined;
  return { ...(images ? { images } : {}), ...(texts ? { texts } : {}) };
}

/** The problems of a refused workflow, by node. */
export function readErrors(nodeErrors: Json | undefined): Record<string, NodeError[]> {
  const found: Record<string, NodeError[]> = {};
  for (const [node, entry] of Object.entries(isObject(nodeErrors) ? nodeErrors : {})) {
    const errors = isObject(entry) && isArray(entry.errors) ? entry.errors.filter(isObject) : [];
    found[node] = errors.map((each) => {
      const extra = isObject(each.extra_info) ? each.extra_info : {};
      return {
        message: String(each.message ?? each.type ?? 'refused'),
        details: String(each.details ?? ''),
        input: typeof extra.input_name === 'string' ? extra.input_name : null,
        choices: isArray(extra.allowed) ? extra.allowed.map(String) : [],
      };
    });
  }
  return found;
}
