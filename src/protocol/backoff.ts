// The delay of a failed task before its next attempt.

import type { Backoff } from './options.ts';

/**
 * Milliseconds before the next attempt: `min(cap, base · factor^(failures − 1))`, or `base` when fixed; with full jitter
 * evenly spread between 0 and that ("Exponential Backoff And Jitter", AWS Architecture Blog, 2015).
 *
 * @param failures how often the handler has failed, the last time included; at least 1
 * @param random a number from 0 (included) to 1 (excluded)
 */
export function backoffMs(backoff: Backoff, failures: number, random: () => number = Math.random): number {
  // Not infinite: 0 times infinity would be NaN.
  const growth = Math.min(Number.MAX_VALUE, backoff.type === 'fixed' ? 1 : backoff.factor ** (failures - 1));
  const delay = Math.min(backoff.capMs, backoff.baseMs * growth);
  return Math.round(backoff.jitter === 'full' ? delay * random() : delay);
}
