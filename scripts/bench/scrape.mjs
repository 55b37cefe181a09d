// node scripts/bench/scrape.mjs [--tasks 1000000] [--queues 100]: what one reading of /metrics costs Redis, as Redis counts it
// (INFO commandstats), over a server that does nothing else, with tasks in all states: when since the reading before a task of every lane
// of every queue was claimed, when one of every queue was, and when nothing has happened.

import { parseArgs } from 'node:util';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { createLog } from '../../dist/log.js';
import { encodeContent } from '../../dist/protocol/message.js';
import { newTaskId } from '../../dist/protocol/task-id.js';
import { openCommandConnection } from '../../dist/store/connection.js';
import { createConsumer } from '../../dist/store/consumer.js';
import { homeOf, readyKey } from '../../dist/store/keys.js';
import { createProducer } from '../../dist/store/producer.js';
import { commandStats } from './command-stats.mjs';
import { end, freePort, ROOT, start, untilReady } from './processes.mjs';
import { startRedis } from './redis.mjs';
import { median } from './stats.mjs';
import { markdownTable } from './table.mjs';

const { values } = parseArgs({
  options: {
    tasks: { type: 'string', default: '1000000' },
    queues: { type: 'string', default: '100' },
    rounds: { type: 'string', default: '15' },
  },
});
const TASKS = Number(values.tasks);
const QUEUES = Number(values.queues);
const ROUNDS = Number(values.rounds);
const A_CALL = 500;
const WORKER = 'worker.example-1234-0a1b2c3d';
/** Readers within a second share one look. */
const APART_MS = 1_100;
/** So that nobody sweeps meanwhile. */
const NO_SWEEPS = { HEARTBEAT_MS: '20000000', LEASE_MS: '86400000' };

/** Of each queue most tasks wait, in all lanes; some run, and some have ended in each way. */
async function fill(client, queue, tasks) {
  const producer = createProducer(client);
  const content = encodeContent('add', { one: 1, two: 2 });
  const lanes = ['normal', 'normal', 'normal', 'high', 'low'];
  for (let sent = 0; sent < tasks; sent += A_CALL) {
    const lane = lanes[(sent / A_CALL) % lanes.length];
    const size = Math.min(A_CALL, tasks - sent);
    await producer.enqueue(
      queue,
      Array.from({ length: size }, () => ({ id: newTaskId(), content, lane, extras: undefined })),
    );
  }
  const consumer = createConsumer(client, homeOf(queue), WORKER, 86_400_000);
  const { tasks: taken } = await consumer.claim([], 100);
  const words = ['succeeded', 'succeeded', 'dead', 'cancelled', 'failed', 'snoozed', 'released'];
  const outcomes = taken.slice(0, 70).map(({ id, token }, at) => ({
    id,
    token,
    word: words[at % words.length],
    contentBytes: content.length,
    payload: Buffer.from([1]),
    delayMs: 60_000,
  }));
  await consumer.finish(outcomes, 0);
}

async function costOf(redis, url, before) {
  await sleep(APART_MS);
  await before();
  await redis.config('RESETSTAT');
  const begun = performance.now();
  const response = await fetch(`${url}/metrics`);
  const text = await response.text();
  const ms = performance.now() - begun;
  const stats = (await commandStats(redis)).filter(({ name }) => !name.startsWith('config'));
  if (!response.ok || !text.includes('popfleet_tasks{')) throw new Error(`no metrics: ${response.status}`);
  const sum = (key) => stats.reduce((total, one) => total + one[key], 0);
  return { stats, usec: sum('usec'), calls: sum('calls'), ms, bytes: text.length };
}

/** A task comes and others are claimed, so that the next one of these lanes of each queue is another one. */
async function happenEverywhere(client, lanes) {
  const producer = createProducer(client);
  const content = encodeContent('add', { one: 1, two: 2 });
  for (let at = 0; at < QUEUES; at += 1) {
    const place = homeOf(`queue-${at}`);
    await producer.enqueue(place.queue, [{ id: newTaskId(), content, lane: 'normal', extras: undefined }]);
    const popped = [];
    for (const lane of lanes) {
      const message = await client.rpopBuffer(readyKey(place, lane));
      popped.push({ lane, message });
    }
    const { tasks } = await createConsumer(client, place, WORKER, 86_400_000).claim(popped, 0);
    if (tasks.length !== lanes.length) throw new Error(`${tasks.length} tasks were claimed`);
  }
}

function print(title, costs) {
  const of = (key) => costs.map((one) => one[key]);
  const usec = of('usec');
  console.log(
    `When ${title}: ${median(of('calls'))} commands, ${median(usec)} µs of Redis (${Math.min(...usec)}–${Math.max(...usec)}), ` +
      `${(costs[0].bytes / 1_024).toFixed(0)} KB; the reader waits ${median(of('ms')).toFixed(1)} ms\n`,
  );
  const names = [...new Set(costs.flatMap(({ stats }) => stats.map(({ name }) => name)))];
  const rows = names.map((name) => {
    const all = costs.map(({ stats }) => stats.find((one) => one.name === name) ?? { calls: 0, usec: 0 });
    return [name, median(all.map(({ calls }) => calls)), median(all.map(({ usec: one }) => one))];
  });
  console.log(`${markdownTable(['command', 'calls', 'µs'], rows)}\n`);
}

const server = await startRedis({ aof: false });
const redis = new Redis(server.port, '127.0.0.1');
const port = await freePort();
const env = {
  REDIS_URL: `redis://127.0.0.1:${server.port}`,
  PORT: String(port),
  LOG_LEVEL: 'error',
  ...NO_SWEEPS,
};
try {
  const settings = { url: env.REDIS_URL, log: createLog('silent', {}) };
  const client = openCommandConnection(settings, 'bench', { socketTimeoutMs: 60_000 });
  await new Promise((resolve) => client.once('ready', resolve));
  for (let at = 0; at < QUEUES; at += 1) await fill(client, `queue-${at}`, TASKS / QUEUES);
  const api = start(process.execPath, [`${ROOT}/dist/cli.js`, 'server'], env);
  const url = `http://127.0.0.1:${port}`;
  await untilReady(url);
  await sleep(2_000);
  console.log(`One reading of /metrics with ${TASKS.toLocaleString('en')} tasks in ${QUEUES} queues\n`);
  const cases = [
    ['a task of every lane was claimed', () => happenEverywhere(client, ['high', 'normal', 'low'])],
    ['a task of every queue was claimed', () => happenEverywhere(client, ['high'])],
    ['nothing has happened', () => Promise.resolve()],
  ];
  for (const [title, before] of cases) {
    const costs = [];
    for (let round = 0; round < ROUNDS; round += 1) costs.push(await costOf(redis, url, before));
    print(title, costs);
  }
  client.disconnect();
  await end(api, 'SIGTERM');
} finally {
  redis.disconnect();
  await server.stop();
}
