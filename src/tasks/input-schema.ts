// The schema of an input: of valibot, or of any other library that follows Standard Schema (https://standardschema.dev), such
// as zod and arktype.

import type * as v from 'valibot';
import { PopfleetError } from '../protocol/errors.ts';
import { invalidInput, pointerBelow, validate } from '../protocol/validate.ts';

/** The parts that popfleet uses of Standard Schema 1, and of Standard JSON Schema 1, which a library need not have. */
export interface InputSchema<Output = unknown, Input = unknown> {
  readonly '~standard': {
    readonly version: 1;
    readonly vendor: string;
    readonly validate: (value: unknown) => SchemaResult<Output> | Promise<SchemaResult<Output>>;
    readonly types?: { readonly input: Input; readonly output: Output } | undefined;
    readonly jsonSchema?:
      | { readonly input: (options: JsonSchemaOptions) => Record<string, unknown> }
      | undefined;
  };
}

interface JsonSchemaOptions {
  readonly target: 'draft-2020-12';
  /** Only some libraries have it. */
  readonly libraryOptions: Readonly<Record<string, unknown>>;
}

export type SchemaResult<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly SchemaIssue[] };

export interface SchemaIssue {
  readonly message: string;
  /** Keys from the outermost to the innermost. */
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}

/** @returns the fault of the schema, as the end of "the input of task … must be" */
export function faultOfSchema(schema: unknown): string | undefined {
  const isHolder = (typeof schema === 'object' && schema !== null) || typeof schema === 'function';
  const standard: unknown = isHolder && '~standard' in schema ? schema['~standard'] : undefined;
  const isSchema =
    typeof standard === 'object' &&
    standard !== null &&
    'validate' in standard &&
    typeof standard.validate === 'function' &&
    'version' in standard &&
    standard.version === 1;
  if (!isSchema) {
    const none = schema === undefined ? '; v.object({}) for a task that takes nothing' : '';
    return `a schema of valibot, zod, arktype or another library that follows Standard Schema${none}`;
  }
  // A schema of valibot has a flag for it; of others a promise shows only when they validate.
  if (isHolder && 'async' in schema && schema.async === true) return NO_AWAIT;
  return undefined;
}

const NO_AWAIT = 'a schema that needs no await';

/** @throws PopfleetError `bad-definition` when the schema would have to be awaited; whatever the schema throws */
export function checkInput<Output>(schema: InputSchema<Output>, input: unknown): SchemaResult<Output> {
  const result = schema['~standard'].validate(input);
  if (!(result instanceof Promise)) return result;
  // The promise is dropped, so its rejection must not be unhandled.
  result.catch(() => undefined);
  throw new PopfleetError('bad-definition', `The input of this task type must have ${NO_AWAIT}.`);
}

/** The keys of an issue as texts, from the outermost to the innermost. */
export function pathOf({ path = [] }: SchemaIssue): readonly string[] {
  return path.map((part) => String(typeof part === 'object' ? part.key : part));
}

/** Most faults that are reported of a schema of another library, which finds all faults of a value of any size. */
const MOST_FAULTS = 100;

/**
 * Validates the input of a task, by a schema of any library.
 * @param at JSON Pointer of the input within the caller's request, without `#`
 * @throws PopfleetError `invalid-input` that names every field; `bad-definition` when the schema would have to be awaited
 */
export function validateInput(schema: InputSchema, value: unknown, at: string): void {
  if (isOfValibot(schema)) {
    validate(schema, value, at);
    return;
  }
  const { issues } = checkInput(schema, value);
  if (issues === undefined) return;
  const faults = issues.slice(0, MOST_FAULTS).map((issue) => ({
    pointer: pointerBelow(at, pathOf(issue)),
    // Messages of arktype quote the refused value, which an answer never does.
    detail: issue.message.replace(/ \(was .*\)$/s, ''),
  }));
  throw invalidInput(faults);
}

function isOfValibot(schema: InputSchema): schema is InputSchema & v.GenericSchema {
  return '~run' in schema;
}
