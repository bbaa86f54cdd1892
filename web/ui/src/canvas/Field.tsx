/** A value edited in place: one small control for each kind of widget. */

import {
  type ChangeEvent,
  type KeyboardEvent,
  type MouseEvent,
  memo,
  type PointerEvent,
  useEffect,
  useRef,
  useState,
} from 'react';
import type { InputDef } from '../doc/definitions';
import type { Json } from '../doc/json';
import { clamp, readNumber, stepped } from '../doc/numbers';
import { CONTROLS, controlOf } from '../doc/values';
import { weigh } from '../doc/weights';
import { change, endGesture, holdGesture } from '../state/documents';
import { t } from '../words';

interface FieldProps {
  readonly node: string;
  readonly input: InputDef;
  readonly value: Json;
  readonly label: string;
  readonly isLinked: boolean;
  /** Whether it takes the focus when it appears. */
  readonly hasFocus?: boolean;
}

const put = (node: string, name: string, value: Json): void =>
  change({ kind: 'value', node, name, value }, `value ${node} ${name}`);

export const Field = memo(function Field(props: FieldProps) {
  if (props.isLinked) return <span className="field-linked">{t('from a link')}</span>;
  const kind = props.input.widget;
  if (kind === 'int' || kind === 'float') return <NumberField {...props} />;
  if (kind === 'toggle') return <Toggle {...props} />;
  if (kind === 'combo') return <Choice {...props} />;
  return <Text {...props} />;
});

/** What is being typed, and the value that it stands for. */
interface Typed {
  readonly text: string;
  readonly value: Json;
}

function NumberField({ node, input, value, label }: FieldProps) {
  const [typed, setTyped] = useState<Typed | null>(null);
  // the value changed in another way (undo, another tab): what was typed is over
  if (typed && typed.value !== value) setTyped(null);
  const draft = typed?.value === value ? typed.text : null;
  const kind = input.widget === 'int' ? 'int' : 'float';
  const { min, max } = input.options;
  const step = typeof input.options.step === 'number' ? input.options.step : kind === 'int' ? 1 : 0.1;
  const isBad = draft !== null && readNumber(draft, kind) === null;
  const type = (event: ChangeEvent<HTMLInputElement>): void => {
    const read = readNumber(event.target.value, kind);
    const made = read === null ? value : clamp(read, min, max);
    setTyped({ text: event.target.value, value: made });
    if (read !== null) put(node, input.name, made);
  };
  const leave = (): void => {
    setTyped(null);
    endGesture();
  };
  const scrub = useScrub(
    (turns, from) => put(node, input.name, clamp(stepped(from, step, turns), min, max)),
    value,
    `value ${node} ${input.name}`,
  );
  const turn = (event: KeyboardEvent<HTMLInputElement>): void => {
    const turns = { ArrowUp: 1, ArrowDown: -1, PageUp: 10, PageDown: -10 }[event.key];
    if (event.key === 'Enter' && !event.ctrlKey && !event.metaKey) leave();
    if (turns === undefined) return;
    event.preventDefault();
    setTyped(null);
    put(node, input.name, clamp(stepped(value, step, turns), min, max));
  };
  return (
    <span className="number nodrag">
      <button
        type="button"
        tabIndex={-1}
        aria-hidden="true"
        className="step"
        onClick={() => put(node, input.name, clamp(stepped(value, step, -1), min, max))}
      >
        −
      </button>
      <input
        className="field"
        type="text"
        inputMode="decimal"
        role="spinbutton"
        aria-label={label}
        aria-invalid={isBad}
        aria-valuenow={Number(value)}
        aria-valuetext={String(value)}
        aria-valuemin={min === undefined ? undefined : Number(min)}
        aria-valuemax={max === undefined ? undefined : Number(max)}
        value={draft ?? String(value)}
        onChange={type}
        onBlur={leave}
        onKeyDown={turn}
        {...scrub}
        autoComplete="off"
        spellCheck={false}
      />
      <button
        type="button"
        tabIndex={-1}
        aria-hidden="true"
        className="step"
        onClick={() => put(node, input.name, clamp(stepped(value, step, 1), min, max))}
      >
        +
      </button>
    </span>
  );
}

const SLACK = 4; // pixels before a press is a drag
const PIXELS = 6; // for one step

/**
 * Dragging a number to the side changes it, as one step of undo; a press without a drag edits it. `from`: the value that
 * the drag started with.
 */
