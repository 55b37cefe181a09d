// The fields by which a task is found: what the function `search` of its definition makes of the input. It is code of the user, so
// whatever it does becomes an error of the one call that it was asked for.

import { types } from 'node:util';
import { PopfleetError } from '../protocol/errors.ts';
import { cutText } from '../protocol/value-text.ts';
import type { SearchFields } from '../store/terms.ts';
import type { TaskDefinition } from '../tasks/define.ts';

const MOST_FIELDS = 8;
const VALUE_CHARS = 128;
const NONE: SearchFields = new Map();
/** The name of a field; it stands in queries. */
const FIELD_NAME = /^[a-z][a-z0-9_]{0,63}$/i;

/**
 * Makes the fields of a task, as texts; values that are `undefined` or `null` are left out.
 * @param input as it was sent, and valid
 * @param at JSON Pointer of the input within the caller's request, without `#`
 * @throws PopfleetError `invalid-input` that names the function; its cause is what the function has thrown
 */
export function searchFieldsOf(definition: TaskDefinition, input: unknown, at: string): SearchFields {
  if (!definition.search) return NONE;
  const refuse = (detail: string, cause?: unknown): PopfleetError => {
    const sentence = `the function \`search\` of the task type "${definition.type}" ${detail}`;
    const faults = [{ pointer: `#${at}`, detail: `cannot be searched: ${sentence}` }];
    return new PopfleetError('invalid-input', `The input #${at} cannot be searched: ${sentence}.`, {
      faults,
      cause,
    });
  };
  let given: unknown;
  try {
    given = definition.search(input);
  } catch (error) {
    throw refuse('has thrown an error', error);
  }
  return readFields(given, refuse);
}

function readFields(given: unknown, refuse: (detail: string) => PopfleetError): SearchFields {
  // Nobody waits for a promise, so its rejection must not be unhandled.
  if (types.isPromise(given)) given.catch(() => undefined);
  if (!isPlainObject(given)) throw refuse('must return a plain object such as {customer: input.customer}');
  const fields = new Map<string, string>();
  for (const [name, value] of Object.entries(given)) {
    if (value === undefined || value === null) continue;
    if (!FIELD_NAME.test(name)) throw refuse(`may only name fields that match ${FIELD_NAME.source}`);
    if (typeof value !== 'string' && typeof value !== 'number' && typeof value !== 'boolean') {
      throw refuse(`must give texts, numbers, true or false, which \`${name}\` is not`);
    }
    if (String(value).length > VALUE_CHARS) {
      throw refuse(`must give texts of at most ${VALUE_CHARS} characters, and \`${name}\` is longer`);
    }
    fields.set(name, cutText(String(value), VALUE_CHARS));
  }
  if (fields.size > MOST_FIELDS) throw refuse(`must give at most ${MOST_FIELDS} fields`);
  return fields;
}

function isPlainObject(value: unknown): value is object {
  if (typeof value !== 'object' || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || prototype === Object.prototype;
}
