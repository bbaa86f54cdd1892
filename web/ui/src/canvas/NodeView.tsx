/** A node on the canvas. It selects what it shows by its own key, so that only it is drawn again when that changes. */

import { Handle, type NodeProps, NodeResizeControl, Position } from '@xyflow/react';
import { ChevronDown, ChevronRight, Pin, SquareArrowOutUpRight } from 'lucide-react';
import { type DragEvent, memo, use } from 'react';
import { checkConnection } from '../doc/connect';
import { type InputDef, isUpload, type NodeDef, shapeOf } from '../doc/definitions';
import {
  BYPASSED,
  type DocNode,
  isCollapsed,
  isPinned,
  linksInto,
  linksOutOf,
  MUTED,
  modeOf,
  nodeAt,
  titleOf,
} from '../doc/document';
import { type Layout, layoutNode, MIN_WIDTH, type SocketRow, type WidgetRow } from '../doc/layout';
import { controlOf, valuesOf } from '../doc/values';
import { upload } from '../net/api';
import { loadDefinitions } from '../net/run';
import { change, enter, getDefinitions, getDoc, prefixOf, useDefinitions, useDocument } from '../state/documents';
import { type NodeRun, runOf, useRuns } from '../state/runs';
import { holdPlace, useTabs } from '../state/tabs';
import { say, useView } from '../state/view';
import { t } from '../words';
import { Far } from './FarView';
import { ControlField, Field, Rename } from './Field';
import { MarkdownField } from './Markdown';
import { Picture } from './Picture';
import { lookOf } from './types';

export const showsPicture = (def: NodeDef, run: NodeRun): boolean =>
  def.isOutput ||
  run.preview !== undefined ||
  run.images !== undefined ||
  run.texts !== undefined ||
  def.inputs.some(isUpload);

/** From far away nothing: the wrapper stays, so that the node can be chosen, dragged and read out. */
export const NodeView = memo(function NodeView(props: NodeProps) {
  return use(Far) ? null : <Near id={props.id} selected={props.selected} />;
});

const Near = memo(function Near({ id, selected }: Pick<NodeProps, 'id' | 'selected'>) {
  const node = useDocument((state) => nodeAt(state.doc, id));
  const definitions = useDefinitions((state) => state.definitions);
  const tab = useTabs((state) => state.active);
  const prefix = useDocument((state) => prefixOf(state.outer));
  const run = useRuns((state) => runOf(state, tab, prefix + id));
  if (!node) return null;
  const shape = shapeOf(definitions, node);
  const isMissing = !definitions.has(node.type);
  const layout = layoutNode(shape, node, showsPicture(shape, run));
  const classes = [
    'node',
    selected ? 'is-selected' : '',
    run.state ? `is-${run.state}` : '',
    isMissing ? 'is-missing' : '',
    modeOf(node) === MUTED ? 'is-muted' : '',
    modeOf(node) === BYPASSED ? 'is-bypassed' : '',
    node.type === 'Reroute' ? 'is-reroute' : '',
  ];
  const tint = typeof node.color === 'string' && /^#[0-9a-f]{3,8}$/i.test(node.color) ? { '--tint': node.color } : {};
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: a short way for the button that chooses a picture
    <div
      className={classes.filter(Boolean).join(' ')}
      style={tint as object}
      onDrop={(event) => dropPicture(event, id, shape)}
      onDoubleClick={(event) => {
        if (shape.subgraph && (event.target as Element).closest('.sockets-row')) enter(id);
      }}
    >
      {node.type !== 'Reroute' && <Header id={id} node={node} title={titleOf(node, shape.title)} run={run} />}
      <Sockets id={id} shape={shape} layout={layout} />
      {!isCollapsed(node) && node.type !== 'Reroute' && (
        <Body id={id} node={node} shape={shape} layout={layout} run={run} isMissing={isMissing} />
      )}
      {run.errors && run.errors.length > 0 && <Errors id={id} run={run} shape={shape} />}
      {selected && !isCollapsed(node) && node.type !== 'Reroute' && (
        <NodeResizeControl className="resize" minWidth={MIN_WIDTH} minHeight={60} />
      )}
    </div>
  );
});

