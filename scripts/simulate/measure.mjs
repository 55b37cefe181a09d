// What `simulate.mjs` starts from, and what it is held against: processor time of the main thread of Redis, as Redis itself counts it.

import { Redis } from 'ioredis';
import { openBuild } from '../bench/build-calls.mjs';
import { machine } from '../bench/machine.mjs';
import { ROOT } from '../bench/processes.mjs';
import { startRedis } from '../bench/redis.mjs';
import { median } from '../bench/stats.mjs';
import { usedMemory } from '../bench/command-stats.mjs';
import { BATCHES, costOfTask, STEPS } from './model.mjs';

const ROUNDS = 7;
/** Calls a round, by the tasks of each. */
const CALLS = new Map([
  [1, 1_000],
  [10, 200],
  [50, 60],
]);
const CONNECTIONS = 200;
const BEATS = 1_000;
/** Calls on their way at once: as many as keep Redis at work, and no more. */
const AT_ONCE = 8;
/** Of the check. */
const CHECK_BATCH = 10;

/** Microseconds of its main thread so far. */
async function mainThreadUs(redis) {
  const info = await redis.info('cpu');
  const of = (name) => Number(new RegExp(`^used_cpu_${name}_main_thread:([\\d.]+)`, 'm').exec(info)?.[1]);
  return (of('user') + of('sys')) * 1e6;
}

async function usOf(redis, run) {
  const before = await mainThreadUs(redis);
  const result = await run();
  return { result, us: (await mainThreadUs(redis)) - before };
}

/** Runs steps, a few at once. */
async function inTurn(steps) {
  const results = Array.from(steps, () => undefined);
  let next = 0;
  const lane = async () => {
    for (let at = next++; at < steps.length; at = next++) results[at] = await steps[at]();
  };
  await Promise.all(Array.from({ length: AT_ONCE }, lane));
  return results;
}

/** Sends, claims and finishes so many tasks. @returns microseconds of each */
async function roundOf(redis, build, size, calls) {
  const each = (step) => Array.from({ length: calls }, () => step);
  const enqueue = await usOf(redis, () => inTurn(each(() => build.enqueue(size))));
  const claim = await usOf(redis, () => inTurn(each(() => build.claim(size))));
  const finish = await usOf(redis, () =>
    inTurn(claim.result.filter((tasks) => tasks.length > 0).map((tasks) => () => build.finish(tasks))),
  );
  return { enqueue: enqueue.us / calls, claim: claim.us / calls, finish: finish.us / calls };
}

/** @returns microseconds of a call of each step, by the number of tasks in it */
async function measureCalls(redis, build) {
  const costs = Object.fromEntries(STEPS.map((step) => [step, {}]));
  for (const size of BATCHES) {
    const rounds = [];
    // The first makes the code warm.
    for (let round = 0; round <= ROUNDS; round += 1) {
      rounds.push(await roundOf(redis, build, size, CALLS.get(size)));
    }
    for (const step of STEPS) costs[step][size] = median(rounds.slice(1).map((one) => one[step]));
  }
  return costs;
}

async function measureConnections(redis, port) {
  const before = await usedMemory(redis);
  const clients = Array.from({ length: CONNECTIONS }, () => new Redis(port, '127.0.0.1'));
  await Promise.all(clients.map((client) => client.ping()));
  for (const client of clients) client.brpop('idle', 0).catch(() => undefined);
  while (!(await redis.info('clients')).includes(`blocked_clients:${CONNECTIONS}`)) await redis.ping();
  const bytes = (await usedMemory(redis)) - before;
  for (const client of clients) client.disconnect();
  return bytes / CONNECTIONS;
}

/** @returns the costs, as `model.mjs` takes them */
export async function measureCosts() {
  const server = await startRedis({ aof: true });
  const redis = new Redis(server.port, '127.0.0.1');
  const build = await openBuild(ROOT, server.port, 'simulated', 0);
  try {
    const calls = await measureCalls(redis, build);
    const before = await usedMemory(redis);
    await roundOf(redis, build, 50, 100);
    const bytesOfTask = ((await usedMemory(redis)) - before) / (50 * 100);
    const beats = await usOf(redis, () => inTurn(Array.from({ length: BEATS }, () => build.beat)));
    const bytesOfConnection = await measureConnections(redis, server.port);
    const { cpu, cores } = machine();
    return {
      machine: `${cpu ?? 'an unknown processor'}, ${cores} cores`,
      redis: server.version,
      measuredAt: new Date().toISOString(),
      calls,
      beatUs: beats.us / BEATS,
      bytesOfTask,
      bytesOfConnection,
    };
  } finally {
    build.close();
    redis.disconnect();
    await server.stop();
  }
}

/** Runs the same tasks over 1, 2 and 3 primaries, a queue on each. @returns microseconds of the busiest by all tasks */
export async function checkPrediction(costs, tasks) {
  const rows = [];
  for (const primaries of [1, 2, 3]) {
    const predicted = costOfTask(costs, CHECK_BATCH) / primaries;
    rows.push({ primaries, predicted, measured: await busiest(primaries, tasks) });
  }
  return rows;
}

/** One after the other: each has a machine to itself, as it would have, and not a share of this one. */
async function busiest(primaries, tasks) {
  const calls = Math.ceil(tasks / primaries / CHECK_BATCH);
  const times = [];
  for (let at = 0; at < primaries; at += 1) {
    const server = await startRedis({ aof: true });
    const build = await openBuild(ROOT, server.port, `queue-${at}`, 0);
    const redis = new Redis(server.port, '127.0.0.1');
    try {
      // The first round makes the code warm.
      await roundOf(redis, build, CHECK_BATCH, 100);
      const rounds = [];
      for (let round = 0; round < ROUNDS; round += 1) {
        const { enqueue, claim, finish } = await roundOf(
          redis,
          build,
          CHECK_BATCH,
          Math.ceil(calls / ROUNDS),
        );
        rounds.push((enqueue + claim + finish) / CHECK_BATCH / primaries);
      }
      times.push(median(rounds));
    } finally {
      build.close();
      redis.disconnect();
      await server.stop();
    }
  }
  return Math.max(...times);
}
