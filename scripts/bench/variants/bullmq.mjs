// BullMQ. Finished jobs are removed at once: the fastest it offers, where popfleet keeps its tasks and results. Locks
// and the stalled check stay on, because without them a job of a dead worker is lost.

import { Queue } from 'bullmq';
import { scriptStats } from '../command-stats.mjs';
import { completionRate, expectExactly } from '../completions.mjs';
import { PAYLOAD } from '../payload.mjs';
import { startPeerWorker } from '../processes.mjs';
import { createSending } from '../sending.mjs';
import { createTiming } from '../timing.mjs';

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
  await sending.fill(bench, bench.n);
  await bench.observer.config('RESETSTAT');
  const worker = startWorker(bench, bench.concurrency, threads);
  const perSecond = await completionRate(bench.n, async () => bench.n - (await unfinished(bench)));
  const { calls } = await scriptStats(bench.observer);
  expectExactly(0, 'failed jobs', await bench.observer.zcard(`bull:${QUEUE}:failed`));
  // In the sandbox the handlers count in threads of their own; there the lists alone must do.
  if (!threads) expectExactly(bench.n, 'runs of the handler', await worker.ran());
  return { perSecond, scriptCalls: calls / bench.n };
}

function startWorker(bench, concurrency, threads) {
  const connection = connectionTo(bench.redis);
  return startPeerWorker('bullmq-worker.mjs', { connection, queue: QUEUE, concurrency, threads });
}

const queue = {
  open,
  send: (opened, input = PAYLOAD, delayMs = 0) => opened.add(JOB, input, { ...OPTIONS, delay: delayMs }),
  sendMany,
  close: (opened) => opened.close(),
  waiting: unfinished,
  startWorker: (bench) => startWorker(bench, 50, false).child,
};
const sending = createSending(queue);

export const scenarios = {
  ...sending.scenarios,
  ...createTiming(queue),

  'process-inline': (bench) => processTasks(bench, false),

  'process-threads': (bench) => processTasks(bench, true),
};
