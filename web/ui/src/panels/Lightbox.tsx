/** A picture in large: what it was made with, and what can be done with it. */

import { Dialog } from '@base-ui/react/dialog';
import { ChevronLeft, ChevronRight, X } from 'lucide-react';
import { type KeyboardEvent, type PointerEvent, useEffect, useState } from 'react';
import { isTextField } from '../commands/command';
import { isApiForm } from '../doc/document';
import { isArray, parseJson } from '../doc/json';
import { readTexts } from '../doc/metadata';
import { nameOfPicture, pictureFile, sendToInput, trashPictures } from '../net/pictures';
import { complain, openFile } from '../net/run';
import { openDialog, useView } from '../state/view';
import { t } from '../words';

const shut = (): void => useView.setState({ lightbox: null });

/** Show another of the pictures. */
const go = (by: number): void =>
  useView.setState(({ lightbox }) => {
    if (!lightbox) return {};
    const { urls, at } = lightbox;
    return { lightbox: { urls, at: (at + by + urls.length) % urls.length } };
  });
const turn = (event: KeyboardEvent): void => {
  if (event.key === 'ArrowRight') go(1);
  if (event.key === 'ArrowLeft') go(-1);
};

export function Lightbox() {
  const lightbox = useView((state) => state.lightbox);
  return (
    <Dialog.Root open={lightbox !== null} onOpenChange={(open) => !open && shut()}>
      <Dialog.Portal>
        <Dialog.Backdrop className="backdrop" />
        <Dialog.Popup className="lightbox" onKeyDown={turn}>
          {lightbox && <Large urls={lightbox.urls} at={lightbox.at} />}
        </Dialog.Popup>
      </Dialog.Portal>
    </Dialog.Root>
  );
}

function Large({ urls, at }: { readonly urls: readonly string[]; readonly at: number }) {
  const [zoom, setZoom] = useState<Zoom>(null);
  const url = urls[at] ?? '';
  const name = nameOfPicture(url);
  const isOutput = url.includes('type=output');
  const attempt = (what: () => Promise<unknown>): void => void what().catch(complain);
  const remove = async (): Promise<void> => {
    await trashPictures([url]);
    const rest = urls.filter((each) => each !== url);
    useView.setState({ lightbox: rest.length ? { urls: rest, at: Math.min(at, rest.length - 1) } : null });
  };
  return (
    <>
      <div className="lightbox-head">
        <Dialog.Title className="lightbox-title">{name}</Dialog.Title>
        <span className="faint">
          {urls.length > 1 ? t('{{at}} of {{count}}', { at: at + 1, count: urls.length }) : ''}
        </span>
        <div className="lightbox-tools">
          <button
            type="button"
            className="button small"
            onClick={() => attempt(async () => openFile(await pictureFile(url)).then(shut))}
          >
            {t('Open its workflow')}
          </button>
          <button type="button" className="button small" onClick={() => attempt(() => sendToInput(url).then(shut))}>
            {t('Send to input')}
          </button>
          {urls.length > 1 && (
            <button
              type="button"
              className="button small"
              onClick={() => {
                shut();
                openDialog({ kind: 'compare', urls: [url, urls[(at + 1) % urls.length] ?? url] });
              }}
            >
              {t('Compare with the next')}
            </button>
          )}
          <span className="button-row">
            <button
              type="button"
              className="button small"
              aria-label={t('Zoom out')}
              title={`${t('Zoom out')} (−)`}
              onClick={() => setZoom(zoomed(-1))}
            >
              −
            </button>
            <button
              type="button"
              className="button small"
              aria-pressed={zoom === 1}
              title="1, 0"
              onClick={() => setZoom(zoom === 1 ? null : 1)}
            >
              {zoom === null || zoom === 1 ? t('Real size') : `${Math.round(100 * zoom)} %`}
            </button>
            <button
              type="button"
              className="button small"
              aria-label={t('Zoom in')}
              title={`${t('Zoom in')} (+)`}
              onClick={() => setZoom(zoomed(1))}
            >
              +
            </button>
          </span>
          <a className="button small" href={url} download={name}>
            {t('Download')}
          </a>
          {isOutput && (
            <button type="button" className="button small" onClick={() => attempt(remove)}>
              {t('Delete')}
            </button>
          )}
        </div>
        <Dialog.Close className="icon-button" aria-label={t('Close the picture')}>
          <X size={16} />
        </Dialog.Close>
      </div>
      <div className="lightbox-body">
        <div className="lightbox-stage">
          {urls.length > 1 && (
            <button type="button" className="icon-button" aria-label={t('Previous picture')} onClick={() => go(-1)}>
              <ChevronLeft />
            </button>
          )}
          <Stage key={url} url={url} name={name} zoom={zoom} setZoom={setZoom} />
          {urls.length > 1 && (
            <button type="button" className="icon-button" aria-label={t('Next picture')} onClick={() => go(1)}>
              <ChevronRight />
            </button>
          )}
        </div>
        <Recipe key={url} url={url} />
      </div>
    </>
  );
}

