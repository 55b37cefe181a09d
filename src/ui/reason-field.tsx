// Why something is done, as people say it: an optional field of the dialog that asks first.

export interface ReasonFieldProps {
  /** Who reads it: `for the audit`. */
  readonly use: string;
  readonly value: string;
  readonly onChange: (reason: string) => void;
}

/** As long as the API takes reasons. */
const MOST_CHARACTERS = 200;

export function ReasonField({ use, value, onChange }: ReasonFieldProps) {
  return (
    <label class="field">
      <span>
        Reason <span class="muted">optional, {use}</span>
      </span>
      <input
        value={value}
        maxLength={MOST_CHARACTERS}
        onInput={(event) => onChange(event.currentTarget.value)}
      />
    </label>
  );
}

/** The field of a body; none for an empty text. */
export function withReason(reason: string): { readonly reason?: string } {
  return reason === '' ? {} : { reason };
}
