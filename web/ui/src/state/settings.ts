/** What people choose for themselves: kept in this browser, and on the server for the next one. */

import { create } from 'zustand';
import { setLanguage } from '../words';

export type Theme = 'system' | 'dark' | 'light';
export type LinkStyle = 'curved' | 'straight' | 'stepped' | 'hidden';

export interface Settings {
  readonly theme: Theme;
  readonly language: string;
  readonly linkStyle: LinkStyle;
  /** What the wheel does: zoom, or pan (trackpads). */
  readonly wheel: 'zoom' | 'pan';
  readonly minimap: boolean;
  readonly snap: boolean;
  /** When seeds move on: after each run, so that the field shows the next one, or before, so that it shows the last. */
  readonly seeds: 'after' | 'before';
  /** Shortcuts that differ from the built-in ones, by command. */
  readonly keys: Readonly<Record<string, readonly string[]>>;
  /** Whether the tour was seen or declined. */
  readonly toured: boolean;
  /** How often each node type was added, for the order of the palette. */
  readonly used: Readonly<Record<string, number>>;
  /** Saved workflows that are kept at hand, by their paths. */
  readonly starred: readonly string[];
}

export const DEFAULTS: Settings = {
  theme: 'system',
  language: 'en',
  linkStyle: 'curved',
  wheel: 'zoom',
  minimap: true,
  snap: false,
  seeds: 'after',
  keys: {},
  toured: false,
  used: {},
  starred: [],
};
/** What a setting may be; others hold anything of their default's kind. */
const ALLOWED: Readonly<Record<string, readonly unknown[]>> = {
  theme: ['system', 'dark', 'light'],
  linkStyle: ['curved', 'straight', 'stepped', 'hidden'],
  wheel: ['zoom', 'pan'],
  seeds: ['after', 'before'],
};

const KEPT = 'easel.settings';

/** Whether JSON is settings at all: another file that is read as settings would put all of them back to the start. */
export const holdsSettings = (raw: unknown): boolean =>
  typeof raw === 'object' && raw !== null && Object.keys(DEFAULTS).some((name) => Object.hasOwn(raw, name));

/** Settings out of JSON that may be old, foreign or broken: what does not fit is left at its default. */
export function readSettings(raw: unknown): Settings {
  const given = typeof raw === 'object' && raw !== null ? (raw as Record<string, unknown>) : {};
  const fitting = Object.entries(DEFAULTS).map(([name, fallback]): [string, unknown] => {
    const value = given[name];
    const isAlike =
      typeof value === typeof fallback && value !== null && Array.isArray(value) === Array.isArray(fallback);
    const fits = ALLOWED[name]?.includes(value) ?? isAlike;
    return [name, fits ? value : fallback];
  });
  const keys = Object.entries((Object.fromEntries(fitting) as { keys: object }).keys).filter(
    ([, list]) => Array.isArray(list) && list.every((each) => typeof each === 'string'),
  );
  return { ...Object.fromEntries(fitting), keys: Object.fromEntries(keys) } as unknown as Settings;
}

function kept(): string | null {
  try {
    return localStorage.getItem(KEPT);
  } catch {
    return null;
  }
}

function start(): Settings {
  try {
    return readSettings(JSON.parse((typeof localStorage === 'undefined' ? null : kept()) ?? 'null'));
  } catch {
    return DEFAULTS;
  }
}

export const useSettings = create<Settings>(start);
export const getSettings = useSettings.getState;
/** Whether this browser was here before. */
export const isKnownBrowser = (): boolean => kept() !== null;

function wear({ theme, language }: Settings): Promise<void> {
  document.documentElement.dataset.theme = theme;
  return setLanguage(language);
}

/** Put the chosen colours and words on; resolves when they are there. */
export const wearSettings = (): Promise<void> => wear(getSettings());

type Push = (settings: Settings) => Promise<unknown>;
let push: Push = () => Promise.resolve();
/** Where settings are sent when they change. */
export const setPush = (to: Push): void => {
  push = to;
};

/** Choose something. */
export function choose(change: Partial<Settings>): void {
  useSettings.setState(change);
  const settings = getSettings();
  try {
    localStorage.setItem(KEPT, JSON.stringify(settings));
  } catch {
    // without storage the choice lasts as long as the page, and on the server
  }
  void push(settings).catch(() => undefined); // this browser has it
  if ('theme' in change || 'language' in change) void wear(settings);
}
