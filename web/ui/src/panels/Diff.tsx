/** What differs between another workflow and the open one. */

import { Dialog } from '@base-ui/react/dialog';
import { arrangeApi } from '../doc/arrange';
import { compareDocs, type Difference } from '../doc/compare';
import { isApiForm, readFile } from '../doc/document';
import type { Json } from '../doc/json';
import { getDefinitions, getWhole } from '../state/documents';
import { locate, openDialog } from '../state/view';
import { t } from '../words';

const KINDS: Readonly<Record<Difference['kind'], string>> = {
  added: 'Node added',
  removed: 'Node removed',
  value: 'Value',
  link: 'Link',
  mode: 'Mode',
};

export default function Diff({ other, name }: { readonly other: Json; readonly name: string }) {
  const found = differences(other);
  return (
    <>
      <Dialog.Title>{t('From {{name}} to the open workflow', { name })}</Dialog.Title>
      {found === null && <p className="bad">{t('The other workflow cannot be read.')}</p>}
      {found?.length === 0 && <p>{t('Nothing differs that would change a picture.')}</p>}
      {found && found.length > 0 && (
        <table className="diff">
          <thead>
            <tr>
              <th>{t('Node')}</th>
              <th>{t('What')}</th>
              <th>{t('Before')}</th>
              <th>{t('Now')}</th>
            </tr>
          </thead>
          <tbody>
            {found.map((each) => (
              <tr key={`${each.node} ${each.kind} ${each.what}`} className={`diff-${each.kind}`}>
                <td>
                  <button
                    type="button"
                    className="button small"
                    aria-label={t('Locate {{name}} ({{node}})', { name: each.title, node: each.node })}
                    onClick={() => {
                      openDialog(null);
                      locate(each.node);
                    }}
                  >
                    {`${each.title} (${each.node})`}
                  </button>
                </td>
                <td>{each.what || t(KINDS[each.kind])}</td>
                <td>{each.before}</td>
                <td>{each.after}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </>
  );
}

function differences(other: Json): readonly Difference[] | null {
  try {
    const before = isApiForm(other) ? arrangeApi(other, getDefinitions()) : readFile(other);
    return compareDocs(before, getWhole(), getDefinitions());
  } catch {
    return null;
  }
}
