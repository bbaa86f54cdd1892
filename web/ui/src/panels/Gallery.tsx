/** All pictures that were made, newest first, and those in the trash; only the rows that are seen are drawn. */

import { useVirtualizer } from '@tanstack/react-virtual';
import { type KeyboardEvent, useEffect, useMemo, useRef, useState } from 'react';
import { emptyTrash, isPicture, nameOfPicture, restorePictures, trashPictures } from '../net/pictures';
import { pagesOf, useOutputFiles, usePictures } from '../net/queries';
import { complain } from '../net/run';
import { pictureUrl } from '../state/runs';
import { openDialog, useView } from '../state/view';
import { t } from '../words';

const COLUMNS = 3;
const ROW_HEIGHT = 124;
const WAIT_MS = 200;

interface Shown {
  readonly url: string;
  readonly thumb: string;
  /** The gallery's number; null of files that no job of this server made. */
  readonly id: number | null;
  readonly name: string;
  /** What it shows, in the words that it was made with. */
  readonly about: string;
}

export default function Gallery() {
  const [words, setWords] = useState('');
  const [sought, setSought] = useState('');
  const [isTrash, setIsTrash] = useState(false);
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  useEffect(() => {
    const timer = setTimeout(() => setSought(words.trim()), WAIT_MS);
    return () => clearTimeout(timer);
  }, [words]);
  const found = usePictures(sought, isTrash);
  const { data: files } = useOutputFiles();
  const { data, hasNextPage } = found;
  // biome-ignore lint/correctness/useExhaustiveDependencies: the pages are what it was made from
  const shown = useMemo(() => {
    const items = pagesOf(found).flatMap((page) => page.items);
    const made = items
      .filter((each) => each.missing !== true && isPicture(each.filename) && each.url.includes('type=output'))
      .map((each): Shown => {
        const url = isTrash ? `.${each.thumbnail}` : pictureUrl({ ...each, type: 'output' } as never);
        return { url, thumb: `.${each.thumbnail}`, id: each.id, name: each.filename, about: each.prompt };
      });
    if (isTrash || hasNextPage) return made;
    const known = new Set(made.map((each) => each.url));
    const loose = (files ?? [])
      .filter((name) => name.toLowerCase().includes(sought.toLowerCase()))
      .map((name) => [name, pictureUrl({ filename: name, subfolder: '', type: 'output' })] as const)
      .filter(([, url]) => !known.has(url))
      .map(([name, url]): Shown => ({ url, thumb: `${url}&preview=webp;80`, id: null, name, about: '' }));
    return [...made, ...loose];
  }, [data, files, sought, isTrash, hasNextPage]);
  const picked = shown.filter((each) => chosen.has(each.url));
  const ids = picked.flatMap((each) => each.id ?? []);
  const act = (what: Promise<unknown>): void => {
    setChosen(new Set());
    what.catch(complain);
  };
  const show = (trash: boolean): void => {
    setIsTrash(trash);
    setChosen(new Set());
  };
  const tools: readonly (readonly [string, boolean, () => void])[] = isTrash
    ? [
        ['Bring back', picked.length > 0, () => act(restorePictures(ids))],
        ['Delete for good', picked.length > 0, () => act(emptyTrash(ids))],
      ]
    : [
        [
          'Compare',
          picked.length === 2,
          () => openDialog({ kind: 'compare', urls: [picked[0]?.url ?? '', picked[1]?.url ?? ''] }),
        ],
        ['Download', picked.length > 0, () => download(picked)],
        ['Delete', picked.length > 0, () => act(trashPictures(picked.map((each) => each.url)))],
      ];
  return (
    <div className="gallery-panel">
      <div className="tools">
        <input
          type="search"
          className="field"
          aria-label={t('Search pictures')}
          placeholder={t(isTrash ? 'Words of the prompt' : 'Words of the prompt, or the name of a file')}
          value={words}
          onChange={(event) => setWords(event.target.value)}
        />
        <button type="button" className="button small" aria-pressed={isTrash} onClick={() => show(!isTrash)}>
          {t('Trash')}
        </button>
      </div>
      <div className="tools" role="toolbar" aria-label={t('Chosen pictures')}>
        {tools.map(([title, isUsable, perform]) => (
          <button key={title} type="button" className="button small" disabled={!isUsable} onClick={perform}>
            {t(title)}
          </button>
        ))}
        {picked.length > 0 && <span className="faint">{t('{{count}} chosen', { count: picked.length })}</span>}
      </div>
      {found.isSuccess && shown.length === 0 && (
        <p className="faint">
          {t(
            isTrash
              ? 'The trash is empty.'
              : sought
                ? 'No picture was made with these words.'
                : 'Pictures that you make are shown here.',
          )}
        </p>
      )}
      <Grid
        shown={shown}
        chosen={chosen}
        isTrash={isTrash}
        toggle={(url) => {
          const next = new Set(chosen);
          if (!next.delete(url)) next.add(url);
          setChosen(next);
        }}
        atEnd={() => {
          if (found.hasNextPage && !found.isFetchingNextPage) void found.fetchNextPage();
        }}
      />
    </div>
  );
}

