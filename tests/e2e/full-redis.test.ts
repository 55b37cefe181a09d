// Limits that keep a flood of tasks from filling Redis: what is refused, and that all goes on once there is room.

import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { openPopfleet } from '../../src/library.ts';
import { createAdd } from '../../src/tasks/add.ts';
import { eventually } from '../support/eventually.ts';
import { NO_SWEEPS } from '../support/fleet.ts';
import { type Answer, post } from '../support/http.ts';
import { countsOf, expectBalanced } from '../support/moves.ts';
import type { TestRedis } from '../support/redis.ts';
import { openJournalStage, openStage } from '../support/stage.ts';

const TASK = { type: 'add', input: { one: 1, two: 2 } };
const tasks = (many: number, more: object = {}): object[] =>
  Array.from({ length: many }, () => ({ ...TASK, ...more }));

/** @param variable that the answer has to name */
function expectFull(answer: Answer, code: string, variable: string): void {
  expect(answer.status).toBe(503);
  expect(answer.headers.get('content-type')).toBe('application/problem+json');
  expect(answer.body['code']).toBe(code);
  expect(String(answer.body['detail'])).toContain(variable);
  const retryAfter = answer.headers.get('retry-after') ?? '';
  expect(retryAfter).toMatch(/^\d+$/);
  expect(Number(retryAfter)).toBeGreaterThanOrEqual(9);
  expect(Number(retryAfter)).toBeLessThanOrEqual(11);
  expect(answer.body['retryAfterSeconds']).toBe(Number(retryAfter));
}

async function usedMemory(redis: TestRedis): Promise<number> {
  return Number(/^used_memory:(\d+)/m.exec(await redis.client.info('memory'))?.[1]);
}

/** Sets `maxmemory` so that this share of it is in use. What the last writes took on their way is freed bit by bit. */
async function fillTo(redis: TestRedis, percent: number): Promise<void> {
  let seen = 0;
  const used = await eventually(
    async () => {
      const before = seen;
      seen = await usedMemory(redis);
      return Math.abs(seen - before) < 100_000 && seen;
    },
    10_000,
    300,
  );
  await redis.client.config('SET', 'maxmemory', String(Math.round((used * 100) / percent)));
}

const FIXTURE = fileURLToPath(new URL('../fixtures/tasks.mjs', import.meta.url));

test('the reserve of Redis: new tasks are refused, those that run finish and are recorded, later all goes on', async (context) => {
  const { stage, redis, facts, env } = await openJournalStage(context, { CONCURRENCY: '2' });
  const server = await stage.here('server', env);
  await stage.here('worker', env);
  const url = server.url();
  // They outlast the filling of Redis, which takes some two seconds.
  const running = await facts.send(url, 2, 9_000);
  await facts.untilBegun(running);
  const waiting = await facts.send(url, 4, 20);

  await redis.client.set('junk', Buffer.alloc(40_000_000));
  await fillTo(redis, 95);
  const refused = await eventually(async () => {
    const answer = await facts.post(url, 0);
    return answer.status === 503 ? answer : undefined;
  });
  expectFull(refused, 'redis-full', 'MEMORY_RESERVE_PERCENT');
  // Redis itself would have taken it.
  await redis.client.set('probe', 'x');
  const refusedBatch = await post(`${url}/v1/tasks/batch`, tasks(10));
  expectFull(refusedBatch, 'redis-full', 'MEMORY_RESERVE_PERCENT');
  expectFull(await post(`${url}/v1/tasks?dryRun=true`, TASK), 'redis-full', 'MEMORY_RESERVE_PERCENT');

  // Now it is full to the brim.
  await fillTo(redis, 120);
  await expect(redis.client.set('probe', 'y')).rejects.toThrow('OOM');
  const before = await facts.counts();
  expect(before['running']).toBe(2);
  expectFull(await facts.post(url, 0), 'redis-full', 'MEMORY_RESERVE_PERCENT');
  expect((await facts.counts())['accepted']).toBe(before['accepted']);
  await eventually(async () => (await countsOf(redis.client))['succeeded'] === before['accepted']);

  await redis.client.del('junk');
  const later = await eventually(() => facts.send(url, 1, 0));
  const tried = Number((await facts.counts())['accepted']) - running.length - waiting.length - later.length;
  await facts.expectAllDone([...running, ...waiting, ...later], { unknown: tried });
});

