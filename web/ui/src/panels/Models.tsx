/** The model files there are, with what is known of each: licence, what it is for, what it cannot do. */

import { useState } from 'react';
import { viewCentre } from '../canvas/port';
import { makeNode } from '../doc/changes';
import { keyOf } from '../doc/document';
import { withValue } from '../doc/values';
import type { ModelFile } from '../net/models';
import { changed, useModel, useModelFiles, useModelFolders } from '../net/queries';
import { change, getDefinitions, getDoc } from '../state/documents';
import { select } from '../state/view';
import { t } from '../words';
import { shownBytes } from './jobs';

/** The node that loads the files of a folder, and its field for the name. */
const LOADERS: Readonly<Record<string, readonly [string, string]>> = {
  checkpoints: ['CheckpointLoaderSimple', 'ckpt_name'],
  loras: ['LoraLoader', 'lora_name'],
  vae: ['VAELoader', 'vae_name'],
  controlnet: ['ControlNetLoader', 'control_net_name'],
  upscale_models: ['UpscaleModelLoader', 'model_name'],
};

export default function Models() {
  const [folder, setFolder] = useState('checkpoints');
  const [words, setWords] = useState('');
  const { data: folders = [] } = useModelFolders();
  const { data: files, isError } = useModelFiles(folder);
  const shown = (files ?? []).filter((each) => each.name.toLowerCase().includes(words.toLowerCase()));
  return (
    <>
      <div className="tools">
        <select
          className="field"
          aria-label={t('Kind of model')}
          value={folder}
          onChange={(event) => setFolder(event.target.value)}
        >
          {(folders.includes(folder) ? folders : [folder, ...folders]).map((each) => (
            <option key={each}>{each}</option>
          ))}
        </select>
        <input
          type="search"
          className="field"
          aria-label={t('Search models')}
          placeholder={t('Search')}
          value={words}
          onChange={(event) => setWords(event.target.value)}
        />
        <button type="button" className="button small" onClick={() => changed('models')}>
          {t('Look again')}
        </button>
      </div>
      {isError && <p className="faint">{t('The server does not tell.')}</p>}
      {files?.length === 0 && <p className="faint">{t('There are no files in models/{{folder}}.', { folder })}</p>}
      <ul className="models">
        {shown.map((each, at) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: two folders may hold files of one name
          <Model key={`${folder} ${each.name} ${at}`} folder={folder} file={each} />
        ))}
      </ul>
    </>
  );
}

/** What the texts inside a file are about, by their names. */
const TOLD: readonly (readonly [RegExp, string])[] = [
  [/licen[sc]e/i, 'Licence'],
  [/(intended.?use|usage|description|note$)/i, 'Intended use'],
  [/limit/i, 'Limits'],
  [/author|creator/i, 'Made by'],
  [/title|output_name/i, 'Title'],
  [/architecture|base_model|sd_version/i, 'Kind'],
  [/trigger|tag_frequency/i, 'Trigger words'],
  [/date/i, 'Date'],
];
/** The parts of a model card that are shown, in this order. */
const CARD: Readonly<Record<string, string>> = {
  name: 'Family',
  licence: 'Licence',
  intended_use: 'Intended use',
  limits: 'Limits',
  training: 'Training',
};
const LISTS: ReadonlySet<string> = new Set(['limits', 'training']);

function Model({ folder, file }: { readonly folder: string; readonly file: ModelFile }) {
  const [isOpen, setIsOpen] = useState(false);
  const { data, isError } = useModel(folder, file.name, isOpen);
  const loader = LOADERS[folder];
  const def = loader && getDefinitions().get(loader[0]);
  const add = (): void => {
    if (!def || !loader) return;
    const node = withValue(def, makeNode(getDoc(), def, viewCentre(), [270, 0]), loader[1], file.name);
    change({ kind: 'add', nodes: [node], links: [] });
    select([keyOf(node)]);
  };
  const told = Object.entries(data?.texts ?? {}).flatMap(([key, value]) => {
    const known = TOLD.find(([wanted]) => wanted.test(key));
    return known ? [[known[1], value] as const] : [];
  });
  const cards = (data?.info.cards ?? []) as readonly Readonly<Record<string, unknown>>[];
  return (
    <li>
      <details onToggle={(event) => setIsOpen(event.currentTarget.open)}>
        <summary>
          {file.name} <span className="faint">{shownBytes(file.size)}</span>
        </summary>
        {isError && <p className="faint">{t('The server does not tell.')}</p>}
        {data && (
          <p className="faint">
            {[
              data.info.kind,
              data.info.parameters
                ? t('{{count}} million parameters', { count: (data.info.parameters / 1e6).toFixed(1) })
                : '',
            ]
              .filter(Boolean)
              .join(' · ')}
          </p>
        )}
        {data && told.length + cards.length === 0 && (
          <p className="notice">{t('The file says nothing about its licence or use: ask where it came from.')}</p>
        )}
        <dl>
          {told.map(([name, value]) => (
            <div key={name + value}>
              <dt>{t(name)}</dt>
              <dd>{value}</dd>
            </div>
          ))}
        </dl>
        {cards.map((card) => (
          <dl key={String(card.name)}>
            {Object.entries(CARD)
              .filter(([part]) => card[part])
              .map(([part, name]) => (
                <div key={part}>
                  <dt>{t(name)}</dt>
                  <dd>
                    {LISTS.has(part) && Array.isArray(card[part]) ? (
                      <ul>
                        {(card[part] as readonly unknown[]).map((each) => (
                          <li key={String(each)}>{String(each)}</li>
                        ))}
                      </ul>
                    ) : (
                      String(card[part])
                    )}
                  </dd>
                </div>
              ))}
          </dl>
        ))}
        {def && (
          <button type="button" className="button small" onClick={add}>
            {t('Add to the graph')}
          </button>
        )}
      </details>
    </li>
  );
}
