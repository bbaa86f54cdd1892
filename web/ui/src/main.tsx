import { QueryClientProvider } from '@tanstack/react-query';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { App } from './app';
import { isTextField } from './commands/command';
import { copied, notePaste, pasteText } from './commands/edit';
import { DEFAULT_WORKFLOW } from './commands/file';
import { queries } from './net/queries';
import { catchUp, loadDefinitions, openFile, openText, reportMissing } from './net/run';
import { keepSettings } from './net/settings';
import { connect } from './net/socket';
import { Guard } from './panels/Guard';
import { getDoc } from './state/documents';
import { restoreDrafts, startAutosave } from './state/drafts';
import { wearSettings } from './state/settings';
import { useTabs } from './state/tabs';
import { isCovered, useView } from './state/view';
import { viewportOf } from './state/viewports';
import { useLanguage } from './words';
import './styles/base.css';
import './styles/canvas.css';
import './styles/panels.css';
import './styles/inspector.css';
import './styles/dialogs.css';

let isDrawn = false;
const isWorn = wearSettings();
keepSettings();
if (!restoreDrafts()) openText(DEFAULT_WORKFLOW, 'Text to image.json');
startAutosave();
const areKnown = loadDefinitions().then(() => {
  reportMissing(getDoc());
  const isSeen = viewportOf(useTabs.getState().active) !== null;
  if (isDrawn && !isSeen) useView.setState((state) => ({ fit: state.fit + 1 })); // nodes have other sizes now
});
connect((isFirst) => {
  if (!isFirst) void loadDefinitions();
  void catchUp().catch(() => undefined); // lost again: the next connection tries
});

/** Pasting a picture, nodes or a workflow, from here or from elsewhere. */
addEventListener('paste', (event) => {
  if (isTextField(event.target) || isCovered()) return;
  notePaste();
  const file = event.clipboardData?.files[0];
  const text = event.clipboardData?.getData('text') || copied();
  if (file) void openFile(file);
  else if (text && !pasteText(text, false) && text.trimStart().startsWith('{')) openText(text, 'Pasted.json');
});
/** On plain http only the browser's own event reaches the clipboard. */
for (const kind of ['copy', 'cut'] as const)
  addEventListener(kind, (event) => {
    if (isTextField(event.target) || isCovered() || copied() === '' || String(getSelection()) !== '') return;
    event.clipboardData?.setData('text/plain', copied());
    event.preventDefault();
  });

/** What the server knows is asked for through one client. */
function Root() {
  const language = useLanguage((state) => state.language);
  return (
    <Guard>
      <QueryClientProvider client={queries}>
        <App key={language} />
      </QueryClientProvider>
    </Guard>
  );
}

/** Without the definitions every node would be drawn twice; a server that starts slowly is not waited for. */
const FIRST_MS = 700;
const root = document.getElementById('root');
const start = (): void => {
  isDrawn = true;
  if (root)
    createRoot(root).render(
      <StrictMode>
        <Root />
      </StrictMode>,
    );
};
void Promise.all([isWorn, Promise.race([areKnown, new Promise((done) => setTimeout(done, FIRST_MS))])]).finally(start);
