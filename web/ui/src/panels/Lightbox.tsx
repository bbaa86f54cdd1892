/** A picture in large: what it was made with, and what can be done with it. */

import { Dialog } from '@base-ui/react/dialog';
import { ChevronLeft, ChevronRight, X } from 'lucide-react';
import { type KeyboardEvent, useEffect, useState } from 'react';
import { isApiForm } from '../doc/document';
import { isArray, parseJson } from '../doc/json';
import { readTexts } from '../doc/metadata';
import { deletePicture, nameOfPicture, pictureFile, sendToInput } from '../net/pictures';
import { complain, openFile } from '../net/run';
import { useRuns } from '../state/runs';
import { openDialog, say, useView } from '../state/view';
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
  const [isReal, setIsReal] = useState(false);
  const url = urls[at] ?? '';
  const name = nameOfPicture(url);
  const isOutput = url.includes('type=output');
  const attempt = (what: () => Promise<unknown>): void => void what().catch(complain);
  const remove = async (): Promise<void> => {
    await deletePicture(url);
    useRuns.setState((state) => ({ turn: state.turn + 1 }));
    say(t('{{name}} was deleted.', { name }));
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
          <button type="button" className="button small" aria-pressed={isReal} onClick={() => setIsReal(!isReal)}>
            {t('Real size')}
          </button>
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
        <div className={`lightbox-stage ${isReal ? 'is-real' : ''}`}>
          {urls.length > 1 && (
            <button type="button" className="icon-button" aria-label={t('Previous picture')} onClick={() => go(-1)}>
              <ChevronLeft />
            </button>
          )}
          <img src={url} alt={name} />
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
