// Checks a value against a schema, and names every field that is wrong.

import * as v from 'valibot';
import { type FieldFault, PopfleetError } from './errors.ts';

/** Of a value with at most this many parts every fault is reported; of a larger one only the first, which takes less time. */
const PARTS_OF_A_SMALL_VALUE = 500;

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
  const faults = parsed.issues.map((issue) => toFault(issue, at));
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

function toFault(issue: v.BaseIssue<unknown>, at: string): FieldFault {
  const pointer = pointerBelow(
    at,
    (issue.path ?? []).map(({ key }) => String(key)),
  );
  // The library's own messages for an unknown and for a missing key do not help a caller.
  if (issue.type === 'strict_object' && issue.expected === 'never')
    return { pointer, detail: 'is an unknown field' };
  if (issue.received === 'undefined') return { pointer, detail: 'is missing' };
  // The library's message quotes the refused value; an answer never does.
  return { pointer, detail: issue.message.replace(/(?: but received|: Received) .*$/s, '') };
}