test('a queue that is full: refused by every server, drained, and taken again', async (context) => {
  const stage = openStage(context);
  const redis = await stage.redis();
  const env = { ...NO_SWEEPS, REDIS_URL: redis.url, QUEUE_LIMIT: '10' };
  const [server, twin] = await Promise.all([stage.here('server', env), stage.here('server', env)]);
  const url = `${server.url()}/v1/tasks`;
  const taken = await Promise.all(
    Array.from({ length: 10 }, (_, at) => post(url, at % 2 === 0 ? TASK : { ...TASK, delayMs: 500 })),
  );
  expect(taken.map(({ status }) => status)).toEqual(Array.from({ length: 10 }, () => 202));

  for (const path of ['/v1/tasks', '/v1/tasks?dryRun=true', '/v1/tasks?wait=20']) {
    expectFull(await post(`${server.url()}${path}`, TASK), 'queue-full', 'QUEUE_LIMIT');
    expectFull(await post(`${twin.url()}${path}`, TASK), 'queue-full', 'QUEUE_LIMIT');
  }
  expectFull(await post(`${twin.url()}/add`, TASK.input), 'queue-full', 'QUEUE_LIMIT');
  // Other queues are none of it.
  expect((await post(`${url}/batch`, tasks(10, { queue: 'other' }))).status).toBe(202);
  const mixed = [...tasks(1, { queue: 'third' }), ...tasks(1, { queue: 'other' })];
  expectFull(await post(`${url}/batch`, mixed), 'queue-full', 'QUEUE_LIMIT');
  expect(await countsOf(redis.client, 'third')).toEqual({});
  expect(await countsOf(redis.client)).toEqual({ accepted: 10, ready: 5, scheduled: 5 });

  const library = await openPopfleet({ redisUrl: redis.url, tasks: [createAdd(0)] });
  expect(await library.enqueue('add', TASK.input)).toMatchObject({ replayed: false });
  library.close();

  await stage.here('worker', { REDIS_URL: redis.url });
  await eventually(async () => (await countsOf(redis.client))['succeeded'] === 11);
  for (const one of [server, twin]) {
    const answer = await eventually(async () => {
      const again = await post(`${one.url()}/v1/tasks?wait=10`, TASK);
      return again.status === 503 ? undefined : again;
    });
    expect(answer).toMatchObject({ status: 200, body: { state: 'succeeded' } });
  }
  await expectBalanced(redis.client);
});

test('a batch that fits by half is refused whole, one that is larger than the limit always', async (context) => {
  const stage = openStage(context);
  const redis = await stage.redis();
  const server = await stage.here('server', { REDIS_URL: redis.url, QUEUE_LIMIT: '100' });
  const url = `${server.url()}/v1/tasks/batch`;
  expectFull(await post(url, tasks(101)), 'queue-full', 'QUEUE_LIMIT');
  expect((await post(url, tasks(60))).status).toBe(202);
  expectFull(await post(url, tasks(60)), 'queue-full', 'QUEUE_LIMIT');
  expect((await post(url, tasks(40))).status).toBe(202);
  expect(await countsOf(redis.client)).toEqual({ accepted: 100, ready: 100 });
});

test('when Redis runs full in the middle of a batch, the answer says how much it took, and a repeat takes the rest', async (context) => {
  const stage = openStage(context);
  const redis = await stage.redis();
  const server = await stage.here('server', { REDIS_URL: redis.url, MEMORY_RESERVE_PERCENT: '0' });
  const url = `${server.url()}/v1/tasks/batch`;
  await redis.client.config('SET', 'maxmemory', String((await usedMemory(redis)) + 4_000_000));
  const batch = Array.from({ length: 9_000 }, (_, at) => ({
    ...TASK,
    key: `${'k'.repeat(200)}-${at}`,
    expiresAt: '2099-01-01T00:00:00Z',
  }));
  const first = await post(url, batch);
  expect(first.status).toBe(503);
  expect(first.headers.has('retry-after')).toBe(true);
  expect(first.body['code']).toBe('redis-full');
  const accepted = Number(first.body['accepted']);
  expect(accepted).toBeGreaterThan(0);
  expect(accepted).toBeLessThan(9_000);
  expect(String(first.body['detail'])).toContain(`${accepted} of 9000`);
  expect((await countsOf(redis.client))['accepted']).toBe(accepted);

  await redis.client.config('SET', 'maxmemory', '0');
  const again = await post(url, batch);
  expect(again).toMatchObject({
    status: 202,
    body: { accepted: 9_000 - accepted, replayed: accepted, rejected: 0 },
  });
  expect((await countsOf(redis.client))['accepted']).toBe(9_000);
});

test('limits are looked up now and then, not for each task', async (context) => {
  const stage = openStage(context);
  const redis = await stage.redis();
  const server = await stage.here('server', { REDIS_URL: redis.url, QUEUE_LIMIT: '1000000' });
  const url = `${server.url()}/v1/tasks`;
  await redis.client.config('RESETSTAT');
  const before = performance.now();
  for (let sent = 0; sent < 20; sent += 1) {
    const answers = await Promise.all(Array.from({ length: 20 }, () => post(url, TASK)));
    for (const { status } of answers) expect(status).toBe(202);
  }
  const looks = 1 + (performance.now() - before) / 200;
  const stats = await redis.client.info('commandstats');
  const calls = Number(/^cmdstat_info:calls=(\d+)/m.exec(stats)?.[1]);
  expect(calls).toBeGreaterThan(0);
  // One is this test's own.
  expect(calls).toBeLessThanOrEqual(looks + 1);
});

test('a queue whose inputs take too much: refused, drained, and taken again', async (context) => {
  const stage = openStage(context);
  const redis = await stage.redis();
  const server = await stage.here('server', {
    REDIS_URL: redis.url,
    QUEUE_LIMIT_BYTES: '1000000',
    TASKS: FIXTURE,
  });
  const heavy = { type: 'a-type-of-more-than-23-characters', input: 'x'.repeat(100_000) };
  const url = `${server.url()}/v1/tasks`;
  let taken = 0;
  const refused = await eventually(async () => {
    const answer = await post(url, heavy);
    if (answer.status === 503) return answer;
    taken += 1;
    return undefined;
  });
  expectFull(refused, 'queue-full', 'QUEUE_LIMIT_BYTES');
  // About a megabyte, as Redis estimates it.
  expect(taken).toBeGreaterThanOrEqual(7);
  expect(taken).toBeLessThanOrEqual(11);

  await stage.here('worker', { REDIS_URL: redis.url, TASKS: FIXTURE });
  await eventually(async () => (await countsOf(redis.client))['succeeded'] === taken);
  await eventually(async () => (await post(url, heavy)).status === 202);
});
