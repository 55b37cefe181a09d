// node scripts/bench/calls.mjs --beside <folder>: what calls of the store cost in this build beside another one, in alternating
// rounds on one Redis: time in scripts, and processor time of the client. `--followed 1`: this build beside itself, with so many
// percent of the tasks followed by another task.

import { parseArgs } from 'node:util';
import { pathToFileURL } from 'node:url';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { scriptStats } from './command-stats.mjs';
import { ROOT } from './processes.mjs';
import { startRedis } from './redis.mjs';
import { meanOf, median } from './stats.mjs';
import { markdownTable } from './table.mjs';

const { values } = parseArgs({
  options: {
    beside: { type: 'string' },
    rounds: { type: 'string', default: '60' },
    followed: { type: 'string', default: '0' },
  },
});
const ROUNDS = Number(values.rounds);
/** Tasks a call, and calls a round. */
const SIZES = [
  [1, 100],
  [50, 20],
];
const silent = { info() {}, warn() {}, error() {}, debug() {}, child: () => silent };

/** The store of a build, on a queue of its own. */
async function openBuild(root, port, queue, followedPercent) {
  const load = (file) => import(pathToFileURL(`${root}/dist/${file}`).href);
  const [
    { openCommandConnection },
    { createProducer },
    { createConsumer },
    { encodeContent },
    keys,
    { newTaskId },
  ] = await Promise.all(
    [
      'store/connection',
      'store/producer',
      'store/consumer',
      'protocol/message',
      'store/keys',
      'protocol/task-id',
    ].map((name) => load(`${name}.js`)),
  );
  const settings = { url: `redis://127.0.0.1:${port}`, log: silent };
  const client = openCommandConnection(settings, 'bench', { socketTimeoutMs: 10_000 });
  await new Promise((resolve) => client.once('ready', resolve));
  // Builds from before places take the name of the queue.
  const place = keys.homeOf ? keys.homeOf(queue) : queue;
  const consumer = createConsumer(client, place, 'worker.example-1234-0a1b2c3d', 60_000);
  const producer = createProducer(client);
  const content = encodeContent('add', { one: 1, two: 2 });
  const plain = { content, lane: 'normal', extras: undefined };
  const following = followedPercent > 0 && (await openFollowing(load, client, producer, content));
  let sent = 0;
  const next = () => {
    sent += 1;
    const isFollowed = following && sent % (100 / followedPercent) === 0;
    return { ...plain, id: newTaskId(), ...(isFollowed && { extras: { follower: following.follower } }) };
  };
  const success = { word: 'succeeded', contentBytes: content.length, payload: Buffer.from([1]), delayMs: 0 };
  return {
    enqueue: (size) => producer.enqueue(queue, Array.from({ length: size }, next)),
    claim: async (size) => (await consumer.claim([], size)).tasks,
    async finish(tasks) {
      const { toRelay } = await consumer.finish(
        tasks.map(({ id, token }) => ({ ...success, id, token })),
        0,
      );
      if (following && toRelay > 0) following.relay.soon(place);
    },
    settled: () => following && following.relay.settled(),
    close: () => client.disconnect(),
  };
}

async function openFollowing(load, client, producer, content) {
  const [{ createOutbox, writeFollower }, { createRelay }] = await Promise.all(
    ['store/outbox.js', 'upkeep/relay.js'].map(load),
  );
  return {
    follower: writeFollower({ queue: 'next', lane: 'normal', content }),
    relay: createRelay({ outbox: createOutbox(client), producer, log: silent }),
  };
}

async function measure(redis, calls, run) {
  await redis.config('RESETSTAT');
  const before = process.cpuUsage();
  const result = await run();
  const { user, system } = process.cpuUsage(before);
  const { usec } = await scriptStats(redis);
  return { result, script: usec / calls, client: (user + system) / calls };
}

async function roundOf(redis, build, costs) {
  for (const [size, calls] of SIZES) {
    const add = (step, cost) => {
      for (const kind of ['script', 'client']) (costs[`${step} ${size}: ${kind}`] ??= []).push(cost[kind]);
    };
    const each = (step) => Array.from({ length: calls }, step);
    const inTurn = async (steps) => {
      const results = [];
      for (const step of steps) results.push(await step());
      return results;
    };
    add('enqueue', await measure(redis, calls, () => inTurn(each(() => () => build.enqueue(size)))));
    const claimed = await measure(redis, calls, () => inTurn(each(() => () => build.claim(size))));
    add('claim', claimed);
    const finish = claimed.result.map((tasks) => () => build.finish(tasks));
    add('finish', await measure(redis, calls, () => inTurn(finish).then(build.settled)));
  }
}

const server = await startRedis({ aof: false });
const redis = new Redis(server.port, '127.0.0.1');
const followed = Number(values.followed);
const builds = [
  await openBuild(values.beside ?? ROOT, server.port, 'one', 0),
  await openBuild(ROOT, server.port, 'other', followed),
];
try {
  const costs = builds.map(() => ({}));
  for (let round = 0; round < ROUNDS; round += 1) {
    const order = round % 2 === 0 ? [0, 1] : [1, 0];
    for (const at of order) await roundOf(redis, builds[at], costs[at]);
    await sleep(0);
  }
  const [base, own] = costs;
  const rows = Object.keys(base).map((name) => {
    const { mean, from, to } = meanOf(own[name].map((cost, at) => cost / base[name][at]));
    const ratio = `${mean.toFixed(2)} (${from.toFixed(2)}–${to.toFixed(2)})`;
    return [name, median(base[name]).toFixed(1), median(own[name]).toFixed(1), ratio];
  });
  const titles = followed > 0 ? ['followed by nobody', `${followed} % followed`] : ['beside', 'this build'];
  console.log(markdownTable(['µs a call of so many tasks', ...titles, 'ratio'], rows));
} finally {
  for (const build of builds) build.close();
  redis.disconnect();
  await server.stop();
}
