/** All commands, and the one place that listens to shortcuts. */

import { useView } from '../state/view';
import { type Command, isTextField, shortcutOf } from './command';
import { EDIT } from './edit';
import { FILE } from './file';
import { RUN } from './run';
import { VIEW } from './view';

export const COMMANDS: readonly Command[] = [...RUN, ...EDIT, ...FILE, ...VIEW];

const byKeys = new Map<string, Command>();
for (const command of COMMANDS)
  for (const keys of command.keys) {
    if (byKeys.has(keys)) throw new Error(`${keys} means both ${byKeys.get(keys)?.id} and ${command.id}`);
    byKeys.set(keys, command);
  }

export const commandById = (id: string): Command => {
  const found = COMMANDS.find((each) => each.id === id);
  if (!found) throw new Error(`there is no command ${id}`);
  return found;
};

/** The command of a key press, if it has one that may be used where the press happened. */
export function commandOf(event: KeyboardEvent): Command | null {
  if (event.isComposing || event.defaultPrevented) return null;
  const { palette, lightbox, help } = useView.getState();
  if (palette || lightbox || help) return null;
  const keys = shortcutOf(event);
  const command = byKeys.get(keys);
  if (!command?.when()) return null;
  if (isTextField(event.target)) return command.inText ? command : null;
  // Space and the arrows belong to the control that has the focus, unless that is the canvas
  const isPlain = ['Space', 'Enter'].includes(keys) || keys.startsWith('Arrow');
  const target = event.target instanceof Element ? event.target : null;
  if (isPlain && target?.closest('button, a, input, [role=listbox], [role=menu], [role=tablist], [role=tree]'))
    return null;
  return command;
}

/**
 * Whether the browser must not act on a shortcut of ours that has nothing to do now: its own undo would change the text
 * of a field behind the document's back, and so forget what could be redone.
 */
function isHeldBack(event: KeyboardEvent): boolean {
  const { palette, lightbox, help } = useView.getState();
  return !palette && !lightbox && !help && byKeys.get(shortcutOf(event))?.inText === true;
}

export function listen(): () => void {
  const hear = (event: KeyboardEvent): void => {
    const command = commandOf(event);
    if (!command) {
      if (isHeldBack(event)) event.preventDefault();
      return;
    }
    event.preventDefault();
    void command.perform();
  };
  addEventListener('keydown', hear);
  return () => removeEventListener('keydown', hear);
}
