/** One way to find things by typing: commands, node types, nodes of the graph, and the two ends of a link. */

import { Dialog } from '@base-ui/react/dialog';
import Fuse from 'fuse.js';
import { useEffect, useId, useMemo, useRef, useState } from 'react';
import { viewCentre } from '../canvas/port';
import { lookOf } from '../canvas/types';
import { COMMANDS } from '../commands';
import { keysOf, shownKeys } from '../commands/command';
import { apply, type Change, makeNode } from '../doc/changes';
import {
  checkConnection,
  firstFit,
  firstSource,
  type InputRef,
  type OutputRef,
  outputType,
  typesMeet,
} from '../doc/connect';
import { type NodeDef, PORTS_IN, PORTS_OUT, shapeOf } from '../doc/definitions';
import { keyOf, linksInto, nodeAt, type Point, positionOf, titleOf } from '../doc/document';
import { freePlace, layoutNode } from '../doc/layout';
import { change, getDefinitions, getDoc } from '../state/documents';
import { locate, openPalette, type Pending, say, select, useView, type Palette as What } from '../state/view';
import { t } from '../words';

interface Item {
  readonly id: string;
  readonly title: string;
  readonly note: string;
  readonly more: string;
  readonly hue?: string;
  /** True keeps the palette open, for a next question. */
  readonly choose: () => unknown;
}

interface Question {
  readonly label: string;
  readonly items: readonly Item[];
  readonly none: string;
}

const SHOWN = 100;
const shut = (): void => openPalette(null);

export function Palette() {
  const palette = useView((state) => state.palette);
  return (
    <Dialog.Root open={palette !== null} onOpenChange={(open) => !open && shut()}>
      <Dialog.Portal>
        <Dialog.Backdrop className="backdrop" />
        <Dialog.Popup className="palette">
          {palette && <Finder key={questionOf(palette)} palette={palette} />}
        </Dialog.Popup>
      </Dialog.Portal>
    </Dialog.Root>
  );
}

/** A new question starts with an empty field. */
const questionOf = (palette: NonNullable<What>): string =>
  palette.kind === 'connect' && palette.port ? 'to' : palette.kind;

function Finder({ palette }: { readonly palette: NonNullable<What> }) {
  const question = useMemo(() => ask(palette), [palette]);
  const [words, setWords] = useState('');
  const [at, setAt] = useState(0);
  const list = useId();
  const field = useRef<HTMLInputElement>(null);
  const active = useRef<HTMLDivElement>(null);
  const fuse = useMemo(
    () =>
      new Fuse(question.items, {
        keys: [
          { name: 'title', weight: 3 },
          { name: 'note', weight: 1 },
          { name: 'more', weight: 1 },
        ],
        threshold: 0.35,
        ignoreLocation: true,
      }),
    [question],
  );
  const isMeant = (each: Item): number => (each.id.toLowerCase() === words.trim().toLowerCase() ? 0 : 1);
  const found = (words ? fuse.search(words).map((each) => each.item) : [...question.items])
    .sort((a, b) => isMeant(a) - isMeant(b)) // the very name of a node goes before what is like it
    .slice(0, SHOWN);
  useEffect(() => {
    field.current?.focus();
  }, []);
  // biome-ignore lint/correctness/useExhaustiveDependencies: the chosen line moved
  useEffect(() => {
    active.current?.scrollIntoView({ block: 'nearest' }); // its result, a promise in new browsers, is no clean-up
  }, [at]);
  const choose = (item: Item | undefined): void => {
    if (item && item.choose() !== true) shut();
  };
  const press = (event: React.KeyboardEvent): void => {
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: 8, PageUp: -8 }[event.key];
    if (event.key === 'Enter' && !event.nativeEvent.isComposing) {
      event.preventDefault();
      choose(found[at]);
    } else if (steps) {
      event.preventDefault();
      setAt(Math.max(0, Math.min(found.length - 1, at + steps)));
    }
  };
  return (
    <>
      <Dialog.Title className="palette-title">{question.label}</Dialog.Title>
      <input
        ref={field}
        className="palette-field"
        type="text"
        role="combobox"
        aria-label={question.label}
        aria-expanded="true"
        aria-controls={list}
        autoComplete="off"
        spellCheck={false}
        aria-activedescendant={found[at] ? `${list}-${at}` : undefined}
        value={words}
        onKeyDown={press}
        placeholder={t('Type to search')}
        onChange={(event) => {
          setWords(event.target.value);
          setAt(0);
        }}
      />
      <div id={list} role="listbox" aria-label={question.label} className="palette-list">
        {found.map((each, place) => (
          // biome-ignore lint/a11y/useKeyWithClickEvents: the field above has the keys
          <div
            key={each.id}
            id={`${list}-${place}`}
            ref={place === at ? active : null}
            role="option"
            aria-selected={place === at}
            tabIndex={-1}
            onClick={() => choose(each)}
            onMouseMove={() => setAt(place)}
          >
            {each.hue && <span className="dot" style={{ background: each.hue }} />}
            <span className="palette-name">{each.title}</span>
            <span className="palette-note">{each.note}</span>
          </div>
        ))}
      </div>
      {found.length === 0 && <p className="palette-none">{question.none}</p>}
    </>
  );
}

