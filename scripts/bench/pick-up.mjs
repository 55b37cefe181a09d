// Pick-up latency: from the call that enqueues one task to the first line of its handler in another process, with the
// worker idle before each. Both read CLOCK_MONOTONIC, which is one clock for all processes of a host.

import { setTimeout as sleep } from 'node:timers/promises';
import { percentile } from './stats.mjs';

/** Long enough that every worker has recorded the last task and blocks in its fetch again. */
const IDLE_MS = 15;
const WARM_UP = 20;

/**
 * @param starts those that the handlers note (starts.mjs)
 * @param {() => Promise<unknown>} enqueue sends one task
 */
export async function pickUpLatency(n, starts, enqueue) {
  const samples = await pickUpTimes(starts, enqueue, (count) => count < n);
  return { p50Ms: percentile(samples, 0.5), p99Ms: percentile(samples, 0.99) };
}

/**
 * As above.
 * @param {(count: number) => boolean} goesOn whether a further sample is wanted when there are so many
 * @returns {Promise<number[]>} milliseconds
 */
export async function pickUpTimes(starts, enqueue, goesOn) {
  const samples = [];
  for (let sample = 0; goesOn(samples.length); sample += 1) {
    const sentNs = process.hrtime.bigint();
    await enqueue();
    const [{ atNs }] = await starts.take(1);
    if (sample >= WARM_UP) samples.push(Number(atNs - sentNs) / 1e6);
    await sleep(IDLE_MS);
  }
  return samples;
}
