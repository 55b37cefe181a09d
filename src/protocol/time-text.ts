// Times as answers show them. Another release or program may have stored any number: a time without a form in RFC 3339 is
// shown as the nearest one that has one, because an error would hide everything else in the answer.

import { LAST_INSTANT_MS } from './instant.ts';

/**
 * RFC 3339 in UTC with milliseconds. Never throws.
 * @param ms milliseconds since 1970; NaN is shown as 1970-01-01T00:00:00.000Z
 */
export function toTime(ms: number): string {
  const within = Number.isNaN(ms) ? 0 : Math.min(Math.max(ms, 0), LAST_INSTANT_MS);
  return new Date(within).toISOString();
}

/** The same for an optional time; `undefined` for NaN. */
export function toOptionalTime(ms: number | undefined): string | undefined {
  return ms === undefined || Number.isNaN(ms) ? undefined : toTime(ms);
}
