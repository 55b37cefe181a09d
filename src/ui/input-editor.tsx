// The input of a task while it is typed: as the fields of a form, or as JSON, whichever is shown.

import type { Schema } from './api-types.d.ts';
import { JsonField } from './form-parts.tsx';
import type { Problem } from './problem.ts';
import { fieldsOf, othersOf, SchemaForm, toInput, toValues, type Values } from './schema-form.tsx';

/** What is typed. */
export interface Draft {
  readonly isJson: boolean;
  readonly values: Values;
  /** What the form does not show stays as it is. */
  readonly others: Readonly<Record<string, unknown>>;
  readonly json: string;
}

export function draftOf(schema: Schema, input: unknown): Draft {
  return {
    isJson: fieldsOf(schema) === undefined,
    values: toValues(schema, input),
    others: othersOf(schema, input),
    json: JSON.stringify(input, undefined, 2),
  };
}

/** What is typed as a value, or what is wrong with the JSON. */
export function inputOf(schema: Schema, { isJson, values, others, json }: Draft): unknown {
  try {
    return isJson ? JSON.parse(json) : { ...others, ...toInput(schema, values) };
  } catch (error) {
    return error instanceof SyntaxError ? error : new SyntaxError(String(error));
  }
}

export function malformed({ message }: SyntaxError): Problem {
  return { status: 0, code: 'malformed', title: 'This is no JSON', detail: message };
}

/** The other way to write the same; JSON that cannot be read stays as it is. */
function turned(schema: Schema, draft: Draft): Draft {
  const input = inputOf(schema, draft);
  if (input instanceof SyntaxError) return draft;
  return draft.isJson
    ? { ...draft, isJson: false, values: toValues(schema, input), others: othersOf(schema, input) }
    : { ...draft, isJson: true, json: JSON.stringify(input, undefined, 2) };
}

/** What the server says about the value at a pointer, or anywhere below it. */
export function faultAt(problem: Problem | undefined, pointer: string): string | undefined {
  return problem?.errors?.find((one) => one.pointer === pointer || one.pointer.startsWith(`${pointer}/`))
    ?.detail;
}

function pointerTo(name: string): string {
  return `#/input/${encodeURIComponent(name.replaceAll('~', '~0').replaceAll('/', '~1'))}`;
}

interface DraftProps {
  readonly schema: Schema;
  readonly draft: Draft;
  readonly setDraft: (draft: Draft) => void;
}

/** Turns between form and JSON, where there is a form. */
export function DraftSwitch({ schema, draft, setDraft }: DraftProps) {
  if (fieldsOf(schema) === undefined) return null;
  return (
    <button type="button" class="small" onClick={() => setDraft(turned(schema, draft))}>
      {draft.isJson ? 'As a form' : 'As JSON'}
    </button>
  );
}

export function InputEditor({
  schema,
  draft,
  setDraft,
  problem,
}: DraftProps & { readonly problem: Problem | undefined }) {
  if (!draft.isJson) {
    const others = Object.keys(draft.others).join(', ');
    return (
      <>
        <SchemaForm
          schema={schema}
          values={draft.values}
          onChange={(values) => setDraft({ ...draft, values })}
          faultOf={(name) => faultAt(problem, pointerTo(name))}
        />
        {others === '' ? undefined : <p class="muted small-text">Not shown here, and kept: {others}</p>}
      </>
    );
  }
  return (
    <JsonField
      id="input-json"
      label="Input as JSON"
      rows={10}
      text={draft.json}
      setText={(json) => setDraft({ ...draft, json })}
      isWrong={problem?.code === 'malformed' || faultAt(problem, '#/input') !== undefined}
    />
  );
}
