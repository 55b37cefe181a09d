// popfleet by its public door: the library sends, `popfleet worker` and `popfleet server` run. Defaults throughout:
// leases, claim numbers, the ledger, results kept for a day.

import { join } from 'node:path';
import { openPopfleet } from '../../../dist/index.js';
import { scriptStats } from '../command-stats.mjs';
import { completionRate, expectExactly } from '../completions.mjs';
import { inline, threaded } from '../fixtures/tasks.mjs';
import { postBatches } from '../http-batch.mjs';
import { measureResults } from '../http-result.mjs';
import { sendInBatches } from '../in-flight.mjs';
import { PAYLOAD } from '../payload.mjs';
import { end, freePort, HERE, ROOT, start, untilReady } from '../processes.mjs';
import { growth } from '../resident-memory.mjs';
import { createSending } from '../sending.mjs';
import { createTiming } from '../timing.mjs';
import { missingWrk, postTasks } from '../wrk.mjs';

export const title = 'popfleet';
export const missing = ({ scenario }) => (scenario === 'http-enqueue' ? missingWrk() : undefined);

function open({ redis }) {
  return openPopfleet({ redisUrl: redis.url, tasks: [inline, threaded], logLevel: 'silent' });
}

/** Sends n tasks in one call. */
async function sendMany(popfleet, type, n, queue = 'default') {
  // As the peers, without options where none are needed.
  const options = queue === 'default' ? {} : { queue };
  const tasks = Array.from({ length: n }, () => ({ type, input: PAYLOAD, ...options }));
  const sent = await popfleet.enqueueMany(tasks);
  expectExactly(n, 'ids of a bulk call', sent.length);
}

/** Tasks that wait, sent by a connection of their own, which is closed again. */
async function fill(bench, type, n, queue = 'default') {
  const popfleet = await open(bench);
  await sendInBatches(n, bench.batch, (size) => sendMany(popfleet, type, size, queue));
  popfleet.close();
}

/** The counts that popfleet keeps of a queue, as numbers by state. */
async function counts({ observer }, queue = 'default') {
  const fields = await observer.hgetall(`pf:{${queue}}:count`);
  return Object.fromEntries(Object.entries(fields).map(([name, text]) => [name, Number(text)]));
}

/** Of many tasks that have succeeded the oldest are removed (`RETENTION_MB`): no others are, where none fails. */
async function succeeded({ observer }, queue = 'default') {
  const fields = await observer.hmget(`pf:{${queue}}:count`, 'succeeded', 'removed');
  return fields.reduce((sum, field) => sum + Number(field), 0);
}

/** One claim makes one run, and only a running task can succeed: so many successes, and nothing left, are so many runs. */
async function expectAllSucceeded(bench, n, queue = 'default') {
  const {
    accepted,
    succeeded: kept = 0,
    removed = 0,
    ready = 0,
    running = 0,
    scheduled = 0,
    dead = 0,
  } = await counts(bench, queue);
  expectExactly(n, 'tasks accepted', accepted);
  expectExactly(n, 'tasks succeeded', kept + removed);
  expectExactly(0, 'tasks in any other state', ready + running + scheduled + dead);
}

function popfleetEnv({ redis }, env) {
  return { REDIS_URL: redis.url, TASKS: join(HERE, 'fixtures', 'tasks.mjs'), LOG_LEVEL: 'silent', ...env };
}

/** @param env beside the connection and the tasks; nothing else is set */
export function startWorker(bench, env) {
  return start(process.execPath, [join(ROOT, 'dist', 'cli.js'), 'worker'], popfleetEnv(bench, env));
}

/** Handlers on the main thread need no threads: one, so that their start is not paid for. */
const inlineEnv = ({ concurrency }) => ({ CONCURRENCY: String(concurrency), THREADS: '1' });

let server;
/** Scenarios that share a process (a smoke run's) share it. */
const sharedServer = (bench) => (server ??= startServer(bench));

