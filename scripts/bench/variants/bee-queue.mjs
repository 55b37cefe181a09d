// Bee-Queue without what it can do without: no events over Pub/Sub, no jobs kept in the producer, finished jobs removed
// at once. Its stalled check stays on in the worker, because without it a job of a dead worker is lost.

import Queue from 'bee-queue';
import { scriptStats } from '../command-stats.mjs';
import { completionRate, expectExactly } from '../completions.mjs';
import { PAYLOAD } from '../payload.mjs';
import { startPeerWorker } from '../processes.mjs';
import { createSending } from '../sending.mjs';
import { createTiming } from '../timing.mjs';

export const title = 'Bee-Queue';

const QUEUE = 'bench';

function settingsFor({ redis: { port } }, isWorker) {
  return {
    redis: { host: '127.0.0.1', port },
    isWorker,
    removeOnSuccess: true,
    storeJobs: false,
    sendEvents: false,
    getEvents: false,
  };
}

function open(bench) {
  return new Queue(QUEUE, settingsFor(bench, false)).ready();
}

async function sendMany(queue, n) {
  const failed = await queue.saveAll(Array.from({ length: n }, () => queue.createJob(PAYLOAD)));
  expectExactly(0, 'jobs that were not saved', failed.size);
}

/** A finished job leaves the list in the step that records it. */
async function unfinished({ observer }) {
  const [[, waiting], [, active]] = await observer
    .multi()
    .llen(`bq:${QUEUE}:waiting`)
    .llen(`bq:${QUEUE}:active`)
    .exec();
  return waiting + active;
}

function startWorker(bench, concurrency) {
  return startPeerWorker('bee-queue-worker.mjs', {
    settings: settingsFor(bench, true),
    queue: QUEUE,
    concurrency,
  });
}

const queue = {
  open,
  send: (opened, input = PAYLOAD) => opened.createJob(input).save(),
  sendMany,
  close: (opened) => opened.close(),
  waiting: unfinished,
  startWorker: (bench) => startWorker(bench, 50).child,
};
const sending = createSending(queue);

export const scenarios = {
  ...sending.scenarios,
  ...createTiming(queue),

  async 'process-inline'(bench) {
    await sending.fill(bench, bench.n);
    await bench.observer.config('RESETSTAT');
    const worker = startWorker(bench, bench.concurrency);
    const perSecond = await completionRate(bench.n, async () => bench.n - (await unfinished(bench)));
    const { calls } = await scriptStats(bench.observer);
    expectExactly(0, 'failed jobs', await bench.observer.scard(`bq:${QUEUE}:failed`));
    expectExactly(bench.n, 'runs of the handler', await worker.ran());
    return { perSecond, scriptCalls: calls / bench.n };
  },
};
