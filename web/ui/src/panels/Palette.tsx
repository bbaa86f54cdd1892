/** One way to find things by typing: commands, node types, nodes of the graph, and the two ends of a link. */

import { Dialog } from '@base-ui/react/dialog';
import Fuse from 'fuse.js';
import { useEffect, useId, useMemo, useRef, useState } from 'react';
import { viewCentre } from '../canvas/port';
import { lookOf } from '../canvas/types';
import { COMMANDS } from '../commands';
import { keysOf, shownKeys } from '../commands/command';
import { apply, type Change, makeNode, moveLinks } from '../doc/changes';
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
import { keyOf, linksInto, linksOutOf, nodeAt, type Point, positionOf, titleOf } from '../doc/document';
import { freePlace, layoutNode } from '../doc/layout';
import { change, getDefinitions, getDoc } from '../state/documents';
import { choose, getSettings } from '../state/settings';
import { locate, openPalette, type Pending, say, select, useView, type Palette as What } from '../state/view';
import { t } from '../words';

interface Item {
  readonly id: string;
  readonly title: string;
  readonly note: string;
  readonly more: string;
  readonly hue?: string;
  /** The types that it takes and gives, of a node type. */
  readonly types?: readonly string[];
  /** It cannot be chosen now: found by its name, so that nothing else is taken for it, and not offered. */
  readonly isOff?: boolean;
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
  palette.kind === 'connect' && palette.port ? `to ${JSON.stringify(palette.port)}` : palette.kind;

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
  const [type, setType] = useState<string | null>(null);
  const chips = useMemo(() => commonTypes(question.items), [question]);
  const isMeant = (each: Item): number => (each.id.toLowerCase() === words.trim().toLowerCase() ? 0 : 1);
  const found = (words ? fuse.search(words).map((each) => each.item) : question.items.filter((each) => !each.isOff))
    .filter((each) => type === null || each.types?.includes(type))
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
    if (item?.isOff) say(t('{{title}} cannot be used now.', { title: item.title }));
    else if (item && item.choose() !== true) shut();
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
      {chips.length > 0 && (
        <div className="palette-chips" role="toolbar" aria-label={t('Only nodes with')}>
          {chips.map((each) => (
            <button
              key={each}
              type="button"
              className="button small"
              aria-pressed={type === each}
              onClick={() => {
                setType(type === each ? null : each);
                setAt(0);
                field.current?.focus();
              }}
            >
              <TypeDot type={each} />
              {each}
            </button>
          ))}
        </div>
      )}
      <div id={list} role="listbox" aria-label={question.label} className="palette-list">
        {found.map((each, place) => (
          // biome-ignore lint/a11y/useKeyWithClickEvents: the field above has the keys
          <div
            key={each.id}
            id={`${list}-${place}`}
            ref={place === at ? active : null}
            role="option"
            aria-selected={place === at}
            aria-disabled={each.isOff}
            tabIndex={-1}
            onClick={() => choose(each)}
            onMouseMove={() => setAt(place)}
          >
            {each.hue && <span className="dot" style={{ background: each.hue }} />}
            <span className="palette-name">{each.title}</span>
            {each.types && (
              <span className="palette-types" aria-hidden="true">
                {each.types.slice(0, 6).map((one) => (
                  <TypeDot key={one} type={one} />
                ))}
              </span>
            )}
            <span className="palette-note">{each.note}</span>
          </div>
        ))}
      </div>
      {found.length === 0 && <p className="palette-none">{question.none}</p>}
    </>
  );
}

/** A type as its sockets look: a hue and a shape. */
function TypeDot({ type }: { readonly type: string }) {
  const [hue, shape] = lookOf(type);
  return <span className={`socket chip shape-${shape}`} title={type} style={{ '--hue': hue } as object} />;
}

const CHIPS = 8;
/** The types that most nodes take or give. */
function commonTypes(items: readonly Item[]): readonly string[] {
  const counts = new Map<string, number>();
  for (const type of items.flatMap((each) => each.types ?? [])) counts.set(type, (counts.get(type) ?? 0) + 1);
  return [...counts]
    .sort((a, b) => b[1] - a[1])
    .slice(0, CHIPS)
    .map(([type]) => type);
}

