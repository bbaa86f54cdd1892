/** What is on the screen and is never undone: the selection, open panels, a link being drawn, messages. */

import { create } from 'zustand';
import type { InputRef, OutputRef } from '../doc/connect';
import type { Point } from '../doc/document';
import type { Json } from '../doc/json';
import type { Viewport } from './viewports';

export type Panel = 'workflows' | 'outline' | 'models' | 'queue' | 'gallery' | 'problems' | null;
/** What stands at the right: the chosen node, the form of the whole workflow, or what the last run cost. */
export type Inspector = 'properties' | 'form' | 'timing' | null;

/** A question that lies over the editor. */
export type Dialog =
  | { readonly kind: 'save' }
  | { readonly kind: 'settings'; readonly page: 'general' | 'keys' }
  | { readonly kind: 'help'; readonly type: string }
  | { readonly kind: 'sweep' }
  | { readonly kind: 'diff'; readonly other: Json; readonly name: string }
  | { readonly kind: 'mask'; readonly node: string }
  | { readonly kind: 'compare'; readonly urls: readonly [string, string] };

/** A link being drawn: it starts at an output, or at an input when drawn backwards. */
export type Pending =
  /** `moves`: all links of the output go to another one. */
  { readonly from: OutputRef; readonly moves?: boolean } | { readonly to: InputRef };

export type Palette =
  | { readonly kind: 'commands' }
  | { readonly kind: 'nodes'; readonly at: Point | null; readonly pending: Pending | null }
  /** `port`: the end that was chosen first, once it was. */
  | { readonly kind: 'connect'; readonly node: string; readonly port: Pending | null }
  | { readonly kind: 'find' }
  /** `nodes`: only links of these, unless there are none. */
  | { readonly kind: 'links'; readonly nodes: readonly string[] }
  | null;

export interface Toast {
  readonly id: number;
  readonly text: string;
  readonly tone: 'info' | 'error';
  /** What can be done about it, with one button. */
  readonly action?: { readonly words: string; readonly perform: () => void };
}

export interface ViewState {
  readonly selected: ReadonlySet<string>;
  readonly selectedLinks: ReadonlySet<number>;
  readonly pending: Pending | null;
  readonly palette: Palette;
  readonly panel: Panel;
  readonly inspector: Inspector;
  readonly dialog: Dialog | null;
  /** What a small screen shows. */
  readonly phone: 'form' | 'graph';
  readonly toasts: readonly Toast[];
  /** What screen readers are told, and nobody sees. */
  readonly announced: string;
  readonly lightbox: { readonly urls: readonly string[]; readonly at: number } | null;
  readonly count: number;
  readonly renaming: string | null;
  /** Which of its pictures a node shows alone, by tab and node; nodes that are not named show all of them. */
  readonly shownPictures: Readonly<Record<string, number>>;
  /** Counts up when the canvas is to show the whole graph. */
  readonly fit: number;
  /** What the canvas is to show now. */
  readonly seat: Viewport | null;
  /** What dragging on the bare canvas does. */
  readonly tool: 'hand' | 'select';
  /** Whether nodes and links stay as they are. */
  readonly isLocked: boolean;
  /** A node to bring to the middle, and a count so that the same one can be asked for again. */
  readonly locate: { readonly node: string; readonly turn: number } | null;
}

export const useView = create<ViewState>(() => ({
  selected: new Set<string>(),
  selectedLinks: new Set<number>(),
  pending: null,
  palette: null,
  panel: null,
  inspector: null,
  dialog: null,
  phone: 'form',
  toasts: [],
  announced: '',
  lightbox: null,
  count: 1,
  renaming: null,
  shownPictures: {},
  fit: 0,
  seat: null,
  tool: 'hand',
  isLocked: false,
  locate: null,
}));

export const select = (keys: Iterable<string>): void => useView.setState({ selected: new Set(keys) });
export const openPalette = (palette: Palette): void => useView.setState({ palette });
export const openDialog = (dialog: Dialog | null): void => useView.setState({ dialog });
/** Whether something lies over the editor, so that its shortcuts rest. */
export const isCovered = (): boolean => {
  const { palette, lightbox, dialog } = useView.getState();
  return palette !== null || lightbox !== null || dialog !== null;
};
export const toggleInspector = (inspector: Inspector): void =>
  useView.setState((state) => ({ inspector: state.inspector === inspector ? null : inspector }));
export const togglePanel = (panel: Panel): void =>
  useView.setState((state) => ({ panel: state.panel === panel ? null : panel }));

/** Select a node and bring it to the middle of the canvas. */
export const locate = (node: string): void =>
  useView.setState((state) => ({ selected: new Set([node]), locate: { node, turn: (state.locate?.turn ?? 0) + 1 } }));

const SHOWN_MS = 7000;
let toastId = 0;
/** Say something in words; screen readers read it out. */
export function say(text: string, tone: Toast['tone'] = 'info', action?: Toast['action']): void {
  const id = ++toastId;
  useView.setState(({ toasts }) => ({
    toasts: [
      ...toasts.filter((each) => each.text !== text).slice(-3),
      { id, text, tone, ...(action ? { action } : {}) },
    ],
  }));
  setTimeout(() => dismiss(id), action || tone === 'error' ? 2 * SHOWN_MS : SHOWN_MS); // there is something to read and do
}
/** Tell screen readers what others see for themselves. */
export const announce = (announced: string): void => useView.setState({ announced });
export const dismiss = (id: number): void =>
  useView.setState(({ toasts }) => ({ toasts: toasts.filter((each) => each.id !== id) }));
