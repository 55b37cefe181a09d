// How old what a relay has read may be when it is sent: marks outlive it by far (MARK_MS in lua/sweep/marks.lua).

import { steadyNow } from '../steady-now.ts';

/** Milliseconds. */
const RELAY_WITHIN_MS = 10_000;

/**
 * @param readAt when it was asked for, by `steadyNow()`
 * @throws Error when that was too long ago: the relay begins anew
 */
export function demandInTime(readAt: number): void {
  if (steadyNow() - readAt > RELAY_WITHIN_MS) {
    throw new Error('the relay took too long, it begins anew');
  }
}
