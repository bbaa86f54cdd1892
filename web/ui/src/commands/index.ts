/** All commands, and the one place that listens to shortcuts. */

import { getSettings } from '../state/settings';
import { isCovered } from '../state/view';
import { type Command, isTextField, keysOf, shortcutOf } from './command';
import { EDIT } from './edit';
import { FILE } from './file';
import { RUN } from './run';
import { VIEW } from './view';

export const COMMANDS: readonly Command[] = [...RUN, ...EDIT, ...FILE, ...VIEW];

let made: { readonly keys: unknown; readonly map: ReadonlyMap<string, Command> } | null = null;
/** Which command each shortcut means; chosen shortcuts go before built-in ones. */
function byKeys(): ReadonlyMap<string, Command> {
  const { keys } = getSettings();
  if (made?.keys === keys) return made.map;
  const map = new Map<string, Command>();
  const chosen = COMMANDS.filter((each) => each.id in keys);
  for (const command of [...chosen, ...COMMANDS])
    for (const key of keysOf(command)) if (!map.has(key)) map.set(key, command);
  made = { keys, map };
  return map;
}

/** The other commands that have a shortcut already. */
export const rivals = (id: string, keys: string): readonly Command[] =>
  COMMANDS.filter((each) => each.id !== id && keysOf(each).includes(keys));

export const commandById = (id: string): Command => {
  const found = COMMANDS.find((each) => each.id === id);
  if (!found) throw new Error(`there is no command ${id}`);
  return found;
};

/** The command of a key press, if it has one that may be used where the press happened. */
export function commandOf(event: KeyboardEvent): Command | null {
  if (event.isComposing || event.defaultPrevented) return null;
  if (isCovered()) return null;
  const keys = shortcutOf(event);
  const command = byKeys().get(keys);
  if (!command?.when()) return null;
  if (isTextField(event.target)) return command.inText ? command : null;
  // Space and the arrows belong to the control that has the focus, unless that is the canvas
  const isPlain = ['Space', 'Enter'].includes(keys) || keys.startsWith('Arrow');
  const target = event.target instanceof Element ? event.target : null;
  if (command.isOfGraph && (target?.closest('aside') || String(getSelection() ?? '') !== '')) return null;
  if (isPlain && target?.closest('button, a, input, aside, [role=listbox], [role=menu], [role=tablist], [role=tree]'))
    return null;
  return command;
}

/**
 * Whether the browser must not act on a shortcut of ours that has nothing to do now: its own undo would change the text
 * of a field behind the document's back, and so forget what could be redone.
 */
function isHeldBack(event: KeyboardEvent): boolean {
  return !isCovered() && byKeys().get(shortcutOf(event))?.inText === true;
}

export function listen(): () => void {
  const hear = (event: KeyboardEvent): void => {
    const command = commandOf(event);
    if (!command) {
      if (isHeldBack(event)) event.preventDefault();
      return;
    }
    if (!command.isShared) event.preventDefault();
    if (command.onKeys) command.onKeys();
    else void command.perform();
  };
  addEventListener('keydown', hear);
  return () => removeEventListener('keydown', hear);
}