function ask(palette: NonNullable<What>): Question {
  switch (palette.kind) {
    case 'commands':
      return {
        label: t('Commands'),
        none: t('No command is called that.'),
        items: COMMANDS.filter((each) => each.when() && each.id !== 'view.commands').map((each) => ({
          id: each.id,
          title: t(each.title),
          note: keysOf(each).map(shownKeys).join('  '),
          more: each.id,
          choose: () => {
            shut();
            void each.perform();
            return true; // it may have opened the palette again, with another question
          },
        })),
      };
    case 'nodes':
      return {
        label: palette.pending ? t('Add a node that fits') : t('Add a node'),
        none: t('No node is called that.'),
        items: nodeItems(palette.at, palette.pending),
      };
    case 'find':
      return {
        label: t('Find a node in this workflow'),
        none: t('No node of this workflow is called that.'),
        items: getDoc().nodes.map((node) => {
          const def = shapeOf(getDefinitions(), node);
          return {
            id: keyOf(node),
            title: titleOf(node, def.title),
            note: `${node.type} · ${keyOf(node)}`,
            more: '',
            choose: () => locate(keyOf(node)),
          };
        }),
      };
    case 'connect':
      return palette.port
        ? {
            label: t('To'),
            none: t('Nothing in this workflow fits. Add a node for it first.'),
            items: endItems(palette.port),
          }
        : { label: t('Connect'), none: t('This node has no sockets.'), items: portItems(palette.node) };
  }
}

function nodeItems(at: Point | null, pending: Pending | null): Item[] {
  const doc = getDoc();
  const definitions = getDefinitions();
  const given = pending && 'from' in pending ? outputType(doc, definitions, pending.from) : null;
  const target = pending && 'to' in pending ? nodeAt(doc, pending.to.node) : undefined;
  const wanted =
    target && pending && 'to' in pending
      ? shapeOf(definitions, target).inputs.find((each) => each.name === pending.to.input)?.type
      : undefined;
  const fits = (def: NodeDef): boolean =>
    given !== null
      ? def.inputs.some((each) => typesMeet(given, each.type))
      : wanted !== undefined
        ? def.outputs.some((each) => typesMeet(each.type, wanted))
        : true;
  const exact = (def: NodeDef): number =>
    given !== null && def.inputs.some((each) => each.type === given && !each.widget) ? 0 : 1;
  return [...definitions.values()]
    .filter((each) => each.type !== PORTS_IN && each.type !== PORTS_OUT)
    .filter(fits)
    .sort((a, b) => exact(a) - exact(b) || a.title.localeCompare(b.title))
    .map((def) => ({
      id: def.type,
      title: def.title,
      note: def.category,
      more: `${def.type} ${def.outputs.map((each) => each.type).join(' ')} ${def.description}`,
      hue: def.outputs[0] ? lookOf(def.outputs[0].type)[0] : 'var(--faint)',
      choose: () => addNode(def, at, pending),
    }));
}

