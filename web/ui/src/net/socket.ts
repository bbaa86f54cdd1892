/** The WebSocket: what the server tells goes into the stores, at most once a frame; it reconnects by itself. */

import { nodeAt, titleOf } from '../doc/document';
import { isArray, isObject, type Json, type JsonObject, parseJson } from '../doc/json';
import { getDefinitions, wholeOf } from '../state/documents';
import { saveDrafts } from '../state/drafts';
import { clearStates, dropPreviews, type NodeRun, type NodeState, readOutput, update, useRuns } from '../state/runs';
import { stateOf, useTabs } from '../state/tabs';
import { say } from '../state/view';
import { renewWindow, windowId } from '../state/window';
import { t } from '../words';
import { changed } from './queries';

const RETRY_FIRST_MS = 500;
const RETRY_MOST_MS = 5000;
const PREVIEW = 1;
const PREVIEW_WITH_METADATA = 4;

/** The server gave this window's name to a newer one: a browser tab that was duplicated has the name of the first. */
export const isReplaced = ({ code, reason }: Pick<CloseEvent, 'code' | 'reason'>): boolean =>
  code === 1008 && reason.startsWith('replaced');

const text = (value: Json | undefined): string => (typeof value === 'string' ? value : '');
const tabOf = (data: JsonObject): string => useRuns.getState().jobs[text(data.prompt_id)] ?? useTabs.getState().active;
/**
 * The nodes that show what happens to one: it, and the subgraphs that it is in (`12:3` is node 3 inside node 12). Nodes
 * made while a job runs (`7.0.1`) are shown as the node that made them.
 */
const shown = (id: string): readonly string[] => {
  const parts = (id.split('.')[0] ?? id).split(':');
  return parts.map((_, place) => parts.slice(0, place + 1).join(':'));
};
const show = (tab: string, id: string, change: Partial<NodeRun>): void => {
  for (const node of shown(id)) update(tab, node, change);
};

const HANDLERS: Readonly<Record<string, (data: JsonObject) => void>> = {
  status: (data) => {
    const info = isObject(data.status) && isObject(data.status.exec_info) ? data.status.exec_info : {};
    useRuns.setState({ remaining: Number(info.queue_remaining ?? 0) });
    changed('jobs', 'pictures', 'machine');
  },
  execution_start: (data) => {
    clearStates(tabOf(data));
    useRuns.setState({ running: text(data.prompt_id) });
  },
  execution_cached: (data) => {
    for (const node of isArray(data.nodes) ? data.nodes : []) show(tabOf(data), String(node), { state: 'cached' });
  },
  executing: (data) => {
    if (data.node === null) {
      dropPreviews(tabOf(data));
      useRuns.setState({ running: null });
      changed('jobs', 'pictures', 'machine');
    } else if (data.prompt_id) useRuns.setState({ running: text(data.prompt_id) });
  },
  progress_state: (data) => {
    const tab = tabOf(data);
    for (const each of Object.values(isObject(data.nodes) ? data.nodes : {})) {
      if (!isObject(each)) continue;
      const node = text(each.display_node_id) || text(each.node_id);
      show(tab, node, { state: each.state as NodeState, value: Number(each.value), max: Number(each.max) });
    }
  },
  executed: (data) => {
    show(tabOf(data), text(data.display_node) || String(data.node), readOutput(data.output));
  },
  execution_success: () => say(t('Finished.')),
  execution_interrupted: (data) => {
    forget(tabOf(data));
    say(t('Stopped.'));
  },
  execution_error: (data) => {
    const id = String(data.node_id ?? '');
    const tab = tabOf(data);
    forget(tab);
    const message = text(data.exception_message).trim() || text(data.exception_type);
    const trace = isArray(data.traceback) ? data.traceback.map(String).join('') : '';
    show(tab, id, { state: 'error', errors: [{ message, details: trace, input: null, choices: [] }] });
    const state = stateOf(tab);
    const found = state && nodeAt(wholeOf(state), shown(id)[0] ?? id);
    const name = found ? titleOf(found, getDefinitions().get(found.type)?.title ?? found.type) : text(data.node_type);
    useRuns.setState({ problem: `${name}: ${message}` });
    say(`${name}: ${message}`, 'error');
  },
};

/** Nodes that were waiting or running are so no longer. */
function forget(tab: string): void {
  for (const [node, run] of Object.entries(useRuns.getState().nodes[tab] ?? {}))
    if (run.state === 'running' || run.state === 'queued') update(tab, node, { state: undefined });
}

/** Take a binary frame: a picture of a step, with or without the node it belongs to. */
function takePreview(frame: ArrayBuffer): void {
  const view = new DataView(frame);
  if (frame.byteLength < 8) return;
  const kind = view.getUint32(0);
  if (kind === PREVIEW_WITH_METADATA) {
    const length = view.getUint32(4);
    const about = parseJson(new TextDecoder().decode(new Uint8Array(frame, 8, length)));
    if (!isObject(about)) return;
    showPreview(
      tabOf(about),
      text(about.display_node_id) || text(about.node_id),
      new Uint8Array(frame, 8 + length),
      text(about.image_type),
    );
  } else if (kind === PREVIEW) {
    const tab = useTabs.getState().active;
    const running = Object.entries(useRuns.getState().nodes[tab] ?? {}).find(([, run]) => run.state === 'running');
    if (running)
      showPreview(tab, running[0], new Uint8Array(frame, 8), view.getUint32(4) === 2 ? 'image/png' : 'image/jpeg');
  }
}

function showPreview(tab: string, node: string, image: Uint8Array<ArrayBuffer>, type: string): void {
  for (const each of shown(node)) {
    const before = useRuns.getState().nodes[tab]?.[each]?.preview;
    update(tab, each, { preview: URL.createObjectURL(new Blob([image], { type })) });
    if (before) URL.revokeObjectURL(before);
  }
}

/** Keep a connection for as long as the page lives. `onOpen`: called at each connection. */
export function connect(onOpen: (isFirst: boolean) => void): void {
  let wait = RETRY_FIRST_MS;
  let isFirst = true;
  let waiting: (string | ArrayBuffer)[] = [];
  const take = (): void => {
    const frames = waiting;
    waiting = [];
    for (const frame of frames) {
      if (typeof frame !== 'string') takePreview(frame);
      else {
        const message = parseJson(frame);
        if (isObject(message)) HANDLERS[text(message.type)]?.(isObject(message.data) ? message.data : {});
      }
    }
  };
  const open = (): void => {
    const address = new URL(`./ws?clientId=${windowId()}`, location.href);
    address.protocol = address.protocol.replace('http', 'ws');
    const socket = new WebSocket(address);
    socket.binaryType = 'arraybuffer';
    socket.onopen = () => {
      wait = RETRY_FIRST_MS;
      socket.send(JSON.stringify({ type: 'feature_flags', data: { supports_preview_metadata: true } }));
      useRuns.setState({ online: true });
      onOpen(isFirst);
      isFirst = false;
    };
    socket.onmessage = (event: MessageEvent<string | ArrayBuffer>) => {
      // a hidden page has no frames; a timer still ticks there
      if (waiting.push(event.data) === 1) (document.hidden ? setTimeout : requestAnimationFrame)(take);
    };
    socket.onclose = (event) => {
      if (isReplaced(event)) {
        renewWindow();
        saveDrafts();
      }
      useRuns.setState({ online: false, running: null });
      setTimeout(open, wait);
      wait = Math.min(wait * 2, RETRY_MOST_MS);
    };
  };
  document.addEventListener('visibilitychange', take); // a frame that was asked for may not come any more
  open();
}
