/** All pictures that were made, newest first; only the rows that are seen are drawn. */

import { useVirtualizer } from '@tanstack/react-virtual';
import { type KeyboardEvent, useEffect, useMemo, useRef, useState } from 'react';
import { deletePicture, nameOfPicture, outputPictures } from '../net/pictures';
import { complain } from '../net/run';
import { useRuns } from '../state/runs';
import { openDialog, say, useView } from '../state/view';
import { t } from '../words';
import { picturesOf, useHistory } from './history';

const COLUMNS = 3;
const ROW_HEIGHT = 104;

export default function Gallery() {
  const turn = useRuns((state) => state.turn);
  const made = useHistory();
  const [files, setFiles] = useState<readonly string[] | null>(null);
  const [words, setWords] = useState('');
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const load = (): void => void outputPictures().then(setFiles, () => setFiles([]));
  // biome-ignore lint/correctness/useExhaustiveDependencies: the count says that a job ended
  useEffect(load, [turn]);
  const urls = useMemo(() => {
    const inFolders = made.flatMap(picturesOf).filter((each) => /type=output/.test(each) && !/subfolder=&/.test(each));
    const all = [...new Set([...(files ?? []), ...inFolders])];
    return all.filter((each) => nameOfPicture(each).toLowerCase().includes(words.toLowerCase()));
  }, [files, made, words]);
  const remove = async (): Promise<void> => {
    try {
      for (const url of chosen) await deletePicture(url);
      say(t('{{count}} pictures were deleted.', { count: chosen.size }));
    } catch (error) {
      complain(error);
    }
    setChosen(new Set());
    load();
  };
  const pair = [...chosen];
  const toggle = (url: string): void => {
    const next = new Set(chosen);
    if (!next.delete(url)) next.add(url);
    setChosen(next);
  };
  return (
    <div className="gallery-panel">
      <div className="tools">
        <input
          type="search"
          className="field"
          aria-label={t('Search pictures')}
          placeholder={t('Search')}
          value={words}
          onChange={(event) => setWords(event.target.value)}
        />
        <button
          type="button"
          className="button small"
          disabled={pair.length !== 2}
          onClick={() => openDialog({ kind: 'compare', urls: [pair[0] ?? '', pair[1] ?? ''] })}
        >
          {t('Compare')}
        </button>
        <button type="button" className="button small" disabled={chosen.size === 0} onClick={() => void remove()}>
          {t('Delete')}
        </button>
      </div>
      {files !== null && urls.length === 0 && <p className="faint">{t('Pictures that you make are shown here.')}</p>}
      <Grid urls={urls} chosen={chosen} toggle={toggle} />
    </div>
  );
}

interface GridProps {
  readonly urls: readonly string[];
  readonly chosen: ReadonlySet<string>;
  readonly toggle: (url: string) => void;
}

function Grid({ urls, chosen, toggle }: GridProps) {
  const frame = useRef<HTMLUListElement>(null);
  const rows = useVirtualizer({
    count: Math.ceil(urls.length / COLUMNS),
    getScrollElement: () => frame.current,
    estimateSize: () => ROW_HEIGHT,
    overscan: 2,
  });
  /** Arrow keys go from picture to picture. */
  const press = (event: KeyboardEvent): void => {
    const by = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: COLUMNS, ArrowUp: -COLUMNS }[event.key];
    const at = Number((event.target as HTMLElement).closest<HTMLElement>('[data-at]')?.dataset.at);
    if (!by || Number.isNaN(at)) return;
    event.preventDefault();
    const next = Math.max(0, Math.min(urls.length - 1, at + by));
    rows.scrollToIndex(Math.floor(next / COLUMNS));
    requestAnimationFrame(() => frame.current?.querySelector<HTMLElement>(`[data-at="${next}"] .thumb`)?.focus());
  };
  return (
    <ul className="gallery" ref={frame} onKeyDown={press} aria-label={t('Pictures')}>
      <li className="gallery-space" style={{ height: rows.getTotalSize() }} aria-hidden="true" />
      {rows.getVirtualItems().flatMap((row) =>
        urls.slice(row.index * COLUMNS, (row.index + 1) * COLUMNS).map((url, place) => {
          const at = row.index * COLUMNS + place;
          const name = nameOfPicture(url);
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
                aria-label={t('Picture {{at}} of {{count}}: {{name}}', { at: at + 1, count: urls.length, name })}
                onClick={() => useView.setState({ lightbox: { urls, at } })}
              >
                <img src={`${url}&preview=webp;80`} alt="" loading="lazy" decoding="async" />
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
