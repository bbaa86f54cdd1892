/** Workflows on the server: those that were saved, and templates to start from. */

import { useEffect, useState } from 'react';
import { deleteSaved, moveSaved, readTemplate, type SavedFile, savedFiles, templates } from '../net/files';
import { complain, openSaved, openText } from '../net/run';
import { useRuns } from '../state/runs';
import { nameOf, useTabs } from '../state/tabs';
import { openDialog, say } from '../state/view';
import { t } from '../words';
import { GraphThumb } from './GraphThumb';

type Template = { readonly pack: string; readonly name: string; readonly text: string };

export function Workflows() {
  const [words, setWords] = useState('');
  const wanted = (name: string): boolean => name.toLowerCase().includes(words.toLowerCase());
  return (
    <>
      <div className="tools">
        <input
          type="search"
          className="field"
          aria-label={t('Search workflows')}
          placeholder={t('Search')}
          value={words}
          onChange={(event) => setWords(event.target.value)}
        />
        <button type="button" className="button small" onClick={() => openDialog({ kind: 'save' })}>
          {t('Save as…')}
        </button>
      </div>
      <Saved wanted={wanted} />
      <Templates wanted={wanted} />
    </>
  );
}

function Saved({ wanted }: { readonly wanted: (name: string) => boolean }) {
  const [files, setFiles] = useState<readonly SavedFile[]>([]);
  const [renaming, setRenaming] = useState<string | null>(null);
  const turn = useRuns((state) => state.turn);
  const load = (): void => void savedFiles().then(setFiles, () => undefined);
  // biome-ignore lint/correctness/useExhaustiveDependencies: the count says that something was saved
  useEffect(load, [turn]);
  const rename = (path: string, name: string): void => {
    setRenaming(null);
    const to = `${path.replace(/[^/]*$/, '')}${name.replace(/\.json$/i, '')}.json`;
    if (!name.trim() || to === path) return;
    void moveSaved(path, to).then(() => {
      useTabs.setState(({ tabs }) => ({
        tabs: tabs.map((each) => (each.path === path ? { ...each, path: to, name: nameOf(to) } : each)),
      }));
      load();
    }, complain);
  };
  const remove = (path: string): void =>
    void deleteSaved(path).then(() => {
      useTabs.setState(({ tabs }) => ({
        tabs: tabs.map((each) => (each.path === path ? { ...each, path: null } : each)),
      }));
      say(t('{{path}} was deleted.', { path }));
      load();
    }, complain);
  const shown = files.filter((each) => wanted(each.path));
  return (
    <>
      <h3>{t('Saved')}</h3>
      {files.length === 0 && <p className="faint">{t('What you save is listed here.')}</p>}
      <ul className="jobs">
        {shown.map(({ path }) => (
          <li key={path}>
            {renaming === path ? (
              <input
                className="field"
                aria-label={t('New name of {{path}}', { path })}
                defaultValue={nameOf(path)}
                // biome-ignore lint/a11y/noAutofocus: it was asked for by the button that it stands for
                autoFocus
                onBlur={(event) => rename(path, event.target.value)}
                onKeyDown={(event) => {
                  if (event.key === 'Enter') event.currentTarget.blur();
                  if (event.key === 'Escape') setRenaming(null);
                }}
              />
            ) : (
              <button type="button" className="link-button" onClick={() => void openSaved(path)}>
                {path.replace(/\.json$/, '')}
              </button>
            )}
            <button
              type="button"
              className="button small"
              aria-label={t('Rename {{path}}', { path })}
              onClick={() => setRenaming(path)}
            >
              {t('Rename')}
            </button>
            <button
              type="button"
              className="button small"
              aria-label={t('Delete {{path}}', { path })}
              onClick={() => remove(path)}
            >
              {t('Delete')}
            </button>
          </li>
        ))}
      </ul>
    </>
  );
}

function Templates({ wanted }: { readonly wanted: (name: string) => boolean }) {
  const [found, setFound] = useState<readonly Template[]>([]);
  useEffect(() => {
    let isLate = false;
    const load = async (): Promise<void> => {
      for (const [pack, name] of await templates()) {
        const text = await readTemplate(pack, name);
        if (isLate) return;
        setFound((before) => [...before.filter((each) => each.name !== name), { pack, name, text }]);
      }
    };
    load().catch(() => undefined); // without an answer the list stays short
    return () => {
      isLate = true;
    };
  }, []);
  return (
    <>
      <h3>{t('Templates')}</h3>
      <ul className="templates">
        {found
          .filter((each) => wanted(each.name))
          .map(({ name, text }) => (
            <li key={name}>
              <button type="button" className="card" onClick={() => openText(text, name)}>
                <GraphThumb text={text} />
                <span>{name}</span>
              </button>
            </li>
          ))}
      </ul>
    </>
  );
}