function useScrub(turn: (turns: number, from: Json) => void, value: Json, gesture: string) {
  const start = useRef<{ readonly x: number; readonly value: Json; isDrag: boolean } | null>(null);
  const end = (): void => {
    start.current = null;
    endGesture();
  };
  return {
    onMouseDown: (event: MouseEvent<HTMLInputElement>): void => {
      if (document.activeElement !== event.currentTarget) event.preventDefault(); // it gets the focus when let go
    },
    onPointerDown: (event: PointerEvent<HTMLInputElement>): void => {
      if (event.button !== 0 || event.pointerType === 'touch' || document.activeElement === event.currentTarget) return;
      event.currentTarget.setPointerCapture(event.pointerId);
      start.current = { x: event.clientX, value, isDrag: false };
    },
    onPointerMove: (event: PointerEvent<HTMLInputElement>): void => {
      const drag = start.current;
      if (!drag) return;
      const far = event.clientX - drag.x;
      if (!drag.isDrag && Math.abs(far) < SLACK) return;
      if (!drag.isDrag) holdGesture(gesture);
      drag.isDrag = true;
      turn(Math.trunc(far / PIXELS) * (event.shiftKey ? 10 : 1), drag.value);
    },
    onPointerUp: (event: PointerEvent<HTMLInputElement>): void => {
      const drag = start.current;
      if (!drag) return;
      if (!drag.isDrag) {
        event.currentTarget.focus();
        event.currentTarget.select();
      }
      end();
    },
    onPointerCancel: end,
  };
}

function Text({ node, input, value, label, hasFocus }: FieldProps) {
  const props = {
    autoFocus: hasFocus === true,
    className: 'field nodrag nowheel',
    'aria-label': label,
    value: String(value ?? ''),
    onBlur: endGesture,
    onChange: (event: ChangeEvent<HTMLInputElement | HTMLTextAreaElement>) => put(node, input.name, event.target.value),
  };
  /** Ctrl with the arrows up and down: the marked words, or the word at the cursor, count more or less. */
  const press = (event: KeyboardEvent<HTMLTextAreaElement>): void => {
    const turns = { ArrowUp: 1, ArrowDown: -1 }[event.key];
    if (!turns || !(event.ctrlKey || event.metaKey) || event.nativeEvent.isComposing) return;
    event.preventDefault();
    const { currentTarget: area } = event;
    const made = weigh({ text: area.value, start: area.selectionStart, end: area.selectionEnd }, turns);
    put(node, input.name, made.text);
    requestAnimationFrame(() => area.setSelectionRange(made.start, made.end)); // once the new text is in the field
  };
  if (input.options.multiline !== true) return <input type="text" {...props} autoComplete="off" />;
  return <textarea {...props} onKeyDown={press} placeholder={String(input.options.placeholder ?? input.name)} />;
}

function Toggle({ node, input, value, label }: FieldProps) {
  return (
    <input
      type="checkbox"
      className="toggle nodrag"
      role="switch"
      aria-label={label}
      aria-checked={value === true}
      checked={value === true}
      onChange={(event) => put(node, input.name, event.target.checked)}
    />
  );
}

function Choice({ node, input, value, label }: FieldProps) {
  const place = input.choices.indexOf(value);
  return (
    <select
      className="field nodrag"
      aria-label={label}
      aria-invalid={place < 0}
      value={place}
      onChange={(event) => put(node, input.name, input.choices[Number(event.target.value)] ?? null)}
    >
      {place < 0 && <option value={-1}>{t('{{value}} (not here)', { value: String(value) })}</option>}
      {input.choices.map((each, at) => (
        <option key={String(each)} value={at}>
          {String(each)}
        </option>
      ))}
    </select>
  );
}

const CONTROL_NAMES: Readonly<Record<string, string>> = {
  fixed: 'stays',
  increment: 'counts up',
  decrement: 'counts down',
  randomize: 'is drawn anew',
};

export function ControlField({ node, input, value, label }: Omit<FieldProps, 'isLinked'>) {
  return (
    <select
      className="field field-control nodrag"
      aria-label={label}
      value={String(value)}
      onChange={(event) => put(node, controlOf(input.name), event.target.value)}
    >
      {CONTROLS.map((each) => (
        <option key={each} value={each}>
          {t(CONTROL_NAMES[each] ?? each)}
        </option>
      ))}
      {!(CONTROLS as readonly unknown[]).includes(value) && <option value={String(value)}>{String(value)}</option>}
    </select>
  );
}

/** A title edited in place. */
export function Rename({
  title,
  label,
  done,
}: {
  readonly title: string;
  readonly label: string;
  readonly done: (title: string | null) => void;
}) {
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => {
    field.current?.select();
  }, []);
  return (
    <input
      ref={field}
      className="field nodrag"
      aria-label={label}
      defaultValue={title}
      onBlur={(event) => done(event.target.value)}
      onKeyDown={(event) => {
        event.stopPropagation();
        if (event.key === 'Enter') event.currentTarget.blur();
        if (event.key === 'Escape') done(null);
      }}
    />
  );
}