/** Add a node and, when it was asked for by a link, link it: one step. */
function addNode(def: NodeDef, at: Point | null, pending: Pending | null): void {
  const doc = getDoc();
  const definitions = getDefinitions();
  const draft = makeNode(doc, def, [0, 0], [270, 0]);
  const { width, height } = layoutNode(def, draft, def.isOutput);
  const taken = doc.nodes.map((node) => {
    const shape = shapeOf(definitions, node);
    const layout = layoutNode(shape, node, shape.isOutput);
    return { pos: positionOf(node), size: [layout.width, layout.height] as const };
  });
  const node = { ...draft, pos: [...(at ?? freePlace(taken, [width, height], viewCentre()))], size: [width, height] };
  const added: Change = { kind: 'add', nodes: [node], links: [] };
  const after = apply(doc, added, definitions);
  const key = keyOf(node);
  const from = pending && ('from' in pending ? pending.from : firstSource(after, definitions, pending.to, key));
  const to = pending && ('to' in pending ? pending.to : firstFit(after, definitions, pending.from, key));
  change(from && to ? { kind: 'all', changes: [added, { kind: 'link', from, to }] } : added);
  select([key]);
  focusNode(key);
}

const TRIES = 30;
/** Give a node the focus as soon as it is drawn and the palette, which gives the focus back when it goes, is gone. */
function focusNode(key: string, tries = TRIES): void {
  const found = document.querySelector<HTMLElement>(`.react-flow__node[data-id="${CSS.escape(key)}"]`);
  const isOpen = document.querySelector('.palette') !== null;
  if (found && !isOpen) found.focus();
  if ((!found || isOpen || document.activeElement !== found) && tries > 0)
    setTimeout(() => focusNode(key, tries - 1), 30);
}

function portItems(key: string): Item[] {
  const node = nodeAt(getDoc(), key);
  if (!node) return [];
  const shape = shapeOf(getDefinitions(), node);
  const ask = (port: Pending): true => {
    openPalette({ kind: 'connect', node: key, port });
    return true;
  };
  const into = linksInto(getDoc(), key);
  return [
    ...shape.outputs.map(
      (each, output): Item => ({
        id: `out:${output}`,
        title: `${each.name} →`,
        note: `output, ${each.type}`,
        more: '',
        hue: lookOf(each.type)[0],
        choose: () => ask({ from: { node: key, output } }),
      }),
    ),
    ...shape.inputs.map(
      (each): Item => ({
        id: `in:${each.name}`,
        title: `→ ${each.name || 'input'}`,
        note: `input, ${each.type}${into.has(each.name) ? ', linked' : ''}`,
        more: '',
        hue: lookOf(each.type)[0],
        choose: () => ask({ to: { node: key, input: each.name } }),
      }),
    ),
  ];
}

/** Everything in the graph that a socket can be linked to. */
function endItems(port: Pending): Item[] {
  const doc = getDoc();
  const definitions = getDefinitions();
  const join = (from: OutputRef, to: InputRef, words: string) => (): void => {
    change({ kind: 'link', from, to });
    say(t('Linked: {{words}}.', { words }));
  };
  const found: Item[] = [];
  for (const node of doc.nodes) {
    const key = keyOf(node);
    const shape = shapeOf(definitions, node);
    const title = titleOf(node, shape.title);
    if ('from' in port) {
      for (const input of shape.inputs) {
        const to = { node: key, input: input.name };
        if (!checkConnection(doc, definitions, port.from, to).ok) continue;
        const isTaken = linksInto(doc, key).has(input.name);
        found.push({
          id: `${key} ${input.name}`,
          title: `${title}: ${input.name}`,
          note: `${isTaken ? 'replaces a link · ' : ''}${key}`,
          more: node.type,
          hue: lookOf(input.type)[0],
          choose: join(port.from, to, `${title}, ${input.name}`),
        });
      }
    } else {
      shape.outputs.forEach((each, output) => {
        const from = { node: key, output };
        if (checkConnection(doc, definitions, from, port.to).ok)
          found.push({
            id: `${key} ${output}`,
            title: `${title}: ${each.name}`,
            note: key,
            more: node.type,
            hue: lookOf(each.type)[0],
            choose: join(from, port.to, `${title}, ${each.name}`),
          });
      });
    }
  }
  return found;
}
