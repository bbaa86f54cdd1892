/** The model files there are, with what they say of themselves: licence, what they are for, what they are not. */

import { useEffect, useState } from 'react';
import { viewCentre } from '../canvas/port';
import { makeNode } from '../doc/changes';
import { keyOf } from '../doc/document';
import { withValue } from '../doc/values';
import { type ModelFile, modelFiles, modelFolders, modelTexts } from '../net/models';
import { complain } from '../net/run';
import { change, getDefinitions, getDoc } from '../state/documents';
import { select } from '../state/view';
import { t } from '../words';

/** The node that loads the files of a folder, and its field for the name. */
const LOADERS: Readonly<Record<string, readonly [string, string]>> = {
  checkpoints: ['CheckpointLoaderSimple', 'ckpt_name'],
  loras: ['LoraLoader', 'lora_name'],
  vae: ['VAELoader', 'vae_name'],
  controlnet: ['ControlNetLoader', 'control_net_name'],
  upscale_models: ['UpscaleModelLoader', 'model_name'],
  embeddings: ['', ''],
};

export default function Models() {
  const [folders, setFolders] = useState<readonly string[]>([]);
  const [folder, setFolder] = useState('checkpoints');
  const [files, setFiles] = useState<readonly ModelFile[] | null>(null);
  const [words, setWords] = useState('');
  useEffect(() => void modelFolders().then(setFolders, complain), []);
  const load = (name: string): void => {
    setFolder(name);
    setFiles(null);
    void modelFiles(name).then(setFiles, complain);
  };
  useEffect(() => void modelFiles('checkpoints').then(setFiles, complain), []);
  const shown = (files ?? []).filter((each) => each.name.toLowerCase().includes(words.toLowerCase()));
  return (
    <>
      <div className="tools">
        <select
          className="field"
          aria-label={t('Kind of model')}
          value={folder}
          onChange={(event) => load(event.target.value)}
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
        <button type="button" className="button small" onClick={() => load(folder)}>
          {t('Look again')}
        </button>
      </div>
      {files?.length === 0 && <p className="faint">{t('There are no files in models/{{folder}}.', { folder })}</p>}
      <ul className="models">
        {shown.map((each, at) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: two folders may hold files of one name
          <Model key={`${each.name} ${at}`} folder={folder} file={each} />
        ))}
      </ul>
    </>
  );
}

const MEBI = 2 ** 20;
const TOLD: readonly (readonly [RegExp, string])[] = [
  [/licen[sc]e/i, 'Licence'],
  [/(intended.?use|usage|description)/i, 'Intended use'],
  [/limit/i, 'Limits'],
  [/author|creator/i, 'Made by'],
  [/title|output_name/i, 'Title'],
  [/architecture|base_model|sd_version/i, 'Kind'],
  [/trigger|tag_frequency/i, 'Trigger words'],
  [/date/i, 'Date'],
];

function Model({ folder, file }: { readonly folder: string; readonly file: ModelFile }) {
  const [texts, setTexts] = useState<Readonly<Record<string, string>> | null>(null);
  const look = (isOpen: boolean): void => {
    if (isOpen && texts === null) void modelTexts(folder, file.name).then(setTexts, () => setTexts({})); // 404: it says nothing of itself
  };
  const loader = LOADERS[folder];
  const def = loader && getDefinitions().get(loader[0]);
  const add = (): void => {
    if (!def || !loader) return;
    const node = withValue(def, makeNode(getDoc(), def, viewCentre(), [270, 0]), loader[1], file.name);
    change({ kind: 'add', nodes: [node as typeof node & { id: number }], links: [] });
    select([keyOf(node)]);
  };
  const told = Object.entries(texts ?? {}).flatMap(([key, value]) => {
    const known = TOLD.find(([wanted]) => wanted.test(key));
    return known ? [[known[1], value] as const] : [];
  });
  return (
    <li>
      <details onToggle={(event) => look(event.currentTarget.open)}>
        <summary>
          {file.name} <span className="faint">{`${(file.size / MEBI).toFixed(1)} MiB`}</span>
        </summary>
        {texts && told.length === 0 && (
          <p className="faint">{t('The file says nothing about its licence or use: ask where it came from.')}</p>
        )}
        <dl>
          {told.map(([name, value]) => (
            <div key={name + value}>
              <dt>{t(name)}</dt>
              <dd>{value}</dd>
            </div>
          ))}
        </dl>
        {def && (
          <button type="button" className="button small" onClick={add}>
            {t('Add to the graph')}
          </button>
        )}
      </details>
    </li>
  );
}
