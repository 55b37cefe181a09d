// What callers may say of everything that has a record beside its tasks.

import * as v from 'valibot';
import { IDEMPOTENCY_KEY } from './names.ts';

/** Its name, and the idempotency key that finds it again. */
export function recordEntries(what: 'batch' | 'workflow') {
  return {
    name: v.optional(
      v.pipe(
        v.string(),
        v.minLength(1, 'must not be empty'),
        v.maxLength(200, 'must have at most 200 characters'),
      ),
    ),
    key: v.optional(
      v.pipe(
        v.string(),
        v.regex(IDEMPOTENCY_KEY, 'must be 1 to 255 printable ASCII characters without blanks'),
        v.description(`The same key finds the ${what} that was made with it, as long as its record is kept.`),
      ),
    ),
  };
}
