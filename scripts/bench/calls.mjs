// node scripts/bench/calls.mjs --beside <folder>: what calls of the store cost in this build beside another one, in alternating
// rounds on one Redis: time in scripts, and processor time of the client. `--followed 1`: this build beside itself, with so many
// percent of the tasks followed by another task.

import { parseArgs } from 'node:util';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { openBuild } from './build-calls.mjs';
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
  [50, 100],
];
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
