// What forms have in common: a line of text with its fault, a field for JSON, and their end.

import { Fault } from './fault.tsx';
import type { Problem } from './problem.ts';
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

/** @param isWrong when the server has refused the value; what is no JSON is said here */
export function JsonField({
  id,
  label,
  rows,
  text,
  setText,
  isWrong,
}: {
  readonly id: string;
  readonly label: string;
  readonly rows: number;
  readonly text: string;
  readonly setText: (text: string) => void;
  readonly isWrong: boolean;
}) {
  const fault = faultOf(text);
  const isMarked = isWrong || fault !== undefined;
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <textarea
        id={id}
        class="mono"
        rows={rows}
        spellcheck={false}
        aria-invalid={isMarked ? true : undefined}
        aria-describedby={isMarked ? `${id}-fault outcome` : undefined}
        value={text}
        onInput={(event) => setText(event.currentTarget.value)}
      />
      <p id={`${id}-fault`} class={fault === undefined ? 'muted small-text' : 'fault'}>
        {fault === undefined ? 'This is valid JSON.' : `Not yet JSON: ${fault}`}
      </p>
    </div>
  );
}

function faultOf(json: string): string | undefined {
  try {
    JSON.parse(json);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** Why it was refused, the button that sends it, and the way back. */
export function FormEnd({
  problem,
  isBusy,
  submit,
  close,
}: {
  readonly problem: Problem | undefined;
  /** While it is sent. */
  readonly isBusy: boolean;
  readonly submit: string;
  readonly close: () => void;
}) {
  return (
    <>
      <div id="outcome" role="alert">
        <ProblemList problem={problem} />
      </div>
      <div class="actions">
        <button type="submit" class="primary" aria-disabled={isBusy}>
          {submit}
        </button>
        <button type="button" onClick={close}>
          Back
        </button>
      </div>
    </>
  );
}
