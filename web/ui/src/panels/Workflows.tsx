/** Workflows on the server: those that were saved, and templates to start from. */

import { Star } from 'lucide-react';
import { useState } from 'react';
import { deleteSaved, moveSaved, readSaved, writeSaved } from '../net/files';
import { changed, useSaved, useTemplates } from '../net/queries';
import { complain, openSaved, openText } from '../net/run';
import { choose, useSettings } from '../state/settings';
import { nameOf, useTabs } from '../state/tabs';
import { openDialog, say } from '../state/view';
import { t } from '../words';
import { GraphThumb } from './GraphThumb';

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
      <h3>{t('Templates')}</h3>
      <Templates wanted={wanted} />
    </>
  );
}

const folderOf = (path: string): string => path.slice(0, path.lastIndexOf('/') + 1);

/** Tabs that have a file open learn where it is now; null if it is nowhere. */
const follow = (path: string, to: string | null): void =>
  useTabs.setState(({ tabs }) => ({
    tabs: tabs.map((each) => (each.path === path ? { ...each, path: to, name: to ? nameOf(to) : each.name } : each)),
  }));

async function rename(path: string, to: string): Promise<void> {
  await moveSaved(path, to);
  follow(path, to);
  const { starred } = useSettings.getState();
  if (starred.includes(path)) choose({ starred: starred.map((each) => (each === path ? to : each)) });
  changed('saved');
}

async function remove(path: string): Promise<void> {
  const text = await readSaved(path);
  await deleteSaved(path);
  follow(path, null);
  changed('saved');
  const perform = (): void => void writeSaved(path, text).then(() => changed('saved'), complain);
  say(t('{{path}} was deleted.', { path }), 'info', { words: t('Bring back'), perform });
}

function Saved({ wanted }: { readonly wanted: (name: string) => boolean }) {
  const { data: files = [], isError } = useSaved();
  const starred = useSettings((state) => state.starred);
  const shown = files.map((each) => each.path).filter(wanted);
  const marked = shown.filter((each) => starred.includes(each));
  const rest = shown.filter((each) => !starred.includes(each));
  const folders = [...new Set(rest.map(folderOf))].sort();
  return (
    <>
      {marked.length > 0 && (
        <>
          <h3>{t('Favourites')}</h3>
          <Files paths={marked} isStarred />
        </>
      )}
      <h3>{t('Saved')}</h3>
      {isError && <p className="faint">{t('The server does not tell.')}</p>}
      {files.length === 0 && !isError && <p className="faint">{t('What you save is listed here.')}</p>}
      {folders.map((folder) =>
        folder === '' ? (
          <Files key="" paths={rest.filter((each) => folderOf(each) === '')} />
        ) : (
          <details key={folder} open className="folder">
            <summary>{folder}</summary>
            <Files paths={rest.filter((each) => folderOf(each) === folder)} />
          </details>
        ),
      )}
    </>
  );
}

function Files({ paths, isStarred = false }: { readonly paths: readonly string[]; readonly isStarred?: boolean }) {
  return (
    <ul className="jobs">
      {paths.map((each) => (
        <File key={each} path={each} isStarred={isStarred} />
      ))}
    </ul>
  );
}

function File({ path, isStarred }: { readonly path: string; readonly isStarred: boolean }) {
  const [isRenaming, setIsRenaming] = useState(false);
  const take = (name: string): void => {
    setIsRenaming(false);
    const to = `${folderOf(path)}${name.replace(/\.json$/i, '')}.json`;
    if (name.trim() && to !== path) void rename(path, to).catch(complain);
  };
  const star = (): void => {
    const { starred } = useSettings.getState();
    choose({ starred: isStarred ? starred.filter((each) => each !== path) : [...starred, path] });
  };
  return (
    <li>
      <button
        type="button"
        className="icon"
        aria-pressed={isStarred}
        aria-label={t('Favourite: {{path}}', { path })}
        onClick={star}
      >
        <Star size={14} fill={isStarred ? 'currentColor' : 'none'} />
      </button>
      {isRenaming ? (
        <input
          className="field"
          aria-label={t('New name of {{path}}', { path })}
          defaultValue={nameOf(path)}
          // biome-ignore lint/a11y/noAutofocus: it was asked for by the button that it stands for
          autoFocus
          onBlur={(event) => take(event.target.value)}
          onKeyDown={(event) => {
            if (event.key === 'Enter') event.currentTarget.blur();
            if (event.key === 'Escape') setIsRenaming(false);
          }}
        />
      ) : (
        <button type="button" className="link-button" title={path} onClick={() => void openSaved(path)}>
          {path.replace(/\.json$/, '')}
        </button>
      )}
      <button
        type="button"
        className="button small"
        aria-label={t('Rename {{path}}', { path })}
        onClick={() => setIsRenaming(true)}
      >
        {t('Rename')}
      </button>
      <button
        type="button"
        className="button small"
        aria-label={t('Delete {{path}}', { path })}
        onClick={() => void remove(path).catch(complain)}
      >
        {t('Delete')}
      </button>
    </li>
  );
}

/** The templates as pictures of their graphs; `most`: how many at most. */
export function Templates({ wanted, most }: { readonly wanted: (name: string) => boolean; readonly most?: number }) {
  const { data: found = [] } = useTemplates();
  return (
    <ul className="templates">
      {found
        .filter((each) => wanted(each.name))
        .slice(0, most)
        .map(({ name, text }) => (
          <li key={name}>
            <button type="button" className="card" onClick={() => openText(text, name)}>
              <GraphThumb text={text} />
              <span>{name.replaceAll('_', ' ')}</span>
            </button>
          </li>
        ))}
    </ul>
  );
}
