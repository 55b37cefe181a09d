// The scenarios that look at a worker by the starts of its handlers, and at its memory, the same for every queue.

import { join } from 'node:path';
import { openLoop } from './open-loop.mjs';
import { PAYLOAD } from './payload.mjs';
import { pickUpLatency } from './pick-up.mjs';
import { lateness } from './punctuality.mjs';
import { openStarts } from './starts.mjs';
import { workerMemory } from './worker-memory.mjs';

/**
 * @param queue how it is used: `open(bench)`, `send(opened, input, delayMs)` (at once without `delayMs`), `sendMany(opened, n)`,
 *   and `startWorker(bench)`, which starts a worker with 50 handlers at a time and returns its process
 */
export function createTiming({ open, send, sendMany, startWorker }) {
  let begun;
  /** Scenarios that share a process (a smoke run's) share what was begun. */
  const begin = (bench, workers = 1) => (begun ??= beginAnew(bench, workers));

  /** Opens the queue for sending, starts so many workers, and reads the starts that they note. */
  async function beginAnew(bench, workers) {
    // Handlers of every variant look for it (fixtures/note-start.mjs).
    process.env.BENCH_STARTS = join(bench.dir, 'starts');
    const starts = openStarts(process.env.BENCH_STARTS);
    const opened = await open(bench);
    const [worker] = Array.from({ length: workers }, () => startWorker(bench));
    return { starts, opened, worker };
  }

  return {
    async 'pick-up'(bench) {
      const { starts, opened } = await begin(bench);
      return pickUpLatency(bench.n, starts, () => send(opened, PAYLOAD));
    },

    async punctuality(bench) {
      const { starts, opened } = await begin(bench, bench.workers);
      return lateness(bench, starts, (number, delayMs) => send(opened, { ...PAYLOAD, one: number }, delayMs));
    },

    async 'open-loop'(bench) {
      const { starts, opened } = await begin(bench);
      return openLoop(bench, starts, (number) => send(opened, { ...PAYLOAD, one: number }));
    },

    async 'worker-memory'(bench) {
      const { starts, opened, worker } = await begin(bench);
      return workerMemory(bench, starts, worker.pid, (n) => sendMany(opened, n));
    },
  };
}