const STATE_NAMES: Readonly<Record<string, string>> = {
  queued: 'waiting',
  running: 'running',
  finished: 'done',
  cached: 'unchanged, taken from the last run',
  error: 'failed',
};

function Header({
  id,
  node,
  title,
  run,
}: {
  readonly id: string;
  readonly node: DocNode;
  readonly title: string;
  readonly run: NodeRun;
}) {
  const isRenaming = useView((state) => state.renaming === id);
  const isShut = isCollapsed(node);
  const part = run.state === 'running' && run.max ? Math.min(1, (run.value ?? 0) / run.max) : 0;
  const isSubgraph = getDefinitions().get(node.type)?.subgraph !== undefined;
  const done = (text: string | null): void => {
    useView.setState({ renaming: null });
    if (text !== null && text !== title) change({ kind: 'patch', nodes: [id], fields: { title: text } });
  };
  return (
    <header className="node-header">
      <button
        type="button"
        className="icon nodrag"
        aria-label={isShut ? t('Expand {{title}}', { title }) : t('Collapse {{title}}', { title })}
        aria-expanded={!isShut}
        onClick={() => change({ kind: 'flag', nodes: [id], flag: 'collapsed', on: !isShut })}
      >
        {isShut ? <ChevronRight size={14} /> : <ChevronDown size={14} />}
      </button>
      {isRenaming ? (
        <Rename title={title} label={t('Name of the node')} done={done} />
      ) : (
        // biome-ignore lint/a11y/noStaticElementInteractions: a short way for the command Rename (F2)
        <span className="node-title" onDoubleClick={() => useView.setState({ renaming: id })}>
          {title}
        </span>
      )}
      {isSubgraph && (
        <button
          type="button"
          className="icon nodrag"
          aria-label={t('Open the subgraph {{title}}', { title })}
          title={t('Open the subgraph')}
          onClick={() => enter(id)}
        >
          <SquareArrowOutUpRight size={13} />
        </button>
      )}
      {isPinned(node) && <Pin size={12} aria-label={t('pinned')} />}
      {run.state === 'running' ? (
        <svg
          className="ring"
          viewBox="0 0 20 20"
          role="progressbar"
          aria-label={t('{{title}}: progress', { title })}
          aria-valuenow={Math.round(part * 100)}
          aria-valuemin={0}
          aria-valuemax={100}
        >
          <circle cx="10" cy="10" r="7" />
          <circle cx="10" cy="10" r="7" className="ring-part" pathLength={100} strokeDasharray={`${part * 100} 100`} />
        </svg>
      ) : (
        run.state && (
          <span
            className={`glyph glyph-${run.state}`}
            role="img"
            aria-label={t(STATE_NAMES[run.state] ?? '')}
            title={t(STATE_NAMES[run.state] ?? '')}
          />
        )
      )}
      {run.state === 'running' && run.max !== undefined && run.max > 1 && (
        <span className="steps">{`${run.value ?? 0}/${run.max}`}</span>
      )}
      {part > 0 && <span className="bar" style={{ transform: `scaleX(${part})` }} />}
    </header>
  );
}

function Sockets({ id, shape, layout }: { readonly id: string; readonly shape: NodeDef; readonly layout: Layout }) {
  const pending = useView((state) => state.pending);
  const links = useDocument((state) => state.doc.links);
  const definitions = useDefinitions((state) => state.definitions);
  const doc = getDoc();
  const into = links && linksInto(doc, id);
  const fits = (side: 'in' | 'out', name: string, output: number): string => {
    if (!pending) return '';
    const from = 'from' in pending ? pending.from : { node: id, output };
    const to = 'to' in pending ? pending.to : { node: id, input: name };
    if ('from' in pending === (side === 'out')) return 'is-dim';
    return checkConnection(doc, definitions, from, to).ok ? 'is-fit' : 'is-dim';
  };
  return (
    <>
      {shape.inputs
        .filter((each) => layout.inputs.has(each.name))
        .map((each) => {
          const [hue, form] = lookOf(each.type);
          const state = into.has(each.name) ? 'is-linked' : each.widget ? 'is-quiet' : each.optional ? 'is-open' : '';
          return (
            <Handle
              key={`in:${each.name}`}
              id={`in:${each.name}`}
              type="target"
              position={Position.Left}
              className={`socket nokey shape-${form} ${state} ${fits('in', each.name, 0)}`}
              title={`${each.name}: ${each.type}`}
              style={{ top: layout.inputs.get(each.name), '--hue': hue } as object}
            />
          );
        })}
      {shape.outputs.map((each, place) => {
        const [hue, form] = lookOf(each.type);
        return (
          <Handle
            // biome-ignore lint/suspicious/noArrayIndexKey: an output is its place
            key={`out:${place}`}
            id={`out:${place}`}
            type="source"
            position={Position.Right}
            className={`socket nokey shape-${form} ${fits('out', '', place)}`}
            title={`${each.name}: ${each.type}`}
            style={{ top: layout.outputs[place], '--hue': hue } as object}
          />
        );
      })}
    </>
  );
}

