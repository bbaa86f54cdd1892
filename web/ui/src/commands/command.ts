/** A command: what menus, shortcuts and the palette are made from. */

import { getSettings } from '../state/settings';

export interface Command {
  readonly id: string;
  readonly title: string;
  /** Shortcuts such as `Mod+Enter`; `Mod` is Ctrl, or Cmd on a Mac. */
  readonly keys: readonly string[];
  /** Whether it can be used now. */
  readonly when: () => boolean;
  readonly perform: () => void | Promise<void>;
  /** Whether the browser does its own part too: its clipboard events hand over what commands cannot reach. */
  readonly isShared?: boolean;
  /** What its shortcut does instead of `perform`. */
  readonly onKeys?: () => void;
  /** Whether it leaves text that is marked alone, and what has the focus beside the graph. */
  readonly isOfGraph?: boolean;
  /** Whether it also works while text is being edited. */
  readonly inText?: boolean;
}

/** The shortcuts of a command: those that were chosen for it, else its own. */
export const keysOf = (command: Pick<Command, 'id' | 'keys'>): readonly string[] =>
  getSettings().keys[command.id] ?? command.keys;

export const always = (): boolean => true;

const isMac = typeof navigator !== 'undefined' && /mac/i.test(navigator.platform);

type Press = Pick<KeyboardEvent, 'key' | 'ctrlKey' | 'metaKey' | 'shiftKey' | 'altKey'> &
  Partial<Pick<KeyboardEvent, 'code' | 'getModifierState'>>;

/** The letter or digit that a key would give: where Alt makes a sign of it (on a Mac), or the letters are not Latin. */
function latinOf(event: Press): string {
  const { key, code = '' } = event;
  const place = /^(?:Key|Digit)([A-Z0-9])$/.exec(code)?.[1];
  const isOther = key.length === 1 && /\p{L}/u.test(key) && !/\p{Script=Latin}/u.test(key);
  const isAlt = event.altKey && !event.getModifierState?.('AltGraph') && !/^[a-z0-9]$/i.test(key);
  const isTyped = key.length === 1 || key === 'Dead';
  return place && isTyped && (isOther || isAlt) ? place : key;
}

/** The shortcut of a key press, written as in `keys`. */
export function shortcutOf(event: Press): string {
  const key = latinOf(event);
  const name = key.length === 1 ? key.toUpperCase() : key;
  const isSign = key.length === 1 && !/[a-z0-9 ]/i.test(key);
  const parts = [
    (isMac ? event.metaKey : event.ctrlKey) ? 'Mod' : '',
    event.altKey ? 'Alt' : '',
    event.shiftKey && !isSign ? 'Shift' : '', // a sign such as ? holds its shift already
    name === ' ' ? 'Space' : name,
  ];
  return parts.filter(Boolean).join('+');
}

export const shownKeys = (keys: string): string =>
  keys
    .replace('Mod', isMac ? '⌘' : 'Ctrl')
    .replace('Shift', isMac ? '⇧' : 'Shift')
    .replace('Alt', isMac ? '⌥' : 'Alt')
    .replaceAll('+', isMac ? '' : '+');

/** Whether keys typed there are text. */
export function isTextField(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  return (
    target.isContentEditable ||
    target instanceof HTMLTextAreaElement ||
    target instanceof HTMLSelectElement ||
    (target instanceof HTMLInputElement && !['checkbox', 'button', 'range', 'radio'].includes(target.type))
  );
}
