/** Links, from the canvas library's words to the document's: whether one may be made, making it, saying why not. */

import type { Connection, Edge, FinalConnectionState } from '@xyflow/react';
import { moveLinks } from '../doc/changes';
import { checkConnection, firstFit, firstSource, type InputRef, type OutputRef } from '../doc/connect';
import { shapeOf } from '../doc/definitions';
import { nodeAt, titleOf } from '../doc/document';
import { change, getDefinitions, getDoc } from '../state/documents';
import { say } from '../state/view';
import { t } from '../words';

export const outputRef = (node: string, handle: string): OutputRef => ({
  node,
  output: Number(handle.slice('out:'.length)),
});
export const inputRef = (node: string, handle: string): InputRef => ({ node, input: handle.slice('in:'.length) });

export type Ends = { readonly from: OutputRef; readonly to: InputRef };
export function endsOf(made: Connection | Edge): Ends | null {
  if (!made.source || !made.target || !made.sourceHandle || !made.targetHandle) return null;
  return { from: outputRef(made.source, made.sourceHandle), to: inputRef(made.target, made.targetHandle) };
}

export function isValid(made: Connection | Edge): boolean {
  const ends = endsOf(made);
  return ends !== null && checkConnection(getDoc(), getDefinitions(), ends.from, ends.to).ok;
}

export function link(ends: Ends | null): void {
  if (ends && checkConnection(getDoc(), getDefinitions(), ends.from, ends.to).ok) change({ kind: 'link', ...ends });
}

/** The two ends of a link that is being drawn; either may be missing. */
export interface Drawing {
  readonly from: Socket | null;
  readonly to: Socket | null;
}
interface Socket {
  readonly nodeId: string;
  readonly id?: string | null;
  readonly type: string;
}

/** Why a link is refused; null if it is not. */
export function whyNot({ from: a, to: b }: Drawing): string | null {
  if (!a?.id || !b?.id || (a.nodeId === b.nodeId && a.id === b.id)) return null;
  if (a.type === b.type)
    return t(
      a.type === 'source'
        ? 'An output goes to an input, not to another output.'
        : 'An input takes an output, not another input.',
    );
  const [source, target] = a.type === 'source' ? [a, b] : [b, a];
  const verdict = checkConnection(
    getDoc(),
    getDefinitions(),
    outputRef(source.nodeId, source.id ?? ''),
    inputRef(target.nodeId, target.id ?? ''),
  );
  return verdict.ok ? null : verdict.reason;
}

/** Say why a link was refused. */
export function tellWhy(state: FinalConnectionState): void {
  const reason = whyNot({ from: state.fromHandle, to: state.toHandle });
  if (reason) say(reason, 'error');
}

/** Give all links of one output to another: one step, or none with the reason. */
export function moveAll(from: OutputRef, to: OutputRef): void {
  const made = moveLinks(getDoc(), getDefinitions(), from, to);
  if (made.ok) change(made.change);
  else say(made.reason, 'error');
}

/** A link dropped on a node's body goes to the first socket that takes it. */
export function dropOn(pending: { readonly from: OutputRef } | { readonly to: InputRef }, key: string): void {
  const ends =
    'from' in pending
      ? { from: pending.from, to: firstFit(getDoc(), getDefinitions(), pending.from, key) }
      : { from: firstSource(getDoc(), getDefinitions(), pending.to, key), to: pending.to };
  if (ends.from && ends.to) {
    change({ kind: 'link', from: ends.from, to: ends.to });
    return;
  }
  const node = nodeAt(getDoc(), key);
  if (node && key !== ('from' in pending ? pending.from.node : pending.to.node))
    say(
      `${titleOf(node, shapeOf(getDefinitions(), node).title)} has no ${'from' in pending ? 'input that takes this output' : 'output that this input takes'}.`,
      'error',
    );
}
