// Times as answers show them. What is stored may have been written by another release or another program: a time that has no
// form is shown as the nearest one that has, because an answer that fails would hide everything else in it.

import { LAST_INSTANT_MS } from './instant.ts';

/**
 * RFC 3339 in UTC with milliseconds. Never throws.
 * @param ms since 1970; what is no number is shown as 1970-01-01T00:00:00.000Z
 */
export function toTime(ms: number): string {
  const within = Number.isNaN(ms) ? 0 : Math.min(Math.max(ms, 0), LAST_INSTANT_MS);
  return new Date(within).toISOString();
}

/** The same for a time that need not be there; what is no number is not. */
export function toOptionalTime(ms: number | undefined): string | undefined {
  return ms === undefined || Number.isNaN(ms) ? undefined : toTime(ms);
}