interface BodyProps {
  readonly id: string;
  readonly node: DocNode;
  readonly shape: NodeDef;
  readonly layout: Layout;
  readonly run: NodeRun;
  readonly isMissing: boolean;
}

function Body({ id, node, shape, layout, run, isMissing }: BodyProps) {
  const values = valuesOf(shape, node);
  const into = useDocument((state) => linksInto(state.doc, id));
  const title = titleOf(node, shape.title);
  return (
    <>
      {layout.rows.map((row) =>
        row.kind === 'sockets' ? (
          <SocketLabels key={`s${row.y}`} row={row} shape={shape} />
        ) : (
          <Widget
            key={`${row.kind}:${row.input.name}`}
            id={id}
            row={node.type === 'PrimitiveNode' ? likeTarget(row, id) : row}
            title={title}
            isLinked={into.has(row.input.name)}
            isMarkdown={node.type === 'MarkdownNote'}
            value={values[row.kind === 'control' ? controlOf(row.input.name) : row.input.name] ?? null}
          />
        ),
      )}
      {isMissing && (
        <p className="missing-note" style={{ top: layout.picture.y || 40 }}>
          {t('This type is not installed here. Its values and links are kept.')}
        </p>
      )}
      {layout.picture.height > 0 && (
        <Picture
          id={id}
          run={run}
          shape={shape}
          values={values}
          title={title}
          top={layout.picture.y}
          height={layout.picture.height}
        />
      )}
    </>
  );
}

/** The field of a primitive, with the choices and bounds of the first field that it is linked to. */
function likeTarget(row: WidgetRow, id: string): WidgetRow {
  const link = linksOutOf(getDoc(), id)[0];
  const target = link && nodeAt(getDoc(), link.to);
  const wanted = target && shapeOf(getDefinitions(), target).inputs.find((each) => each.name === link.input);
  if (!wanted) return row;
  return {
    ...row,
    input: { ...row.input, choices: wanted.choices, options: { ...wanted.options, ...row.input.options } },
  };
}

function SocketLabels({ row, shape }: { readonly row: SocketRow; readonly shape: NodeDef }) {
  return (
    <div className="row sockets-row" style={{ top: row.y }}>
      <span title={hint(row.input)}>{row.input?.name}</span>
      <span>{row.output === null ? '' : shape.outputs[row.output]?.name}</span>
    </div>
  );
}
const hint = (input: InputDef | null): string | undefined =>
  typeof input?.options.tooltip === 'string' ? input.options.tooltip : undefined;

interface WidgetProps {
  readonly id: string;
  readonly row: WidgetRow;
  readonly value: NonNullable<Parameters<typeof Field>[0]['value']> | null;
  readonly isLinked: boolean;
  readonly isMarkdown: boolean;
  readonly title: string;
}

