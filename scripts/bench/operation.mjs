// node scripts/bench/operation.mjs [--dead 200000] [--before 600]: how long a task waits for its worker before and while an operation
// deletes dead tasks, and how long each slice of that keeps Redis. Build first. docs/decisions/0029 has what came out.

import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { Redis } from 'ioredis';
import { openPopfleet } from '../../dist/index.js';
import { createLog } from '../../dist/log.js';
import { encodeCbor } from '../../dist/protocol/cbor.js';
import { encodeContent } from '../../dist/protocol/message.js';
import { newTaskId } from '../../dist/protocol/task-id.js';
import { openCommandConnection, whenReady } from '../../dist/store/connection.js';
import { createConsumer } from '../../dist/store/consumer.js';
import { homeOf } from '../../dist/store/keys.js';
import { createProducer } from '../../dist/store/producer.js';
import { buildScripts } from '../../dist/store/scripts.js';
import { inline } from './fixtures/tasks.mjs';
import { PAYLOAD } from './payload.mjs';
import { schedulingOf } from './machine.mjs';
import { pickUpTimes } from './pick-up.mjs';
import { end, freePort, HERE, ROOT, start, temporaryFolder, untilReady } from './processes.mjs';
import { startRedis } from './redis.mjs';
import { openStarts } from './starts.mjs';
import { percentile } from './stats.mjs';

const { values } = parseArgs({
  options: { dead: { type: 'string', default: '200000' }, before: { type: 'string', default: '600' } },
});
const DEAD = Number(values.dead);
const BEFORE = Number(values.before);
const A_CALL = 500;
/** Slices that take longer are listed by Redis, with what they took. */
const LISTED_FROM_US = 500;
const MAY_TAKE_US = 2_000;

const redis = await startRedis({ aof: false });
const url = `redis://127.0.0.1:${redis.port}`;
const observer = new Redis(redis.port, '127.0.0.1');
const file = join(temporaryFolder(), 'starts');
const env = {
  REDIS_URL: url,
  TASKS: join(HERE, 'fixtures', 'tasks.mjs'),
  LOG_LEVEL: 'silent',
  BENCH_STARTS: file,
};
const starts = openStarts(file);
const children = [];

/** Tasks that are dead, each with an error as a handler leaves it. */
async function kill(count) {
  const client = openCommandConnection({ url, log: createLog('silent', {}) }, 'bench', {
    socketTimeoutMs: 60_000,
  });
  await whenReady(client, 5_000);
  const producer = createProducer(client);
  const worker = createConsumer(client, homeOf('default'), 'by-hand', 600_000);
  const content = encodeContent(inline.type, PAYLOAD);
  const payload = encodeCbor({ name: 'Error', message: 'no', stack: 'at run (file.js:1:1)\n'.repeat(8) });
  for (let left = count; left > 0; left -= A_CALL) {
    const tasks = Array.from({ length: Math.min(A_CALL, left) }, () => ({
      id: newTaskId(),
      content,
      lane: 'normal',
    }));
    await producer.enqueue('default', tasks);
    const claimed = await worker.claim([], tasks.length);
    const outcomes = claimed.tasks.map(({ id, token }) => {
      return { id, token, contentBytes: content.length, word: 'dead', payload, delayMs: 0 };
    });
    await worker.finish(outcomes, 0);
  }
  await worker.leave();
  client.disconnect();
}

async function ask(at, method, body) {
  const headers = { 'content-type': 'application/json' };
  const response = await fetch(at, { method, ...(body && { headers, body: JSON.stringify(body) }) });
  return response.json();
}

async function startRoles() {
  const port = await freePort();
  const cli = join(ROOT, 'dist', 'cli.js');
  children.push(start(process.execPath, [cli, 'server'], { ...env, PORT: String(port) }));
  children.push(start(process.execPath, [cli, 'worker'], { ...env, CONCURRENCY: '1', THREADS: '1' }));
  const base = `http://127.0.0.1:${port}`;
  await untilReady(base);
  return base;
}

