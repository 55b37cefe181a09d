// Checks a value against a schema, and names every field that is wrong.

import * as v from 'valibot';
import { type FieldFault, PopfleetError } from './errors.ts';
import { nearest } from './nearest.ts';

/** Of a value with at most this many parts every fault is reported; of a larger one only the first, which takes less time. */
const PARTS_OF_A_SMALL_VALUE = 500;
/** So many fields of an object are named to a caller who has sent another one. */
const FEW_FIELDS = 5;

/**
 * Validates a value.
 * @param at JSON Pointer of the value within the caller's request, without `#`
 * @throws PopfleetError `invalid-input` that names every field
 */
export function validate<Output>(schema: v.GenericSchema<unknown, Output>, value: unknown, at = ''): Output {
  const first = v.safeParse(schema, value, { abortEarly: true });
  if (first.success) return first.output;
  const parsed = isSmall(value) ? v.safeParse(schema, value) : first;
  if (parsed.success) return parsed.output;
  const faults = parsed.issues.map((issue) => toFault(schema, issue, at));
  // A field that breaks several rules with the same message is reported once.
  throw invalidInput([
    ...new Map(faults.map((fault) => [`${fault.pointer} ${fault.detail}`, fault])).values(),
  ]);
}

/** A list would pass as an object without entries. */
export function noList<Input, Output>(schema: v.GenericSchema<Input, Output>) {
  const isObject = (value: unknown): boolean =>
    typeof value === 'object' && value !== null && !Array.isArray(value);
  return v.pipe(v.custom<Input>(isObject, 'must be an object'), schema);
}

export function invalidInput(faults: readonly FieldFault[]): PopfleetError {
  const fields = faults.map(({ pointer, detail }) => `${pointer} ${detail}`).join('; ');
  return new PopfleetError('invalid-input', `Correct these fields: ${fields}`, { faults });
}

/** @param path keys from the outermost on, below `at` */
export function pointerBelow(at: string, path: readonly string[]): string {
  const parts = path.map((key) => key.replaceAll('~', '~0').replaceAll('/', '~1'));
  return `#${at}${parts.map((key) => `/${encodeURIComponent(key)}`).join('')}`;
}

/** Whether a value has few parts. Accepted values are at most 64 levels deep, so recursion is safe. */
function isSmall(value: unknown): boolean {
  let left = PARTS_OF_A_SMALL_VALUE;
  const count = (part: unknown): boolean => {
    left -= 1;
    if (left < 0) return false;
    if (typeof part !== 'object' || part === null || part instanceof Uint8Array) return true;
    return Object.values(part).every(count);
  };
  return count(value);
}

function toFault(schema: unknown, issue: v.BaseIssue<unknown>, at: string): FieldFault {
  const path = (issue.path ?? []).map(({ key }) => String(key));
  return { pointer: pointerBelow(at, path), detail: detailOf(schema, issue) };
}

/** What is wrong, in words that help a caller. @param schema by which the issue was found */
export function detailOf(schema: unknown, issue: v.BaseIssue<unknown>): string {
  // The library's own messages for an unknown and for a missing key do not help a caller.
  if (issue.type === 'strict_object' && issue.expected === 'never') {
    const path = (issue.path ?? []).map(({ key }) => String(key));
    return `is an unknown field${hintFor(path.at(-1) ?? '', fieldsAt(schema, path))}`;
  }
  if (issue.received === 'undefined') return 'is missing';
  // The library's message quotes the refused value; an answer never does.
  return issue.message.replace(/(?: but received|: Received) .*$/s, '');
}

function hintFor(field: string, known: readonly string[]): string {
  const near = nearest(field, known);
  if (near !== undefined) return ` (${near}?)`;
  return known.length > 0 && known.length <= FEW_FIELDS ? ` (known: ${known.join(', ')})` : '';
}

/** The parts of a schema of valibot that lead to those within. */
interface SchemaParts {
  readonly entries?: Readonly<Record<string, unknown>>;
  readonly item?: unknown;
  readonly value?: unknown;
  readonly wrapped?: unknown;
  readonly options?: readonly unknown[];
  readonly pipe?: readonly unknown[];
}

/** The fields that the object has in which `path` ends. */
function fieldsAt(schema: unknown, path: readonly string[]): readonly string[] {
  if (typeof schema !== 'object' || schema === null) return [];
  const { entries, item, value, wrapped, options = [], pipe = [] } = schema as SchemaParts;
  const [key = '', ...below] = path;
  if (entries) return below.length === 0 ? Object.keys(entries) : fieldsAt(entries[key], below);
  if (item !== undefined || value !== undefined) return fieldsAt(item ?? value, below);
  // The first of a pipe is the pipe itself.
  return [wrapped, ...options, ...pipe.slice(1)].flatMap((one) => fieldsAt(one, path));
}
