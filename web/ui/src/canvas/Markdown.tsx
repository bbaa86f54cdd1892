/** A note: its Markdown drawn, and the text itself while it is edited. */

import { useState } from 'react';
import type { InputDef } from '../doc/definitions';
import type { Json } from '../doc/json';
import { type Inline, readMarkdown } from '../doc/markdown';
import { t } from '../words';
import { Field } from './Field';

interface NoteProps {
  readonly node: string;
  readonly input: InputDef;
  readonly value: Json;
  readonly label: string;
}

export function MarkdownField(props: NoteProps) {
  const [isEditing, setIsEditing] = useState(false);
  const text = String(props.value ?? '');
  if (isEditing || text === '')
    return (
      // biome-ignore lint/a11y/noStaticElementInteractions: it hears the focus leave its field
      <div className="note-edit" onBlur={() => setIsEditing(false)}>
        <Field {...props} isLinked={false} hasFocus={isEditing} />
      </div>
    );
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: a short way for the button
    <div className="note nodrag nowheel" onDoubleClick={() => setIsEditing(true)}>
      <button
        type="button"
        className="button small note-button"
        aria-label={t('Edit {{label}}', { label: props.label })}
        onClick={() => setIsEditing(true)}
      >
        {t('Edit')}
      </button>
      <Blocks text={text} />
    </div>
  );
}

// biome-ignore-start lint/suspicious/noArrayIndexKey: a text is drawn anew as a whole
function Blocks({ text }: { readonly text: string }) {
  return readMarkdown(text).map((each, at) => {
    switch (each.kind) {
      case 'heading':
        return (
          <p key={at} className={`note-heading level-${each.level}`}>
            <Spans parts={each.parts} />
          </p>
        );
      case 'code':
        return <pre key={at}>{each.text}</pre>;
      case 'rule':
        return <hr key={at} />;
      case 'quote':
        return (
          <blockquote key={at}>
            <Spans parts={each.parts} />
          </blockquote>
        );
      case 'list': {
        const items = each.items.map((item, place) => (
          <li key={place}>
            <Spans parts={item} />
          </li>
        ));
        return each.isOrdered ? <ol key={at}>{items}</ol> : <ul key={at}>{items}</ul>;
      }
      default:
        return (
          <p key={at}>
            <Spans parts={each.parts} />
          </p>
        );
    }
  });
}

function Spans({ parts }: { readonly parts: readonly Inline[] }) {
  return parts.map((each, at) => {
    if (each.kind === 'link')
      return (
        <a key={at} href={each.href} target="_blank" rel="noreferrer">
          {each.text}
        </a>
      );
    if (each.kind === 'strong') return <strong key={at}>{each.text}</strong>;
    if (each.kind === 'em') return <em key={at}>{each.text}</em>;
    if (each.kind === 'code') return <code key={at}>{each.text}</code>;
    return each.text;
  });
}
// biome-ignore-end lint/suspicious/noArrayIndexKey: a text is drawn anew as a whole
