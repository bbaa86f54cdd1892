/** Runs the open workflow with each combination of values for one or two fields, and shows the pictures as a grid. */

import { Dialog } from '@base-ui/react/dialog';
import { useEffect, useState } from 'react';
import { apply } from '../doc/changes';
import { type InputDef, shapeOf } from '../doc/definitions';
import { keyOf, linksInto, titleOf, writeFile } from '../doc/document';
import type { Json } from '../doc/json';
import { isObject } from '../doc/json';
import { type Axis, combinations, MOST_RUNS, readAxis, shortValue } from '../doc/sweep';
import * as api from '../net/api';
import { changed, pagesOf, useJobs } from '../net/queries';
import { getDefinitions, getWhole, leaveTo } from '../state/documents';
import { noteJob } from '../state/runs';
import { useTabs } from '../state/tabs';
import { useView } from '../state/view';
import { windowId } from '../state/window';
import { t } from '../words';
import { usePicturesOf } from './jobs';

interface Choice {
  readonly place: string;
  readonly node: string;
  readonly input: InputDef;
  readonly label: string;
}

const KINDS = { int: 'int', float: 'float', text: 'text', combo: 'choice', toggle: 'choice' } as const;

function choices(): readonly Choice[] {
  const doc = getWhole();
  return doc.nodes.flatMap((node) => {
    const shape = shapeOf(getDefinitions(), node);
    if (shape.isVirtual || shape.isUnknown) return [];
    const into = linksInto(doc, keyOf(node));
    return shape.inputs
      .filter((each) => each.widget && !into.has(each.name))
      .map((input) => ({
        place: `${keyOf(node)}.${input.name}`,
        node: keyOf(node),
        input,
        label: `${titleOf(node, shape.title)} (${keyOf(node)}): ${input.name}`,
      }));
  });
}

/** A choice of a list may be no text: the one that is written so. */
const exact = (input: InputDef, value: Json): Json => {
  if (input.widget === 'toggle') return value === 'true';
  if (input.widget !== 'combo') return value;
  const found = input.choices.find((each) => String(each) === value);
  if (found === undefined)
    throw new Error(t('“{{value}}” is none of the choices of {{name}}.', { value: String(value), name: input.name }));
  return found;
};

interface Cell {
  readonly job: string;
  readonly values: readonly Json[];
}

const MARGIN = 100; // jobs that others may have queued meanwhile
/** The jobs that have ended, from as many of the newest as a sweep has cells. */
function useEnded(count: number): readonly api.Job[] {
  const found = useJobs();
  const { hasNextPage, isFetchingNextPage, fetchNextPage } = found;
  const jobs = pagesOf(found).flatMap((each) => each.jobs);
  const isShort = count > 0 && jobs.length < count + MARGIN;
  useEffect(() => {
    if (isShort && hasNextPage && !isFetchingNextPage) void fetchNextPage();
  }, [isShort, hasNextPage, isFetchingNextPage, fetchNextPage]);
  return jobs.filter((job) => job.ended);
}

