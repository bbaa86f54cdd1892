import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { App } from './app';
import { isTextField } from './commands/command';
import { pasteText } from './commands/edit';
import { DEFAULT_WORKFLOW } from './commands/file';
import { catchUp, loadDefinitions, openFile, openText, reportMissing } from './net/run';
import { keepSettings } from './net/settings';
import { connect } from './net/socket';
import { Guard } from './panels/Guard';
import { getDoc } from './state/documents';
import { wearSettings } from './state/settings';
import { restoreDrafts, startAutosave } from './state/tabs';
import { useView } from './state/view';
import { useLanguage } from './words';
import './styles.css';

const isWorn = wearSettings();
keepSettings();
if (!restoreDrafts()) openText(DEFAULT_WORKFLOW, 'Text to image.json');
startAutosave();
void loadDefinitions().then(() => {
  reportMissing(getDoc());
  useView.setState((state) => ({ fit: state.fit + 1 }));
});
connect((isFirst) => {
  if (!isFirst) void loadDefinitions();
  void catchUp().catch(() => undefined); // lost again: the next connection tries
});

/** Pasting a picture or a workflow from elsewhere. */
addEventListener('paste', (event) => {
  if (isTextField(event.target)) return;
  const file = event.clipboardData?.files[0];
  const text = event.clipboardData?.getData('text') ?? '';
  if (file) void openFile(file);
  else if (text && !pasteText(text, false) && text.trimStart().startsWith('{')) openText(text, 'Pasted.json');
});

function Root() {
  const language = useLanguage((state) => state.language);
  return (
    <Guard>
      <App key={language} />
    </Guard>
  );
}

const root = document.getElementById('root');
if (root)
  void isWorn.finally(() =>
    createRoot(root).render(
      <StrictMode>
        <Root />
      </StrictMode>,
    ),
  );
