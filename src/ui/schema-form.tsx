// A form made of a JSON Schema: a control for each field of an object; what a control cannot show is written as JSON. Only the
// server decides what is valid.

import type { Schema } from './api-types.d.ts';
import { Fault } from './fault.tsx';

/** What is typed, by field; a field that is not set is left out. */
export type Values = ReadonlyMap<string, string>;

type Kind = 'text' | 'integer' | 'number' | 'boolean' | 'choice' | 'json';

/** A form for this schema, or none: then the whole input is written as JSON. */
export function fieldsOf(schema: Schema): readonly (readonly [name: string, schema: Schema])[] | undefined {
  if (schema.type !== 'object' || schema.properties === undefined) return undefined;
  return Object.entries(schema.properties);
}

function kindOf({ type, enum: words, const: only }: Schema): Kind {
  const choices = words ?? (only === undefined ? undefined : [only]);
  if (choices?.every((one) => typeof one === 'string')) return 'choice';
  if (type === 'string') return 'text';
  if (type === 'integer' || type === 'number' || type === 'boolean') return type;
  return 'json';
}

/** What is typed as the value it stands for; a number that is none is sent as text, and the server says so. */
function toValue(schema: Schema, text: string): unknown {
  switch (kindOf(schema)) {
    case 'integer':
    case 'number':
      return text.trim() === '' || !Number.isFinite(Number(text)) ? text : Number(text);
    case 'boolean':
      return text === 'true';
    case 'json':
      return JSON.parse(text);
    case 'text':
    case 'choice':
    default:
      return text;
  }
}

/** What an object has that the form has no control for; nothing of what the schema refuses. */
export function othersOf(schema: Schema, input: unknown): Readonly<Record<string, unknown>> {
  const isObject = typeof input === 'object' && input !== null && !Array.isArray(input);
  if (!isObject || schema.additionalProperties === false) return {};
  const shown = new Set((fieldsOf(schema) ?? []).map(([name]) => name));
  return Object.fromEntries(Object.entries(input).filter(([name]) => !shown.has(name)));
}

/** The object that the form stands for. @throws SyntaxError for a field with wrong JSON */
export function toInput(schema: Schema, values: Values): Readonly<Record<string, unknown>> {
  const entries = (fieldsOf(schema) ?? []).flatMap(([name, field]) => {
    const text = values.get(name);
    return text === undefined || (text === '' && kindOf(field) !== 'text')
      ? []
      : [[name, toValue(field, text)] as const];
  });
  return Object.fromEntries(entries);
}

/** The form that shows an object: the reverse of `toInput`. */
export function toValues(schema: Schema, input: unknown): Values {
  const given = new Map(Object.entries(typeof input === 'object' && input !== null ? input : {}));
  return new Map(
    (fieldsOf(schema) ?? []).flatMap(([name, field]) => {
      const value = given.has(name) ? given.get(name) : (field.const ?? field.default);
      if (value === undefined) return [];
      const isText = typeof value === 'string' && kindOf(field) !== 'json';
      return [[name, isText ? value : JSON.stringify(value)] as const];
    }),
  );
}

export function SchemaForm({
  schema,
  values,
  onChange,
  faultOf,
}: {
  readonly schema: Schema;
  readonly values: Values;
  readonly onChange: (values: Values) => void;
  /** What is wrong with a field, as the server says. */
  readonly faultOf: (name: string) => string | undefined;
}) {
  const set = (name: string, text: string | undefined): void => {
    const next = new Map(values);
    if (text === undefined) next.delete(name);
    else next.set(name, text);
    onChange(next);
  };
  return (
    <div class="fields">
      {(fieldsOf(schema) ?? []).map(([name, field]) => (
        <Field
          key={name}
          name={name}
          schema={field}
          isRequired={schema.required?.includes(name) ?? false}
          text={values.get(name)}
          fault={faultOf(name)}
          onInput={(text) => set(name, text)}
        />
      ))}
    </div>
  );
}

interface FieldProps {
  readonly name: string;
  readonly schema: Schema;
  readonly isRequired: boolean;
  readonly text: string | undefined;
  readonly fault: string | undefined;
  readonly onInput: (text: string | undefined) => void;
}

function Field(props: FieldProps) {
  const { name, schema, isRequired, fault } = props;
  const id = `field-${name}`;
  return (
    <div class="field">
      <label for={id}>
        {name} <span class="muted">{hintOf(schema, isRequired)}</span>
      </label>
      <Control {...props} id={id} />
      {schema.description === undefined ? undefined : <p class="muted small-text">{schema.description}</p>}
      <Fault id={id} text={fault} />
    </div>
  );
}

function hintOf(schema: Schema, isRequired: boolean): string {
  const kind = kindOf(schema);
  const { minimum, maximum, maxLength } = schema;
  const bounds = [
    minimum === undefined || minimum <= Number.MIN_SAFE_INTEGER ? '' : `from ${minimum}`,
    maximum === undefined || maximum >= Number.MAX_SAFE_INTEGER ? '' : `to ${maximum}`,
    maxLength === undefined ? '' : `up to ${maxLength} characters`,
  ];
  return [kind === 'json' ? 'JSON' : kind, ...bounds, isRequired ? '' : '(optional)']
    .filter(Boolean)
    .join(' ');
}

function Control({ id, schema, isRequired, text, fault, onInput }: FieldProps & { readonly id: string }) {
  const kind = kindOf(schema);
  const described = {
    id,
    'aria-invalid': fault === undefined ? undefined : true,
    'aria-describedby': fault === undefined ? undefined : `${id}-fault`,
    'aria-required': isRequired,
  } as const;
  if (kind === 'boolean' || kind === 'choice') {
    const words = kind === 'boolean' ? ['true', 'false'] : (schema.enum ?? [schema.const]).map(String);
    return (
      <select
        {...described}
        value={text ?? ''}
        onChange={(event) => onInput(event.currentTarget.value || undefined)}
      >
        <option value="">{isRequired ? 'choose' : 'not set'}</option>
        {words.map((word) => (
          <option key={word} value={word}>
            {word}
          </option>
        ))}
      </select>
    );
  }
  if (kind === 'json') {
    return (
      <textarea
        {...described}
        class="mono"
        rows={3}
        spellcheck={false}
        value={text ?? ''}
        onInput={(event) => onInput(event.currentTarget.value || undefined)}
      />
    );
  }
  return (
    <input
      {...described}
      value={text ?? ''}
      autocomplete="off"
      inputMode={kind === 'text' ? undefined : 'decimal'}
      onInput={(event) => onInput(event.currentTarget.value)}
    />
  );
}