function ask(palette: NonNullable<What>): Question {
  switch (palette.kind) {
    case 'commands':
      return {
        label: t('Commands'),
        none: t('No command is called that.'),
        items: COMMANDS.filter((each) => each.id !== 'view.commands').map((each) => {
          const isOff = !each.when();
          return {
            id: each.id,
            title: t(each.title),
            isOff,
            note: isOff ? t('not now') : keysOf(each).map(shownKeys).join('  '),
            more: each.id,
            choose: () => {
              shut();
              void each.perform();
              return true; // it may have opened the palette again, with another question
            },
          };
        }),
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
    case 'links':
      return {
        label: t('Choose a link'),
        none: t('There is no such link.'),
        items: linkItems(new Set(palette.nodes)),
      };
    case 'connect':
      if (palette.port && 'from' in palette.port && palette.port.moves)
        return {
          label: t('Move all its links to'),
          none: t('No other output of this workflow fits all of its links.'),
          items: moveItems(palette.port.from),
        };
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
  const { used } = getSettings();
  const often = (def: NodeDef): number => used[def.type] ?? 0;
  return [...definitions.values()]
    .filter((each) => each.type !== PORTS_IN && each.type !== PORTS_OUT)
    .filter(fits)
    .sort((a, b) => exact(a) - exact(b) || often(b) - often(a) || a.title.localeCompare(b.title))
    .map((def) => ({
      id: def.type,
      title: def.title,
      note: def.category,
      more: `${def.type} ${def.outputs.map((each) => each.type).join(' ')} ${def.description}`,
      types: [...new Set([...def.inputs.filter((each) => !each.widget), ...def.outputs].map((each) => each.type))],
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
  const { used } = getSettings();
  choose({ used: { ...used, [def.type]: (used[def.type] ?? 0) + 1 } });
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
  const outOf = linksOutOf(getDoc(), key);
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
    ...shape.outputs.flatMap((each, output): Item[] =>
      outOf.some((link) => link.output === output)
        ? [
            {
              id: `move:${output}`,
              title: t('Move the links of {{name}}…', { name: each.name }),
              note: t('to another output'),
              more: '',
              hue: lookOf(each.type)[0],
              choose: () => ask({ from: { node: key, output }, moves: true }),
            },
          ]
        : [],
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

/** The links of these nodes, or all: the chosen one is deleted, bent and moved by commands. */
function linkItems(nodes: ReadonlySet<string>): Item[] {
  const doc = getDoc();
  const end = (key: string, port: (shape: NodeDef) => string): string => {
    const node = nodeAt(doc, key);
    if (!node) return key;
    const shape = shapeOf(getDefinitions(), node);
    return `${titleOf(node, shape.title)}: ${port(shape)}`;
  };
  return doc.links
    .filter((each) => nodes.size === 0 || nodes.has(each.from) || nodes.has(each.to))
    .map((each) => ({
      id: String(each.id),
      title: `${end(each.from, (shape) => shape.outputs[each.output]?.name ?? '')} → ${end(each.to, () => each.input)}`,
      note: `${each.from} → ${each.to}`,
      more: '',
      hue: lookOf(String(each.type ?? '*'))[0],
      choose: () => useView.setState({ selected: new Set(), selectedLinks: new Set([each.id]) }),
    }));
}

/** Every other output that all links of one can be given to. */
function moveItems(from: OutputRef): Item[] {
  const doc = getDoc();
  const definitions = getDefinitions();
  return doc.nodes.flatMap((node) => {
    const shape = shapeOf(definitions, node);
    const title = titleOf(node, shape.title);
    return shape.outputs.flatMap((each, output): Item[] => {
      const to = { node: keyOf(node), output };
      if (to.node === from.node && output === from.output) return [];
      const made = moveLinks(doc, definitions, from, to);
      if (!made.ok) return [];
      return [
        {
          id: `${to.node} ${output}`,
          title: `${title}: ${each.name}`,
          note: to.node,
          more: node.type,
          hue: lookOf(each.type)[0],
          choose: () => change(made.change),
        },
      ];
    });
  });
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