function Widget({ id, row, value, isLinked, isMarkdown, title }: WidgetProps) {
  const { input } = row;
  const style = { top: row.y, height: row.height };
  if (row.kind === 'upload')
    return (
      <div className="row" style={style}>
        <Upload id={id} input={input} title={title} />
      </div>
    );
  if (row.kind === 'control')
    return (
      <div className="row" style={style}>
        <span className="row-label">{t('after a run')}</span>
        <ControlField
          node={id}
          input={input}
          value={value}
          label={t('{{title}}: {{name}} after a run', { title, name: input.name })}
        />
      </div>
    );
  const isText = input.widget === 'text' && input.options.multiline === true;
  return (
    <div className={`row ${isText ? 'row-text' : ''}`} style={style} title={hint(input)}>
      {!isText && <span className="row-label">{input.name}</span>}
      {isMarkdown && !isLinked ? (
        <MarkdownField node={id} input={input} value={value} label={`${title}: ${input.name}`} />
      ) : (
        <Field node={id} input={input} value={value} label={`${title}: ${input.name}`} isLinked={isLinked} />
      )}
    </div>
  );
}

/** Upload a picture and put its name into the node. */
async function take(id: string, input: InputDef, file: File | undefined): Promise<void> {
  if (!file) return;
  const isHere = holdPlace();
  try {
    const name = await upload(file);
    await loadDefinitions();
    if (isHere()) change({ kind: 'value', node: id, name: input.name, value: name });
    else say(t('{{name}} was uploaded, but the graph that it was meant for is not shown any more.', { name }), 'error');
  } catch (error) {
    say(error instanceof Error ? error.message : String(error), 'error');
  }
}

function Upload({ id, input, title }: { readonly id: string; readonly input: InputDef; readonly title: string }) {
  return (
    <label className="button nodrag upload">
      {t('Choose a picture…')}
      <input
        type="file"
        accept="image/*"
        className="hidden"
        aria-label={t('{{title}}: choose a picture', { title })}
        onChange={(event) => void take(id, input, event.target.files?.[0])}
      />
    </label>
  );
}

function dropPicture(event: DragEvent, id: string, shape: NodeDef): void {
  const input = shape.inputs.find(isUpload);
  const file = event.dataTransfer.files[0];
  if (!input || !file?.type.startsWith('image/')) return;
  event.preventDefault();
  event.stopPropagation();
  void take(id, input, file);
}

const SHOWN_CHOICES = 8;

function Errors({ id, run, shape }: { readonly id: string; readonly run: NodeRun; readonly shape: NodeDef }) {
  return (
    <div className="node-errors nodrag nowheel">
      {run.errors?.map((each) => (
        <div key={each.input + each.message}>
          <p>
            {each.input && <strong>{each.input}: </strong>}
            {each.message}
          </p>
          {each.choices.length > 0 && shape.inputs.some((input) => input.name === each.input) && (
            <p className="choices">
              {nearest(each.choices, each.message).map((choice) => (
                <button
                  type="button"
                  key={choice}
                  className="button small"
                  onClick={() => each.input && change({ kind: 'value', node: id, name: each.input, value: choice })}
                >
                  {choice}
                </button>
              ))}
              {each.choices.length > SHOWN_CHOICES && (
                <span className="faint">{t('and {{count}} more', { count: each.choices.length - SHOWN_CHOICES })}</span>
              )}
            </p>
          )}
          {each.details.length > 80 && each.input === null && (
            <details>
              <summary>{t('Details')}</summary>
              <pre>{each.details}</pre>
            </details>
          )}
        </div>
      ))}
    </div>
  );
}

/** The allowed values that the message names come first. */
const nearest = (choices: readonly string[], message: string): readonly string[] =>
  [...choices]
    .sort((a, b) => Number(message.includes(`'${b}'?`)) - Number(message.includes(`'${a}'?`)))
    .slice(0, SHOWN_CHOICES);

/** What a node is called by screen readers. */
export function ariaLabelOf(node: DocNode, shape: NodeDef, run: NodeRun): string {
  const title = titleOf(node, shape.title);
  const links = linksInto(getDoc(), String(node.id)).size;
  const parts = [
    title,
    title === shape.title ? '' : shape.title,
    t('links in: {{links}}', { links }),
    t('links out: {{links}}', { links: linksOutOf(getDoc(), String(node.id)).length }),
    modeOf(node) === MUTED ? t('muted') : '',
    modeOf(node) === BYPASSED ? t('bypassed') : '',
    run.state ? t(STATE_NAMES[run.state] ?? '') : '',
  ];
  return parts.filter(Boolean).join(', ');
}
