// A button that copies a text.

import { useEffect, useRef, useState } from 'preact/hooks';
import { announce } from './shared.ts';

/**
 * Copies a text; where the browser does not allow that (plain http), selects it.
 * @param text a function for one that takes long to make, or is large: it is called when it is copied
 */
export function Copy({
  text,
  label = 'Copy',
}: {
  readonly text: string | (() => string);
  readonly label?: string;
}) {
  const [isDone, setDone] = useState(false);
  const [refused, setRefused] = useState<string>();
  const source = useRef<HTMLTextAreaElement>(null);
  useEffect(() => source.current?.select(), [refused]);
  const copy = async (): Promise<void> => {
    const whole = typeof text === 'string' ? text : text();
    try {
      await navigator.clipboard.writeText(whole);
      setDone(true);
      announce('Copied');
      setTimeout(() => setDone(false), 1_500);
    } catch {
      setRefused(whole);
      source.current?.select();
      announce('The text is selected: copy it with the keyboard');
    }
  };
  return (
    <>
      <button type="button" class="small" onClick={() => void copy()}>
        {isDone ? 'Copied' : label}
      </button>
      {refused === undefined ? undefined : (
        <textarea ref={source} class="hidden" tabIndex={-1} aria-label={label} readOnly value={refused} />
      )}
    </>
  );
}
