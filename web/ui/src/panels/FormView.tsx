/** The workflow as a form: the inputs that matter, the button, the result. On a phone this is the whole editor. */

import { Play } from 'lucide-react';
import { commandById } from '../commands';
import { isUpload, shapeOf } from '../doc/definitions';
import { keyOf, titleOf } from '../doc/document';
import { formFields } from '../doc/form';
import { upload } from '../net/api';
import { complain, loadDefinitions } from '../net/run';
import { change, useDefinitions, useDocument } from '../state/documents';
import { useRuns } from '../state/runs';
import { holdPlace, useTabs } from '../state/tabs';
import { say, useView } from '../state/view';
import { t } from '../words';
import { ValueRow } from './ValueRow';

export default function FormView() {
  const doc = useDocument((state) => state.outer[0]?.doc ?? state.doc);
  const isInside = useDocument((state) => state.outer.length > 0);
  const definitions = useDefinitions((state) => state.definitions);
  const online = useRuns((state) => state.online);
  if (isInside) return <p className="faint">{t('Go back to the outer graph to see its form.')}</p>;
  const fields = formFields(doc, definitions);
  const groups = new Map<string, (typeof fields)[number][]>();
  for (const each of fields) groups.set(keyOf(each.node), [...(groups.get(keyOf(each.node)) ?? []), each]);
  return (
    <div className="form form-view">
      <Result />
      {fields.length === 0 && (
        <p className="faint">{t('Nothing to fill in. Tick fields in the properties of a node to show them here.')}</p>
      )}
      {[...groups].map(([key, list]) => {
        const node = list[0]?.node;
        if (!node) return null;
        const title = titleOf(node, shapeOf(definitions, node).title);
        return (
          <fieldset key={key}>
            <legend>{title}</legend>
            {list.map(({ input }) => (
              <div key={input.name}>
                <ValueRow node={node} input={input} prefix={t('Form:')} />
                {isUpload(input) && <Take node={key} input={input.name} title={title} />}
              </div>
            ))}
          </fieldset>
        );
      })}
      <button
        type="button"
        className="button primary form-run"
        disabled={!online}
        onClick={() => void commandById('run.queue').perform()}
      >
        <Play size={14} /> {t('Make the picture')}
      </button>
    </div>
  );
}

function Take({ node, input, title }: { readonly node: string; readonly input: string; readonly title: string }) {
  const take = async (file: File | undefined): Promise<void> => {
    if (!file) return;
    const isHere = holdPlace();
    try {
      const name = await upload(file);
      await loadDefinitions();
      if (isHere()) change({ kind: 'value', node, name: input, value: name });
      else
        say(t('{{name}} was uploaded, but the graph that it was meant for is not shown any more.', { name }), 'error');
    } catch (error) {
      complain(error);
    }
  };
  return (
    <label className="button">
      {t('Choose a picture…')}
      <input
        type="file"
        accept="image/*"
        className="hidden"
        aria-label={t('Form: choose a picture for {{title}}', { title })}
        onChange={(event) => void take(event.target.files?.[0])}
      />
    </label>
  );
}

/** What the workflow made, or how far it is. */
function Result() {
  const tab = useTabs((state) => state.active);
  const runs = useRuns((state) => state.nodes[tab]);
  const list = Object.values(runs ?? {});
  const preview = list.find((each) => each.preview)?.preview;
  const urls = list.flatMap((each) => each.images ?? []).filter((each, at, all) => all.indexOf(each) === at);
  const running = list.find((each) => each.state === 'running');
  return (
    <div className="form-result">
      {preview ? (
        <img src={preview} alt={t('How far it is')} />
      ) : (
        urls.map((url, at) => (
          <button
            key={url}
            type="button"
            className="thumb"
            aria-label={t('Picture {{at}} of {{count}}, show it large', { at: at + 1, count: urls.length })}
            onClick={() => useView.setState({ lightbox: { urls, at } })}
          >
            <img src={url} alt="" />
          </button>
        ))
      )}
      {!preview && urls.length === 0 && <span className="faint">{t('The picture appears here.')}</span>}
      {running?.max ? <progress max={running.max} value={running.value ?? 0} aria-label={t('Progress')} /> : null}
    </div>
  );
}
