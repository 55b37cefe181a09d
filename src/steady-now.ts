// The clock for what must not be older than it seems.

/** Two clocks that are apart by more than this since they were read last, in milliseconds: one has stood still, or was set. */
const APART_MS = 100;

let last: { readonly at: number; readonly wall: number } | undefined;
let suspendedMs = 0;

/**
 * Milliseconds that never go back, and that go on while the machine is suspended: `performance.now()` stands still then (on Linux), the
 * clock on the wall does not. When that is set forward, more time has passed here than in truth, and never less unless it is set back in
 * the same moment.
 */
export function steadyNow(): number {
  const at = performance.now();
  const wall = Date.now();
  const aheadMs = last ? wall - last.wall - (at - last.at) : 0;
  if (aheadMs > APART_MS) suspendedMs += aheadMs;
  last = { at, wall };
  return at + suspendedMs;
}
