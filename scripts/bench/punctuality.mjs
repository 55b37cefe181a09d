// How late delayed tasks start on a fleet that has nothing else to do. A task is due so long after the call that sent it as
// its delay says: what the call takes counts too.

import { expectEachOnce } from './starts.mjs';
import { percentile } from './stats.mjs';

const WARM_UP = 20;
/** Until the first is due: the fleet idles by then, and all others have been sent. */
const LEAD_MS = 1_000;
const SENDING_MS = 5;

/**
 * @param send (number, delayMs) sends one task, at once without `delayMs`
 * @returns percentiles of the milliseconds between the time when a task was due and the first line of its handler
 */
export async function lateness({ n, everyMs }, starts, send) {
  for (let number = 0; number < WARM_UP; number += 1) {
    await send(number);
    await starts.take(1);
  }
  const firstMs = performance.now() + LEAD_MS + n * SENDING_MS;
  const dueNs = [];
  for (let number = 0; number < n; number += 1) {
    const delayMs = Math.round(firstMs + number * everyMs - performance.now());
    dueNs.push(process.hrtime.bigint() + BigInt(delayMs) * 1_000_000n);
    await send(number, delayMs);
  }
  const seen = await starts.take(n);
  expectEachOnce(n, seen);
  const lateMs = seen.map(({ number, atNs }) => Number(atNs - dueNs[number]) / 1e6);
  return { p50Ms: percentile(lateMs, 0.5), p99Ms: percentile(lateMs, 0.99) };
}
