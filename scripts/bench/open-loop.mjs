// Pick-up under load. First the capacity: how many tasks a second are sent and started when there are always `inFlight` calls
// under way. Then tasks are sent at a share of it, each at its own time, whether those before it have been answered or not. A
// latency counts from the time at which its task was to be sent: when sender or queue stall, all that should have been sent
// meanwhile is late, and shows it (a loop that waits for answers would send less instead, and hide it).

import { setTimeout as sleep } from 'node:timers/promises';
import { ratePerSecond } from './in-flight.mjs';
import { expectEachOnce } from './starts.mjs';
import { percentile } from './stats.mjs';

/** Percent of the capacity. */
const LOADS = [10, 50, 80];
/** Between two loads: long enough that every task is recorded as done, and the worker idle. */
const REST_MS = 200;
/** Until the first task is to be sent. */
const LEAD_MS = 5;

/**
 * @param send (number) sends one task
 * @returns `perSecond`, the capacity, and of each load `p50At<percent>Ms` and `p99At<percent>Ms`
 */
export async function openLoop({ n, warmUp, inFlight, seconds }, starts, send) {
  await capacity(warmUp, inFlight, starts, send);
  const perSecond = await capacity(n, inFlight, starts, send);
  const result = { perSecond };
  for (const percent of LOADS) {
    await sleep(REST_MS);
    const rate = (perSecond * percent) / 100;
    const samples = await latencies(rate, Math.ceil(rate * seconds), starts, send);
    result[`p50At${percent}Ms`] = percentile(samples, 0.5);
    result[`p99At${percent}Ms`] = percentile(samples, 0.99);
  }
  return result;
}

/** @returns tasks a second, from the first call to the last start */
async function capacity(n, inFlight, starts, send) {
  const beganNs = process.hrtime.bigint();
  let sent = 0;
  await ratePerSecond(n, inFlight, () => send(sent++));
  const seen = await starts.take(n);
  expectEachOnce(n, seen);
  return (n / Number(seen.at(-1).atNs - beganNs)) * 1e9;
}

/** @returns milliseconds from the time when each task was to be sent to the first line of its handler */
async function latencies(rate, n, starts, send) {
  const everyMs = 1_000 / rate;
  const beganNs = process.hrtime.bigint() + BigInt(LEAD_MS) * 1_000_000n;
  const sinceMs = (atNs) => Number(atNs - beganNs) / 1e6;
  const calls = [];
  while (calls.length < n) {
    const nowMs = sinceMs(process.hrtime.bigint());
    while (calls.length < n && calls.length * everyMs <= nowMs) calls.push(send(calls.length));
    // A timer is up to a millisecond late; to wait without one would take a core from the queue.
    await sleep(Math.max(1, Math.floor(calls.length * everyMs - nowMs)));
  }
  await Promise.all(calls);
  const seen = await starts.take(n);
  expectEachOnce(n, seen);
  return seen.map(({ number, atNs }) => sinceMs(atNs) - number * everyMs);
}