/** How large: 1 is pixel for pixel, null as large as there is room. */
type Zoom = number | null;
const zoomed =
  (turns: number) =>
  (zoom: Zoom): Zoom =>
    Math.min(16, Math.max(0.1, (zoom ?? 1) * 1.25 ** turns));
const KEYS: Readonly<Record<string, (zoom: Zoom) => Zoom>> = {
  '+': zoomed(1),
  '=': zoomed(1),
  '-': zoomed(-1),
  '0': () => null,
  '1': () => 1,
};

interface StageProps {
  readonly url: string;
  readonly name: string;
  readonly zoom: Zoom;
  readonly setZoom: (change: (zoom: Zoom) => Zoom) => void;
}

/** The picture; enlarged, it is dragged about. */
function Stage({ url, name, zoom, setZoom }: StageProps) {
  const [width, setWidth] = useState(0);
  useEffect(() => {
    const hear = (event: globalThis.KeyboardEvent): void => {
      const change = KEYS[event.key];
      if (!change || event.ctrlKey || event.metaKey || isTextField(event.target)) return;
      event.preventDefault();
      setZoom(change);
    };
    addEventListener('keydown', hear);
    return () => removeEventListener('keydown', hear);
  }, [setZoom]);
  const drag = (event: PointerEvent<HTMLDivElement>): void => {
    if (event.buttons !== 1) return;
    event.currentTarget.scrollBy(-event.movementX, -event.movementY);
  };
  return (
    <div
      className={`stage-frame ${zoom === null ? '' : 'is-zoomed'}`}
      onWheel={(event) => setZoom(zoomed(-Math.sign(event.deltaY) / 2))}
      onPointerMove={drag}
    >
      <img
        src={url}
        alt={name}
        draggable={false}
        onLoad={(event) => setWidth(event.currentTarget.naturalWidth)}
        style={zoom === null ? undefined : { width: width * zoom }}
      />
    </div>
  );
}

interface Part {
  readonly node: string;
  readonly values: readonly (readonly [string, string])[];
}

/** The values that the picture was made with, node by node, as the file says. */
function Recipe({ url }: { readonly url: string }) {
  const [parts, setParts] = useState<readonly Part[] | null>(null);
  useEffect(() => {
    let isLate = false;
    void pictureFile(url)
      .then(readTexts)
      .then(
        (texts) => !isLate && setParts(readRecipe(texts.prompt)),
        () => !isLate && setParts([]),
      );
    return () => {
      isLate = true;
    };
  }, [url]);
  return (
    <section className="recipe" aria-label={t('What it was made with')}>
      <h3>{t('What it was made with')}</h3>
      {parts?.length === 0 && <p className="faint">{t('The file does not say.')}</p>}
      {parts?.map((part) => (
        <dl key={part.node}>
          <dt>{part.node}</dt>
          {part.values.map(([name, value]) => (
            <dd key={name}>
              <span className="faint">{name}</span> {value}
            </dd>
          ))}
        </dl>
      ))}
    </section>
  );
}

function readRecipe(text: string | undefined): readonly Part[] {
  let graph: ReturnType<typeof parseJson>;
  try {
    graph = parseJson(text ?? 'null');
  } catch {
    return [];
  }
  if (!isApiForm(graph)) return [];
  return Object.entries(graph).flatMap(([id, raw]): Part[] => {
    const node = raw as { class_type: string; inputs?: Record<string, unknown>; _meta?: { title?: string } };
    const values = Object.entries(node.inputs ?? {})
      .filter(([, value]) => !isArray(value))
      .map(([name, value]) => [name, String(value)] as const);
    return values.length ? [{ node: `${node._meta?.title ?? node.class_type} (${id})`, values }] : [];
  });
}