/** @returns its address, and its process */
async function startServer(bench) {
  const port = await freePort();
  const env = popfleetEnv(bench, { PORT: String(port) });
  const { pid } = start(process.execPath, [join(ROOT, 'dist', 'cli.js'), 'server'], env);
  const url = `http://127.0.0.1:${port}`;
  await untilReady(url);
  return { url, pid };
}

async function processTasks(bench, type, env) {
  await fill(bench, type, bench.n);
  await bench.observer.config('RESETSTAT');
  startWorker(bench, env);
  const perSecond = await completionRate(bench.n, () => succeeded(bench));
  const { calls } = await scriptStats(bench.observer);
  await expectAllSucceeded(bench, bench.n);
  return { perSecond, scriptCalls: calls / bench.n };
}

/** Script time of Redis for each of n tasks, while so many others wait behind them. */
async function scriptTime(bench, queue, waiting) {
  await fill(bench, inline.type, waiting + bench.n, queue);
  const worker = startWorker(bench, { ...inlineEnv(bench), QUEUES: queue });
  const seen = [];
  const stop = new Error('enough');
  try {
    await completionRate(
      waiting + bench.n,
      () => succeeded(bench, queue),
      async (done) => {
        if (done === 0) return;
        seen.push({ done, ...(await scriptStats(bench.observer)) });
        if (done >= bench.n) throw stop;
      },
    );
  } catch (error) {
    if (error !== stop) throw error;
  }
  await end(worker);
  const [first, last] = [seen[0], seen.at(-1)];
  return (last.usec - first.usec) / (last.done - first.done);
}

const sending = createSending({
  open,
  send: (popfleet) => popfleet.enqueue(inline.type, PAYLOAD),
  sendMany: (popfleet, n) => sendMany(popfleet, inline.type, n),
  close: (popfleet) => popfleet.close(),
  waiting: async (bench) => (await counts(bench)).accepted,
});

/** @param env of the worker */
export const timingOf = (type, env) =>
  createTiming({
    open,
    send: (popfleet, input, delayMs) => popfleet.enqueue(type, input, delayMs ? { delayMs } : {}),
    sendMany: (popfleet, n) => sendMany(popfleet, type, n),
    startWorker: (bench) => startWorker(bench, env),
  });

export const scenarios = {
  ...sending.scenarios,
  ...timingOf(inline.type, inlineEnv({ concurrency: 50 })),

  'process-inline': (bench) => processTasks(bench, inline.type, inlineEnv(bench)),

  'process-threads': (bench) =>
    processTasks(bench, threaded.type, { CONCURRENCY: String(bench.concurrency) }),

  async 'http-batch'(bench) {
    const result = await postBatches(bench, await sharedServer(bench), inline.type);
    expectExactly(bench.n + bench.warmUp, 'tasks accepted', (await counts(bench)).accepted);
    return result;
  },

  async 'http-enqueue'(bench) {
    const address = await sharedServer(bench);
    const { accepted: before = 0 } = await counts(bench);
    const { requests, ...result } = postTasks(bench, address, inline.type);
    const accepted = (await counts(bench)).accepted - before;
    if (accepted < requests)
      throw new Error(`${requests} requests were answered, ${accepted} tasks are there`);
    return result;
  },

  async 'http-result'(bench) {
    const { url } = await startServer(bench);
    startWorker(bench, { CONCURRENCY: '50', THREADS: '1' });
    return measureResults(bench, url, inline.type);
  },

  async backlog(bench) {
    const shallowUs = await scriptTime(bench, 'shallow', bench.shallow);
    const deepUs = await scriptTime(bench, 'deep', bench.deep);
    return { shallowUs, deepUs, ratio: deepUs / shallowUs };
  },

  async memory(bench) {
    await fill(bench, inline.type, bench.n);
    const worker = startWorker(bench, inlineEnv(bench));
    const { note, result } = growth(worker.pid, bench.n);
    await completionRate(bench.n, () => succeeded(bench), note);
    await expectAllSucceeded(bench, bench.n);
    return result();
  },
};
