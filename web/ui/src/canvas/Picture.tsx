/** The picture area of a node: how far it is, what it made, or what it takes. One picture at a time, or all as a grid. */

import { ChevronLeft, ChevronRight, LayoutGrid } from 'lucide-react';
import { useState } from 'react';
import { isUpload, type NodeDef } from '../doc/definitions';
import { pictureUrlOfInput } from '../net/pictures';
import type { NodeRun } from '../state/runs';
import { useTabs } from '../state/tabs';
import { openDialog, useView } from '../state/view';
import { t } from '../words';

interface PictureProps {
  readonly id: string;
  readonly run: NodeRun;
  readonly shape: NodeDef;
  readonly values: Readonly<Record<string, unknown>>;
  readonly title: string;
  readonly top: number;
  readonly height: number;
}

export function Picture({ id, run, shape, values, title, top, height }: PictureProps) {
  const source = shape.inputs.find(isUpload);
  const chosen = source ? values[source.name] : undefined;
  const isThere = source?.choices.includes(chosen as never) || String(chosen).endsWith(']'); // “name.png [output]”
  const own = chosen && isThere ? [pictureUrlOfInput(String(chosen))] : [];
  const images = run.images ?? own;
  return (
    <div className="picture nodrag" style={{ top, height }}>
      {run.preview && (
        <img src={run.preview} alt={t('{{title}}: how far it is', { title })} decoding="async" draggable={false} />
      )}
      {!run.preview && images.length > 0 && <Made id={id} images={images} title={title} />}
      {own.length > 0 && (
        <button
          type="button"
          className="button small picture-mask"
          aria-label={t('{{title}}: edit the mask', { title })}
          onClick={() => openDialog({ kind: 'mask', node: id })}
        >
          {t('Edit the mask')}
        </button>
      )}
      {run.texts?.map((each) => (
        <pre key={each} className="nowheel">
          {each}
        </pre>
      ))}
      {!run.preview && images.length === 0 && !run.texts && <span className="faint">{t('Run to see the result')}</span>}
    </div>
  );
}

/** `at` in the view's state: the picture that is shown alone; none for the grid. */
function Made({
  id,
  images,
  title,
}: {
  readonly id: string;
  readonly images: readonly string[];
  readonly title: string;
}) {
  const key = `${useTabs((state) => state.active)} ${id}`;
  const kept = useView((state) => state.shownPictures[key]);
  const alone = images.length === 1 ? 0 : kept !== undefined && kept < images.length ? kept : null;
  const [sizes, setSizes] = useState<Readonly<Record<string, string>>>({});
  const shown = alone === null ? images : images.slice(alone, alone + 1);
  const show = (at: number | null): void =>
    useView.setState(({ shownPictures: { [key]: _, ...rest } }) => ({
      shownPictures: at === null ? rest : { ...rest, [key]: (at + images.length) % images.length },
    }));
  const url = alone === null ? undefined : images[alone];
  return (
    <>
      <div className={alone === null ? 'made is-grid' : 'made'}>
        {shown.map((each, place) => {
          const at = alone ?? place;
          return (
            <button
              type="button"
              key={each}
              className="thumb"
              aria-label={t('{{title}}: picture {{at}} of {{count}}, show it large', {
                title,
                at: at + 1,
                count: images.length,
              })}
              onClick={() => useView.setState({ lightbox: { urls: images, at } })}
            >
              <img
                src={each}
                alt=""
                decoding="async"
                draggable={false}
                onLoad={({ currentTarget: { naturalWidth, naturalHeight } }) =>
                  setSizes((before) => ({ ...before, [each]: `${naturalWidth} × ${naturalHeight}` }))
                }
              />
            </button>
          );
        })}
      </div>
      <div className="made-about">
        {images.length > 1 && (
          <button
            type="button"
            className="icon"
            aria-label={t('{{title}}: the picture before', { title })}
            onClick={() => show((alone ?? 0) - 1)}
          >
            <ChevronLeft size={14} />
          </button>
        )}
        <span>
          {alone === null
            ? t('{{count}} pictures', { count: images.length })
            : [sizes[url ?? ''], images.length > 1 ? `${alone + 1}/${images.length}` : ''].filter(Boolean).join(' · ')}
        </span>
        {images.length > 1 && (
          <>
            <button
              type="button"
              className="icon"
              aria-label={t('{{title}}: the next picture', { title })}
              onClick={() => show((alone ?? -1) + 1)}
            >
              <ChevronRight size={14} />
            </button>
            <button
              type="button"
              className="icon"
              aria-label={t('{{title}}: all pictures', { title })}
              aria-pressed={alone === null}
              onClick={() => show(alone === null ? 0 : null)}
            >
              <LayoutGrid size={13} />
            </button>
          </>
        )}
      </div>
    </>
  );
}