export default function Sweep() {
  const [all] = useState(choices);
  const [places, setPlaces] = useState<readonly [string, string]>([
    all.find((each) => each.input.name === 'cfg')?.place ?? all[0]?.place ?? '',
    '',
  ]);
  const [texts, setTexts] = useState<readonly [string, string]>(['4..8:2', '']);
  const [problem, setProblem] = useState('');
  const [cells, setCells] = useState<readonly Cell[]>([]);
  const [axes, setAxes] = useState<readonly Axis[]>([]);
  const done = useEnded(cells.length);
  const read = (): readonly Axis[] =>
    places.flatMap((place, at) => {
      const choice = all.find((each) => each.place === place);
      if (!choice) return [];
      const values = readAxis(texts[at] ?? '', KINDS[choice.input.widget ?? 'text']).map((each) =>
        exact(choice.input, each),
      );
      if (values.length === 0) throw new Error(t('{{label}}: give some values.', { label: choice.label }));
      return [{ node: choice.node, input: choice.input.name, values }];
    });
  const start = async (): Promise<void> => {
    setProblem('');
    setCells([]);
    try {
      const found = read();
      const runs = combinations(found);
      if (found.length === 0) throw new Error(t('Choose a field.'));
      if (runs.length > MOST_RUNS)
        throw new Error(
          t('{{count}} runs are too many; {{most}} are allowed.', { count: runs.length, most: MOST_RUNS }),
        );
      setAxes(found);
      leaveTo(0);
      const base = getWhole();
      const tab = useTabs.getState().active;
      for (const values of runs) {
        const doc = found.reduce(
          (now, axis, at) =>
            apply(
              now,
              { kind: 'value', node: axis.node, name: axis.input, value: values[at] ?? null },
              getDefinitions(),
            ),
          base,
        );
        const answer = await api.submit(writeFile(doc), windowId(), false);
        const job = isObject(answer) ? String(answer.prompt_id) : '';
        noteJob(job, tab);
        changed('jobs');
        setCells((before) => [...before, { job, values }]);
      }
    } catch (error) {
      setProblem(error instanceof Error ? error.message : String(error));
    }
  };
  return (
    <>
      <Dialog.Title>{t('Sweep: one picture for each combination')}</Dialog.Title>
      <div className="sweep-axes">
        {([0, 1] as const).map((at) => {
          const kind = all.find((each) => each.place === places[at])?.input.widget;
          const set = <T,>(list: readonly [T, T], value: T): readonly [T, T] =>
            at === 0 ? [value, list[1]] : [list[0], value];
          const label = at === 0 ? t('Down') : t('Across (if you like)');
          return (
            <fieldset key={at} className="form">
              <legend>{label}</legend>
              <select
                className="field"
                aria-label={t('Field: {{label}}', { label })}
                value={places[at]}
                onChange={(event) => setPlaces(set(places, event.target.value))}
              >
                {at === 1 && <option value="">{t('none')}</option>}
                {all.map((each) => (
                  <option key={each.place} value={each.place}>
                    {each.label}
                  </option>
                ))}
              </select>
              <textarea
                className="field"
                rows={3}
                aria-label={t('Values: {{label}}', { label })}
                placeholder={kind === 'text' ? t('One a line') : t('1, 2, 4 or 5..9:2')}
                value={texts[at]}
                onChange={(event) => setTexts(set(texts, event.target.value))}
              />
            </fieldset>
          );
        })}
      </div>
      {problem && (
        <p className="bad" role="alert">
          {problem}
        </p>
      )}
      <button type="button" className="button primary" onClick={() => void start()}>
        {t('Run all')}
      </button>
      {cells.length > 0 && <Grid axes={axes} cells={cells} done={done} />}
    </>
  );
}

function Grid({
  axes,
  cells,
  done,
}: {
  readonly axes: readonly Axis[];
  readonly cells: readonly Cell[];
  readonly done: readonly api.Job[];
}) {
  const [down, across] = axes;
  const rows = down?.values ?? [];
  const columns: readonly Json[] = across?.values ?? [''];
  const picturesOf = usePicturesOf();
  return (
    <div className="sweep-grid">
      <table>
        <thead>
          <tr>
            <th scope="col">{down?.input}</th>
            {columns.map((each) => (
              <th key={shortValue(each)} scope="col">
                {across ? `${across.input}: ${shortValue(each)}` : t('Picture')}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row, at) => (
            <tr key={shortValue(row)}>
              <th scope="row">{shortValue(row)}</th>
              {columns.map((column, place) => {
                const job = done.find((each) => each.id === cells[at * columns.length + place]?.job);
                const url = job && picturesOf(job)[0];
                return (
                  <td key={shortValue(column)}>
                    {url ? (
                      <button
                        type="button"
                        className="thumb"
                        aria-label={t('Picture of {{values}}', { values: [row, column].map(shortValue).join(' ') })}
                        onClick={() => useView.setState({ lightbox: { urls: [url], at: 0 } })}
                      >
                        <img src={url} alt="" />
                      </button>
                    ) : (
                      <span className="faint">
                        {job ? (job.errors?.[0]?.message ?? t('no picture')) : t('waiting')}
                      </span>
                    )}
                  </td>
                );
              })}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
