/** Two pictures over each other, with a border that is moved by hand or by the arrow keys. */

import { Dialog } from '@base-ui/react/dialog';
import { useState } from 'react';
import { nameOfPicture } from '../net/pictures';
import { t } from '../words';

export default function Compare({ urls: [left, right] }: { readonly urls: readonly [string, string] }) {
  const [part, setPart] = useState(50);
  return (
    <>
      <Dialog.Title className="lightbox-title">
        {t('{{left}} and {{right}}', { left: nameOfPicture(left), right: nameOfPicture(right) })}
      </Dialog.Title>
      <div className="compare">
        <img src={right} alt={nameOfPicture(right)} />
        <img src={left} alt={nameOfPicture(left)} style={{ clipPath: `inset(0 ${100 - part}% 0 0)` }} />
        <span className="compare-line" style={{ left: `${part}%` }} />
      </div>
      <input
        type="range"
        aria-label={t('How much of the first picture is shown')}
        min={0}
        max={100}
        value={part}
        onChange={(event) => setPart(Number(event.target.value))}
      />
    </>
  );
}
