// What forms have in common: a line of text with its fault, and their end.

import type { Problem } from './api.ts';
import { Fault } from './fault.tsx';
import { ProblemList } from './problem-list.tsx';

export function TextField({
  id,
  label,
  hint,
  text,
  setText,
  fault,
}: {
  readonly id: string;
  readonly label: string;
  readonly hint: string;
  readonly text: string;
  readonly setText: (text: string) => void;
  readonly fault: string | undefined;
}) {
  return (
    <div class="field">
      <label for={id}>
        {label} <span class="muted">{hint}</span>
      </label>
      <input
        id={id}
        value={text}
        autocomplete="off"
        spellcheck={false}
        aria-invalid={fault === undefined ? undefined : true}
        aria-describedby={fault === undefined ? undefined : `${id}-fault`}
        onInput={(event) => setText(event.currentTarget.value)}
      />
      <Fault id={id} text={fault} />
    </div>
  );
}

/** Why it was refused, the button that sends it, and the way back. */
export function FormEnd({
  problem,
  submit,
  close,
}: {
  readonly problem: Problem | undefined;
  readonly submit: string;
  readonly close: () => void;
}) {
  return (
    <>
      <div role="alert">
        <ProblemList problem={problem} />
      </div>
      <div class="actions">
        <button type="submit" class="primary">
          {submit}
        </button>
        <button type="button" onClick={close}>
          Back
        </button>
      </div>
    </>
  );
}
