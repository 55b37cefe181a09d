// Instants as callers write them: RFC 3339 text, or milliseconds since the epoch.

import * as v from 'valibot';

const RFC_3339 =
  /^\d{4}-\d\d-\d\d[Tt ](?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{1,9})?(?:[Zz]|[+-](?:[01]\d|2[0-3]):[0-5]\d)$/;
/** The last millisecond whose year has four digits: RFC 3339 has no form for a later one. */
export const LAST_INSTANT_MS = 253_402_300_799_999;
/** Longest time from now that a call, a definition or a handler may give: a year in milliseconds. */
export const LONGEST_DELAY_MS = 365 * 86_400_000;
const EXPECTED = 'must be an RFC 3339 time such as 2026-11-23T10:00:00Z, or milliseconds since 1970';

/** Parses to milliseconds since 1970. */
export const InstantSchema = v.pipe(
  v.union([v.string(), v.number()], EXPECTED),
  v.transform((given) => (typeof given === 'number' ? given : parseTime(given))),
  v.check((ms) => isInstant(ms), EXPECTED),
);

/** Whether a value is an instant that can be stored and shown: whole milliseconds from 1970 to the end of the year 9999. */
export function isInstant(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) <= LAST_INSTANT_MS;
}

/** `NaN` when the text is no time, or has a day that does not exist. */
function parseTime(text: string): number {
  // Date.parse accepts the 31st of every month, and many more forms.
  const date = text.slice(0, 10);
  const midnight = RFC_3339.test(text) ? Date.parse(`${date}T00:00:00Z`) : Number.NaN;
  const exists = !Number.isNaN(midnight) && new Date(midnight).toISOString().startsWith(date);
  return exists ? Date.parse(text.toUpperCase().replace(' ', 'T')) : Number.NaN;
}
