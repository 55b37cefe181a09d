// Pick-up latency: from the call that enqueues one task to the first line of its handler in another process, with the
// worker idle before each. Both read CLOCK_MONOTONIC, which is one clock for all processes of a host.

import { closeSync, openSync, readSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { percentile } from './stats.mjs';

/** Long enough that every worker has recorded the last task and blocks in its fetch again. */
const IDLE_MS = 15;
const PATIENCE_MS = 20_000;
const WARM_UP = 20;

/**
 * @param {string} file where the handlers write the time (nanoseconds, one a line) at which they start
 * @param {() => Promise<unknown>} enqueue sends one task
 */
export async function pickUpLatency(n, file, enqueue) {
  const samples = await pickUpTimes(file, enqueue, (count) => count < n);
  return { p50Ms: percentile(samples, 0.5), p99Ms: percentile(samples, 0.99) };
}

/**
 * As above.
 * @param {(count: number) => boolean} goesOn whether a further sample is wanted when there are so many
 * @returns {Promise<number[]>} milliseconds
 */
export async function pickUpTimes(file, enqueue, goesOn) {
  writeFileSync(file, '');
  const lines = openSync(file, 'r');
  const samples = [];
  try {
    for (let sample = 0; goesOn(samples.length); sample += 1) {
      const sentAt = process.hrtime.bigint();
      await enqueue();
      const startedAt = await nextLine(lines);
      if (sample >= WARM_UP) samples.push(Number(startedAt - sentAt) / 1e6);
      await sleep(IDLE_MS);
    }
  } finally {
    closeSync(lines);
  }
  return samples;
}

async function nextLine(fd) {
  const buffer = Buffer.alloc(64);
  let text = '';
  for (const deadline = performance.now() + PATIENCE_MS; performance.now() < deadline; ) {
    text += buffer.toString('latin1', 0, readSync(fd, buffer));
    if (text.endsWith('\n')) return BigInt(text.trim());
    await sleep(1);
  }
  throw new Error(`no handler started within ${PATIENCE_MS} ms`);
}
