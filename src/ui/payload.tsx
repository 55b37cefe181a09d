// A value of a task as text. A large one is cut: the page stays quick, and the rest is a click away.

import { useMemo, useState } from 'preact/hooks';
import { Copy } from './copy.tsx';
import { toBytes } from './format.ts';
import { saveFile } from './save-file.ts';

const SHOWN_CHARACTERS = 16_384;
/** To lay out so many takes a browser about a second; more than that is only saved. */
const MOST_CHARACTERS = 2_097_152;

function toText(value: unknown): string {
  return JSON.stringify(value, undefined, 2) ?? 'undefined';
}

function measured(value: unknown): readonly [text: string, size: string] {
  const text = toText(value);
  return [text, toBytes(new TextEncoder().encode(text).length)];
}

/** @param label what it is, such as `Input` */
export function Payload({ value, label }: { readonly value: unknown; readonly label: string }) {
  const [isWhole, setWhole] = useState(false);
  // Made once for a value: the screen is drawn again at every beat, and a value may have megabytes.
  const [text, size] = useMemo(() => measured(value), [value]);
  const isCut = text.length > SHOWN_CHARACTERS && !isWhole;
  return (
    <div class="payload">
      <header>
        <h3>{label}</h3>
        <span class="muted">{size}</span>
        <Copy text={text} />
      </header>
      <pre tabIndex={0} aria-label={label}>
        {isCut ? `${text.slice(0, SHOWN_CHARACTERS)}…` : text}
      </pre>
      {isCut ? (
        <div class="actions">
          {text.length > MOST_CHARACTERS ? undefined : (
            <button type="button" class="small" onClick={() => setWhole(true)}>
              Show all
            </button>
          )}
          <button type="button" class="small" onClick={() => saveFile(label.toLowerCase(), text)}>
            Save as a file
          </button>
        </div>
      ) : undefined}
    </div>
  );
}
