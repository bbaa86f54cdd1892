/** What lies over the editor: a large picture, the list of shortcuts, short messages. */

import { Dialog } from '@base-ui/react/dialog';
import { ChevronLeft, ChevronRight, X } from 'lucide-react';
import { COMMANDS } from '../commands';
import { shownKeys } from '../commands/command';
import { openFile } from '../net/run';
import { dismiss, say, useView } from '../state/view';

export function Lightbox() {
  const lightbox = useView((state) => state.lightbox);
  const shut = (): void => useView.setState({ lightbox: null });
  const urls = lightbox?.urls ?? [];
  const at = lightbox?.at ?? 0;
  const url = urls[at];
  const go = (by: number): void => useView.setState({ lightbox: { urls, at: (at + by + urls.length) % urls.length } });
  const name = url ? (new URLSearchParams(url.split('?')[1]).get('filename') ?? '') : '';
  const openIt = async (): Promise<void> => {
    if (!url) return;
    try {
      await openFile(new File([await (await fetch(url)).blob()], name));
      shut();
    } catch {
      say(`${name} cannot be read.`, 'error');
    }
  };
  return (
    <Dialog.Root open={lightbox !== null} onOpenChange={(open) => !open && shut()}>
      <Dialog.Portal>
        <Dialog.Backdrop className="backdrop" />
        <Dialog.Popup
          className="lightbox"
          onKeyDown={(event) => {
            if (event.key === 'ArrowRight') go(1);
            if (event.key === 'ArrowLeft') go(-1);
          }}
        >
          <div className="lightbox-head">
            <Dialog.Title className="lightbox-title">{name}</Dialog.Title>
            <span className="faint">{urls.length > 1 ? `${at + 1} of ${urls.length}` : ''}</span>
            <button type="button" className="button small" onClick={() => void openIt()}>
              Open its workflow
            </button>
            <a className="button small" href={url} download={name}>
              Download
            </a>
            <Dialog.Close className="icon-button" aria-label="Close the picture">
              <X size={16} />
            </Dialog.Close>
          </div>
          <div className="lightbox-stage">
            {urls.length > 1 && (
              <button type="button" className="icon-button" aria-label="Previous picture" onClick={() => go(-1)}>
                <ChevronLeft />
              </button>
            )}
            {url && <img src={url} alt={name} />}
            {urls.length > 1 && (
              <button type="button" className="icon-button" aria-label="Next picture" onClick={() => go(1)}>
                <ChevronRight />
              </button>
            )}
          </div>
        </Dialog.Popup>
      </Dialog.Portal>
    </Dialog.Root>
  );
}

export function Help() {
  const help = useView((state) => state.help);
  return (
    <Dialog.Root open={help} onOpenChange={(open) => useView.setState({ help: open })}>
      <Dialog.Portal>
        <Dialog.Backdrop className="backdrop" />
        <Dialog.Popup className="dialog">
          <Dialog.Title>Keyboard shortcuts</Dialog.Title>
          <p className="faint">
            Everything can be done without a mouse: Tab goes from node to node, C links the chosen one.
          </p>
          <dl className="shortcuts">
            {COMMANDS.filter((each) => each.keys.length).map((each) => (
              <div key={each.id}>
                <dt>{each.title}</dt>
                <dd>
                  {each.keys.map((keys) => (
                    <kbd key={keys}>{shownKeys(keys)}</kbd>
                  ))}
                </dd>
              </div>
            ))}
          </dl>
          <Dialog.Close className="button">Close</Dialog.Close>
        </Dialog.Popup>
      </Dialog.Portal>
    </Dialog.Root>
  );
}

export function Toasts() {
  const toasts = useView((state) => state.toasts);
  return (
    <section className="toasts" aria-live="polite" aria-label="Messages">
      {toasts.map((each) => (
        <div key={each.id} className={`toast is-${each.tone}`}>
          <span>{each.text}</span>
          <button type="button" className="icon" aria-label="Dismiss this message" onClick={() => dismiss(each.id)}>
            <X size={14} />
          </button>
        </div>
      ))}
    </section>
  );
}
