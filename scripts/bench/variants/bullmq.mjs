// BullMQ. Finished jobs are removed at once: the fastest it offers, where popfleet keeps its tasks and results. Locks
// and the stalled check stay on, because without them a job of a dead worker is lost.

import { join } from 'node:path';
import { Queue } from 'bullmq';
import { scriptStats, usedMemory } from '../command-stats.mjs';
import { completionRate, expectExactly } from '../completions.mjs';
import { ratePerSecond, sendInBatches } from '../in-flight.mjs';
import { PAYLOAD } from '../payload.mjs';
import { pickUpLatency } from '../pick-up.mjs';
import { startPeerWorker } from '../processes.mjs';

export const title = 'BullMQ';

const QUEUE = 'bench';
const JOB = 'add';
const OPTIONS = { removeOnComplete: true };

async function open({ redis }) {
  const queue = new Queue(QUEUE, { connection: connectionTo(redis) });
  await queue.waitUntilReady();
  return queue;
}

function connectionTo({ port }) {
  return { host: '127.0.0.1', port, maxRetriesPerRequest: null };
}

const sendMany = (queue, n) =>
  queue.addBulk(Array.from({ length: n }, () => ({ name: JOB, data: PAYLOAD, opts: OPTIONS })));

async function fill(bench, n) {
  const queue = await open(bench);
  await sendInBatches(n, bench.batch, (size) => sendMany(queue, size));
  await queue.close();
}

/** A finished job leaves both lists in the step that records it. */
async function unfinished({ observer }) {
  const [[, waiting], [, active]] = await observer
    .multi()
    .llen(`bull:${QUEUE}:wait`)
    .llen(`bull:${QUEUE}:active`)
    .exec();
  return waiting + active;
}

async function processTasks(bench, threads) {
  await fill(bench, bench.n);
  await bench.observer.config('RESETSTAT');
  const settings = {
    connection: connectionTo(bench.redis),
    queue: QUEUE,
    concurrency: bench.concurrency,
    threads,
  };
  const worker = startPeerWorker('bullmq-worker.mjs', settings);
  const perSecond = await completionRate(bench.n, async () => bench.n - (await unfinished(bench)));
  const { calls } = await scriptStats(bench.observer);
  expectExactly(0, 'failed jobs', await bench.observer.zcard(`bull:${QUEUE}:failed`));
  // In the sandbox the handlers count in threads of their own; there the lists alone must do.
  if (!threads) expectExactly(bench.n, 'runs of the handler', await worker.ran());
  return { perSecond, scriptCalls: calls / bench.n };
}

export const scenarios = {
  async 'enqueue-single'(bench) {
    const queue = await open(bench);
    const send = () => queue.add(JOB, PAYLOAD, OPTIONS);
    await ratePerSecond(bench.warmUp, bench.inFlight, send);
    const perSecond = await ratePerSecond(bench.n, bench.inFlight, send);
    expectExactly(bench.n + bench.warmUp, 'jobs waiting', await unfinished(bench));
    return { perSecond };
  },

  async 'enqueue-bulk'(bench) {
    const queue = await open(bench);
    const send = (n) => sendInBatches(n, bench.batch, (size) => sendMany(queue, size));
    await send(bench.warmUp);
    const perSecond = bench.n * (await ratePerSecond(1, 1, () => send(bench.n)));
    expectExactly(bench.n + bench.warmUp, 'jobs waiting', await unfinished(bench));
    return { perSecond };
  },

  'process-inline': (bench) => processTasks(bench, false),

  'process-threads': (bench) => processTasks(bench, true),

  async 'pick-up'(bench) {
    const queue = await open(bench);
    const file = join(bench.dir, 'starts');
    process.env.BENCH_STARTS = file;
    startPeerWorker('bullmq-worker.mjs', {
      connection: connectionTo(bench.redis),
      queue: QUEUE,
      concurrency: 50,
      threads: false,
    });
    return pickUpLatency(bench.n, file, () => queue.add(JOB, PAYLOAD, OPTIONS));
  },

  async bytes(bench) {
    await fill(bench, bench.batch);
    const before = await usedMemory(bench.observer);
    await fill(bench, bench.n);
    return { bytes: ((await usedMemory(bench.observer)) - before) / bench.n };
  },
};
