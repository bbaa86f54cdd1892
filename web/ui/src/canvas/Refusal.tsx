/** Why a link that is held over a socket would be refused, beside the pointer and before it is let go. */

import { type ConnectionState, useConnection, useStore } from '@xyflow/react';
import { useView } from '../state/view';
import { whyNot } from './links';

interface Held {
  readonly reason: string;
  readonly x: number;
  readonly y: number;
}

const heldOf = (state: ConnectionState): string => {
  if (!state.inProgress || state.isValid !== false) return '';
  const { pending } = useView.getState();
  if (pending && 'from' in pending && (pending.moves || state.fromHandle.type === 'target')) return ''; // with shift
  const reason = whyNot({ from: state.fromHandle, to: state.toHandle });
  return reason ? JSON.stringify({ reason, x: state.to.x, y: state.to.y }) : '';
};

export function Refusal() {
  const held = useConnection(heldOf);
  const [left, top, zoom] = useStore((state) => state.transform);
  if (!held) return null;
  const { reason, x, y } = JSON.parse(held) as Held;
  return (
    <div className="refusal" style={{ transform: `translate(${x * zoom + left + 16}px, ${y * zoom + top + 12}px)` }}>
      {reason}
    </div>
  );
}
