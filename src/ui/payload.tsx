// A value of a task as text. A large one is cut: the page stays quick, and the rest is a click away.

import { useState } from 'preact/hooks';
import { toBytes } from './format.ts';
import { Copy } from './parts.tsx';

const SHOWN_CHARACTERS = 16_384;

function toText(value: unknown): string {
  return JSON.stringify(value, undefined, 2) ?? 'undefined';
}

/** @param label what it is, such as `Input` */
export function Payload({ value, label }: { readonly value: unknown; readonly label: string }) {
  const [isWhole, setWhole] = useState(false);
  const text = toText(value);
  const isCut = text.length > SHOWN_CHARACTERS && !isWhole;
  return (
    <div class="payload">
      <header>
        <h3>{label}</h3>
        <span class="muted">{toBytes(new TextEncoder().encode(text).length)}</span>
        <Copy text={text} />
      </header>
      <pre tabIndex={0} aria-label={label}>
        {isCut ? `${text.slice(0, SHOWN_CHARACTERS)}…` : text}
      </pre>
      {isCut ? (
        <button type="button" class="small" onClick={() => setWhole(true)}>
          Show all
        </button>
      ) : undefined}
    </div>
  );
}
