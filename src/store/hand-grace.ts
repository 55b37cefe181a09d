// How long a worker has to say that it has what it was handed. Until then it may not have heard of it; from then on the sweep gives it back.

/** The longest, in milliseconds: as long as a task waits that was handed to a worker which has just died. */
export const HAND_GRACE_MS = 1_500;

/** Of a worker with this lease, in milliseconds: the scripts reckon the same (lua/lib/offers.lua). */
export function handGraceOf(leaseMs: number): number {
  return Math.min(HAND_GRACE_MS, leaseMs / 2);
}
