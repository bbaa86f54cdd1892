/** Settings on the server: what was chosen in one browser is there in the next. */

import { isObject, writeJson } from '../doc/json';
import { choose, isKnownBrowser, readSettings, setPush } from '../state/settings';
import { ask } from './http';

const PLACE = 'settings/easel.editor';

/** Send settings to the server from now on; a browser that has none takes the server's. */
export function keepSettings(): void {
  const isKnown = isKnownBrowser();
  setPush((settings) => ask(PLACE, { method: 'POST', body: writeJson({ ...settings } as never) }));
  if (isKnown) return;
  ask(PLACE).then(
    (found) => {
      if (isObject(found)) choose(readSettings(found));
    },
    () => undefined, // the server is away: the built-in ones do
  );
}
