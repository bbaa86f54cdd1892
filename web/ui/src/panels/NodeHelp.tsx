/** What a node is for, from its own words: its docstring, its inputs and outputs. */

import { Dialog } from '@base-ui/react/dialog';
import { lookOf } from '../canvas/types';
import type { InputDef } from '../doc/definitions';
import { getDefinitions } from '../state/documents';
import { t } from '../words';

export default function NodeHelp({ type }: { readonly type: string }) {
  const def = getDefinitions().get(type);
  return (
    <div className="node-help">
      <Dialog.Title>{def?.title ?? type}</Dialog.Title>
      <p className="faint">{[type, def?.category].filter(Boolean).join(' · ')}</p>
      {!def && <p>{t('This type is not installed here. Its values and links are kept.')}</p>}
      {def?.deprecated && (
        <p className="notice">{t('This node is outdated: it works, but new workflows use another.')}</p>
      )}
      <p className="description">{def?.description || t('The node says nothing about itself.')}</p>
      {def && def.inputs.length > 0 && (
        <>
          <h3>{t('Inputs')}</h3>
          <dl>
            {def.inputs.map((each) => (
              <div key={each.name}>
                <dt>
                  <span className="dot" style={{ background: lookOf(each.type)[0] }} /> {each.name}{' '}
                  <span className="faint">{each.type + (each.optional ? `, ${t('optional')}` : '')}</span>
                </dt>
                <dd>{said(each)}</dd>
              </div>
            ))}
          </dl>
        </>
      )}
      {def && def.outputs.length > 0 && (
        <>
          <h3>{t('Outputs')}</h3>
          <ul>
            {def.outputs.map((each) => (
              <li key={each.name}>
                <span className="dot" style={{ background: lookOf(each.type)[0] }} /> {each.name}{' '}
                <span className="faint">{each.type}</span>
              </li>
            ))}
          </ul>
        </>
      )}
    </div>
  );
}

function said({ options, widget }: InputDef): string {
  const { tooltip, min, max, default: start } = options;
  const words = typeof tooltip === 'string' ? [tooltip] : [];
  if (min !== undefined && max !== undefined && (widget === 'int' || widget === 'float'))
    words.push(t('From {{min}} to {{max}}.', { min: String(min), max: String(max) }));
  if (start !== undefined && start !== '') words.push(t('Starts as {{start}}.', { start: String(start) }));
  return words.join(' ');
}
