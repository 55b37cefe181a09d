// The ceiling: LPUSH and BRPOP over ioredis, without any guarantee.

import { Redis } from 'ioredis';
import { usedMemory } from '../command-stats.mjs';
import { completionRate, eventually, expectExactly } from '../completions.mjs';
import { ratePerSecond, sendInBatches } from '../in-flight.mjs';
import { PAYLOAD } from '../payload.mjs';
import { startPeerWorker } from '../processes.mjs';
import { createTiming } from '../timing.mjs';

export const title = 'bare LPUSH/BRPOP (no guarantee)';

const LIST = 'bench';

const connect = ({ redis }, options) => new Redis(redis.port, '127.0.0.1', options);

const sendMany = (client, n) =>
  client.lpush(
    LIST,
    Array.from({ length: n }, () => JSON.stringify(PAYLOAD)),
  );

async function fill(bench, n) {
  const client = connect(bench);
  await sendInBatches(n, bench.batch, (size) => sendMany(client, size));
  client.disconnect();
}

const startWorker = ({ redis: { port } }, concurrency) =>
  startPeerWorker('bare-worker.mjs', { port, list: LIST, concurrency });

const timing = createTiming({
  // One write for the calls of a turn, as in `enqueue-single`, is the faster way for many calls under way, and the slower for one.
  open: (bench) => connect(bench, { enableAutoPipelining: bench.inFlight > 1 }),
  send: (client, input) => client.lpush(LIST, JSON.stringify(input)),
  sendMany,
  startWorker: (bench) => startWorker(bench, 1).child,
});

export const scenarios = {
  ...timing,

  async 'enqueue-single'(bench) {
    // One write for the calls of a turn: the faster of the two ways ioredis has.
    const client = connect(bench, { enableAutoPipelining: true });
    const send = () => client.lpush(LIST, JSON.stringify(PAYLOAD));
    await ratePerSecond(bench.warmUp, bench.inFlight, send);
    const perSecond = await ratePerSecond(bench.n, bench.inFlight, send);
    expectExactly(bench.n + bench.warmUp, 'messages waiting', await bench.observer.llen(LIST));
    return { perSecond };
  },

  async 'enqueue-bulk'(bench) {
    const client = connect(bench);
    const send = (n) => sendInBatches(n, bench.batch, (size) => sendMany(client, size));
    await send(bench.warmUp);
    const perSecond = bench.n * (await ratePerSecond(1, 1, () => send(bench.n)));
    expectExactly(bench.n + bench.warmUp, 'messages waiting', await bench.observer.llen(LIST));
    return { perSecond };
  },

  async 'process-inline'(bench) {
    await fill(bench, bench.n);
    const worker = startWorker(bench, bench.concurrency);
    const perSecond = await completionRate(bench.n, async () => bench.n - (await bench.observer.llen(LIST)));
    // The list is empty before the handlers of what was popped last have run.
    await eventually('every handler has run', async () => (await worker.ran()) >= bench.n);
    expectExactly(bench.n, 'runs of the handler', await worker.ran());
    return { perSecond };
  },

  async bytes(bench) {
    await fill(bench, bench.batch);
    const before = await usedMemory(bench.observer);
    await fill(bench, bench.n);
    return { bytes: ((await usedMemory(bench.observer)) - before) / bench.n };
  },
};
