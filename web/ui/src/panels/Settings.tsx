/** Settings, and the shortcuts of all commands, which can be changed. */

import { Dialog } from '@base-ui/react/dialog';
import { Tabs } from '@base-ui/react/tabs';
import { type KeyboardEvent, useState } from 'react';
import { COMMANDS, rivals } from '../commands';
import { type Command, keysOf, shortcutOf, shownKeys } from '../commands/command';
import { choose, DEFAULTS, holdsSettings, readSettings, type Settings, useSettings } from '../state/settings';
import { say } from '../state/view';
import { LANGUAGES, t } from '../words';

export default function SettingsDialog({ page }: { readonly page: string }) {
  return (
    <Tabs.Root defaultValue={page}>
      <Dialog.Title>{t('Settings')}</Dialog.Title>
      <Tabs.List className="dialog-tabs" aria-label={t('Settings')}>
        <Tabs.Tab className="button" value="general">
          {t('General')}
        </Tabs.Tab>
        <Tabs.Tab className="button" value="keys">
          {t('Keyboard shortcuts')}
        </Tabs.Tab>
      </Tabs.List>
      <Tabs.Panel value="general">
        <General />
      </Tabs.Panel>
      <Tabs.Panel value="keys">
        <Keys />
      </Tabs.Panel>
    </Tabs.Root>
  );
}

type Choices = Readonly<Record<string, string>>;
const CHOICES: readonly (readonly [keyof Settings, string, Choices])[] = [
  ['theme', 'Colours', { system: 'As the system', dark: 'Dark', light: 'Light' }],
  ['language', 'Language', LANGUAGES],
  ['linkStyle', 'Links', { curved: 'Curved', straight: 'Straight', stepped: 'Stepped', hidden: 'Hidden' }],
  ['seeds', 'Seeds that change', { after: 'After each run', before: 'Before each run' }],
  ['wheel', 'Mouse wheel or two fingers', { zoom: 'Zoom (mouse)', pan: 'Move (trackpad)' }],
];
const SWITCHES: readonly (readonly [keyof Settings, string])[] = [
  ['minimap', 'Show the map'],
  ['snap', 'Snap nodes to the grid'],
];

function General() {
  const settings = useSettings();
  const file = (): void => {
    const url = URL.createObjectURL(new Blob([JSON.stringify(settings, null, 2)], { type: 'application/json' }));
    Object.assign(document.createElement('a'), { href: url, download: 'easel-settings.json' }).click();
    setTimeout(() => URL.revokeObjectURL(url), 10_000);
  };
  const read = async (given: File | undefined): Promise<void> => {
    if (!given) return;
    try {
      const found: unknown = JSON.parse(await given.text());
      if (!holdsSettings(found)) throw new Error('something else');
      choose(readSettings(found));
    } catch {
      say(t('{{name}} holds no settings.', { name: given.name }), 'error');
    }
  };
  const [words, setWords] = useState('');
  const isSought = (...texts: readonly string[]): boolean =>
    texts.some((each) => t(each).toLowerCase().includes(words.trim().toLowerCase()));
  return (
    <div className="form settings">
      <input
        type="search"
        className="field"
        aria-label={t('Search settings')}
        placeholder={t('Search')}
        value={words}
        onChange={(event) => setWords(event.target.value)}
      />
      {CHOICES.filter(([, label, choices]) => isSought(label, ...Object.values(choices))).map(
        ([name, label, choices]) => (
          <label key={name} className="settings-row">
            {t(label)}
            <select
              className="field"
              value={String(settings[name])}
              onChange={(event) => choose({ [name]: event.target.value })}
            >
              {Object.entries(choices).map(([value, words]) => (
                <option key={value} value={value}>
                  {name === 'language' ? words : t(words)}
                </option>
              ))}
            </select>
          </label>
        ),
      )}
      {SWITCHES.filter(([, label]) => isSought(label)).map(([name, label]) => (
        <label key={name} className="settings-row">
          {t(label)}
          <input
            type="checkbox"
            className="toggle"
            checked={settings[name] === true}
            onChange={(event) => choose({ [name]: event.target.checked })}
          />
        </label>
      ))}
      <div className="tools">
        <button type="button" className="button" onClick={file}>
          {t('Export settings')}
        </button>
        <label className="button">
          {t('Import settings')}
          <input
            type="file"
            accept=".json,application/json"
            className="hidden"
            onChange={(event) => void read(event.target.files?.[0])}
          />
        </label>
        <button type="button" className="button" onClick={() => choose({ ...DEFAULTS, toured: true })}>
          {t('All back to the start')}
        </button>
      </div>
    </div>
  );
}

function Keys() {
  const chosen = useSettings((state) => state.keys);
  const [words, setWords] = useState('');
  const shown = COMMANDS.filter((each) => `${t(each.title)} ${each.id}`.toLowerCase().includes(words.toLowerCase()));
  return (
    <>
      <p className="faint">
        {t('Everything can be done without a mouse: Tab goes from node to node, C links the chosen one.')}
      </p>
      <div className="tools">
        <input
          type="search"
          className="field"
          aria-label={t('Search commands')}
          placeholder={t('Search')}
          value={words}
          onChange={(event) => setWords(event.target.value)}
        />
        <button
          type="button"
          className="button"
          disabled={Object.keys(chosen).length === 0}
          onClick={() => choose({ keys: {} })}
        >
          {t('Built-in shortcuts')}
        </button>
      </div>
      <ul className="shortcuts">
        {shown.map((each) => (
          <KeyRow key={each.id} command={each} isChosen={each.id in chosen} />
        ))}
      </ul>
    </>
  );
}

function KeyRow({ command, isChosen }: { readonly command: Command; readonly isChosen: boolean }) {
  const [isAsking, setIsAsking] = useState(false);
  const title = t(command.title);
  const keys = keysOf(command);
  const shown = isAsking ? t('Press keys…') : keys.length ? keys.map(shownKeys).join('  ') : t('none');
  const clashes = keys.flatMap((each) => rivals(command.id, each));
  const set = (list: readonly string[]): void =>
    choose({ keys: { ...useSettings.getState().keys, [command.id]: list } });
  const reset = (): void => {
    const { [command.id]: _, ...rest } = useSettings.getState().keys;
    choose({ keys: rest });
  };
  const press = (event: KeyboardEvent<HTMLButtonElement>): void => {
    if (!isAsking || event.key === 'Tab') return;
    event.preventDefault();
    event.stopPropagation();
    if (['Control', 'Shift', 'Alt', 'Meta'].includes(event.key)) return; // the key itself is yet to come
    setIsAsking(false);
    if (event.key !== 'Escape') set([shortcutOf(event)]);
  };
  return (
    <li>
      <span>{title}</span>
      {clashes.length > 0 && (
        <span className="bad">{t('also: {{title}}', { title: clashes.map((each) => t(each.title)).join(', ') })}</span>
      )}
      <button
        type="button"
        className="button small"
        aria-label={t('Shortcut of {{title}}: {{keys}}', { title, keys: shown })}
        onClick={() => setIsAsking(true)}
        onBlur={() => setIsAsking(false)}
        onKeyDown={press}
      >
        {shown}
      </button>
      {isChosen ? (
        <button type="button" className="button small" onClick={reset} aria-label={t('Reset {{title}}', { title })}>
          {t('Reset')}
        </button>
      ) : (
        keys.length > 0 && (
          <button
            type="button"
            className="button small"
            onClick={() => set([])}
            aria-label={t('Clear the shortcut of {{title}}', { title })}
          >
            {t('Clear')}
          </button>
        )
      )}
    </li>
  );
}
