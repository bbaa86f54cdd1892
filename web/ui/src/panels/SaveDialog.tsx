/** Asks for the name that a workflow is saved under. */

import { Dialog } from '@base-ui/react/dialog';
import { type FormEvent, useState } from 'react';
import { useSaved } from '../net/queries';
import { saveAs } from '../net/run';
import { activeTab } from '../state/tabs';
import { openDialog } from '../state/view';
import { t } from '../words';

const pathOf = (name: string): string =>
  `${name
    .trim()
    .replace(/\.json$/i, '')
    .replace(/^\/+|\/+$/g, '')}.json`;

export default function SaveDialog() {
  const [name, setName] = useState(activeTab()?.path?.replace(/\.json$/, '') ?? activeTab()?.name ?? '');
  const { data: files = [] } = useSaved();
  const path = pathOf(name);
  const isThere = files.some((each) => each.path === path) && path !== activeTab()?.path;
  const save = (event: FormEvent): void => {
    event.preventDefault();
    if (!name.trim()) return;
    openDialog(null);
    void saveAs(path);
  };
  return (
    <form onSubmit={save} className="form">
      <Dialog.Title>{t('Save the workflow')}</Dialog.Title>
      <label>
        {t('Name; a folder is written with a slash')}
        <input
          className="field"
          value={name}
          // biome-ignore lint/a11y/noAutofocus: the dialog has one question
          autoFocus
          onFocus={(event) => event.target.select()}
          onChange={(event) => setName(event.target.value)}
        />
      </label>
      {isThere && <p className="notice">{t('{{path}} is there already; saving replaces it.', { path })}</p>}
      <div className="dialog-buttons">
        <Dialog.Close className="button">{t('Cancel')}</Dialog.Close>
        <button type="submit" className="button primary" disabled={!name.trim()}>
          {t(isThere ? 'Replace' : 'Save')}
        </button>
      </div>
    </form>
  );
}