function download(list: readonly Shown[]): void {
  for (const { url, name } of list) Object.assign(document.createElement('a'), { href: url, download: name }).click();
}

interface GridProps {
  readonly shown: readonly Shown[];
  readonly chosen: ReadonlySet<string>;
  readonly isTrash: boolean;
  readonly toggle: (url: string) => void;
  /** Called when the last pictures are seen. */
  readonly atEnd: () => void;
}

function Grid({ shown, chosen, isTrash, toggle, atEnd }: GridProps) {
  const frame = useRef<HTMLUListElement>(null);
  const count = Math.ceil(shown.length / COLUMNS);
  const rows = useVirtualizer({
    count,
    getScrollElement: () => frame.current,
    estimateSize: () => ROW_HEIGHT,
    overscan: 2,
  });
  const items = rows.getVirtualItems();
  const last = items.at(-1)?.index ?? 0;
  // biome-ignore lint/correctness/useExhaustiveDependencies: the end is told of once for each last row
  useEffect(() => {
    if (last >= count - 1) atEnd();
  }, [last, count]);
  /** Arrow keys go from picture to picture. */
  const press = (event: KeyboardEvent): void => {
    const by = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: COLUMNS, ArrowUp: -COLUMNS }[event.key];
    const at = Number((event.target as HTMLElement).closest<HTMLElement>('[data-at]')?.dataset.at);
    if (!by || Number.isNaN(at)) return;
    event.preventDefault();
    const next = Math.max(0, Math.min(shown.length - 1, at + by));
    rows.scrollToIndex(Math.floor(next / COLUMNS));
    requestAnimationFrame(() => frame.current?.querySelector<HTMLElement>(`[data-at="${next}"] .thumb`)?.focus());
  };
  const open = (at: number): void => {
    if (isTrash) toggle(shown[at]?.url ?? '');
    else useView.setState({ lightbox: { urls: shown.map((each) => each.url), at } });
  };
  return (
    <ul className="gallery" ref={frame} onKeyDown={press} aria-label={t('Pictures')}>
      <li className="gallery-space" style={{ height: rows.getTotalSize() }} aria-hidden="true" />
      {items.flatMap((row) =>
        shown.slice(row.index * COLUMNS, (row.index + 1) * COLUMNS).map(({ url, thumb, name, about }, place) => {
          const at = row.index * COLUMNS + place;
          return (
            <li
              key={url}
              data-at={at}
              className={chosen.has(url) ? 'is-chosen' : ''}
              style={{
                top: row.start,
                left: `${(100 * place) / COLUMNS}%`,
                width: `${100 / COLUMNS}%`,
                height: ROW_HEIGHT,
              }}
            >
              <button
                type="button"
                className="thumb"
                title={about ? `${name}\n${about}` : name}
                aria-label={t('Picture {{at}} of {{count}}: {{name}}', {
                  at: at + 1,
                  count: shown.length,
                  name: name || nameOfPicture(url),
                })}
                onClick={() => open(at)}
              >
                <img src={thumb} alt="" loading="lazy" decoding="async" />
              </button>
              <input
                type="checkbox"
                className="choose"
                aria-label={t('Choose {{name}}', { name })}
                checked={chosen.has(url)}
                onChange={() => toggle(url)}
              />
            </li>
          );
        }),
      )}
    </ul>
  );
}