/** How long the slices took that Redis has listed, in microseconds. */
async function slowSlices() {
  // Redis 7 wants the flags of its scripts.
  const digests = new Set(
    [true, false].map((flags) =>
      createHash('sha1').update(buildScripts({ flags }).operate.lua).digest('hex'),
    ),
  );
  const entries = await observer.slowlog('GET', '100000');
  return entries.filter(([, , , [, script]]) => digests.has(String(script))).map(([, , us]) => us);
}

/** How many slices the server has asked for, and how long each took, from its metrics. */
async function sliceTimes(base) {
  const text = await (await fetch(`${base}/metrics`)).text();
  const read = (part) =>
    Number(
      new RegExp(`^popfleet_redis_command_duration_seconds_${part}\\{script="operate"\\} (\\S+)`, 'm').exec(
        text,
      )?.[1],
    );
  return { count: read('count'), meanMs: (read('sum') / read('count')) * 1_000 };
}

const shown = (samples) =>
  `p50 ${percentile(samples, 0.5).toFixed(2)} ms, p99 ${percentile(samples, 0.99).toFixed(2)} ms of ${samples.length}`;

try {
  await kill(DEAD);
  const base = await startRoles();
  const popfleet = await openPopfleet({ redisUrl: url, tasks: [inline], logLevel: 'silent' });
  const send = () => popfleet.enqueue(inline.type, PAYLOAD);
  const before = await pickUpTimes(starts, send, (count) => count < BEFORE);

  await observer.config(
    'SET',
    'slowlog-log-slower-than',
    String(LISTED_FROM_US),
    'slowlog-max-len',
    '100000',
  );
  const body = { action: 'delete', filter: { queue: 'default', state: 'dead' } };
  const { confirm } = await ask(`${base}/v1/operations`, 'POST', { ...body, dryRun: true });
  const { id } = await ask(`${base}/v1/operations`, 'POST', { ...body, confirm });
  const scheduledBefore = schedulingOf(redis.pid);
  const look = () => ask(`${base}/v1/operations/${id}`, 'GET');
  let isOver = false;
  const watching = (async () => {
    while ((await look()).state !== 'done') await sleep(100);
    isOver = true;
  })();
  const during = await pickUpTimes(starts, send, (count) => count < 1 || !isOver);
  await watching;
  const over = await look();
  const scheduled = schedulingOf(redis.pid);
  const slices = await sliceTimes(base);
  popfleet.close();

  const slow = await slowSlices();
  const ms = Date.parse(over.endedAt) - Date.parse(over.startedAt);
  const adds = over.matched === over.done && over.done === DEAD;
  console.log(`Redis ${redis.version}, ${DEAD} dead tasks`);
  console.log(`pick-up before: ${shown(before)}`);
  console.log(`pick-up during: ${shown(during)}`);
  console.log(`p99 during / before: ${(percentile(during, 0.99) / percentile(before, 0.99)).toFixed(2)}`);
  console.log(
    `the operation: ${(ms / 1_000).toFixed(1)} s, ${over.ratePerSecond} tasks/s, matched ${over.matched}, done ${over.done}`,
  );
  console.log(
    `slices over ${LISTED_FROM_US} µs: ${slow.length}, over ${MAY_TAKE_US} µs: ${slow.filter((us) => us > MAY_TAKE_US).length}, longest ${Math.max(0, ...slow)} µs`,
  );
  // Redis times its calls by the clock on the wall: a call from which its core was taken has waited for it.
  const has = (name) => scheduled[name] - scheduledBefore[name];
  console.log(
    `of ${slices.count} slices of ${(over.matched / slices.count).toFixed(0)} tasks, ${slices.meanMs.toFixed(2)} ms each with the way there and back`,
  );
  console.log(
    `Redis ran for ${has('ranSeconds').toFixed(1)} s meanwhile, and waited ${has('waitedSeconds').toFixed(1)} s for a core, which was taken from it ${has('taken')} times`,
  );
  if (!adds) throw new Error(`the numbers do not add up: ${JSON.stringify(over)}`);
} finally {
  for (const child of children) await end(child, 'SIGTERM');
  observer.disconnect();
  await redis.stop();
}
