// The library: the same tasks and options as over HTTP, without a server.

import { afterAll, beforeAll, expect, test } from 'vitest';
import { openPopfleet, type Popfleet } from '../src/index.ts';
import type { PopfleetError } from '../src/protocol/errors.ts';
import { createAdd } from '../src/tasks/add.ts';
import type { TaskDefinition } from '../src/tasks/define.ts';
import { eventually } from './support/eventually.ts';
import { endAll, type RoleProcess, startRole } from './support/fleet.ts';
import { startRedis, type TestRedis } from './support/redis.ts';

let redis: TestRedis;
let popfleet: Popfleet;
let worker: RoleProcess;

beforeAll(async () => {
  redis = await startRedis();
  const tasks = [createAdd(0) as TaskDefinition];
  popfleet = await openPopfleet({ redisUrl: redis.url, tasks, logLevel: 'silent' });
  // A worker of another queue would leave these alone: "waiting" has none.
  worker = await startRole('worker', { REDIS_URL: redis.url });
});

afterAll(async () => {
  popfleet?.close();
  await endAll([worker]);
  await redis?.stop();
});

const sum = { one: 1, two: 2 };

test('a task is sent, runs, and is looked at', async () => {
  const { id, replayed } = await popfleet.enqueue('add', sum, { priority: 'high', maxAttempts: 2 });
  expect(replayed).toBe(false);
  const task = await eventually(async () => {
    const now = await popfleet.get(id);
    return now?.state === 'succeeded' && now;
  });
  expect(task).toMatchObject({ id, type: 'add', result: 3, priority: 'high', options: { maxAttempts: 2 } });
  expect(await popfleet.cancel(id)).toBe('succeeded');
  expect(await popfleet.retry(id)).toBe('succeeded');
});

test('options mean what they mean over HTTP', async () => {
  const options = { queue: 'waiting', key: 'k', delayMs: 60_000 };
  const first = await popfleet.enqueue('add', sum, options);
  expect(await popfleet.enqueue('add', sum, options)).toEqual({ id: first.id, replayed: true });
  await expect(popfleet.enqueue('add', { one: 2, two: 2 }, options)).rejects.toMatchObject({
    code: 'idempotency-key-reused',
  });
  expect(await popfleet.get(first.id)).toMatchObject({ state: 'scheduled', queue: 'waiting' });
  expect(await popfleet.cancel(first.id)).toBe('cancelled');

  const late = await popfleet.enqueue('add', sum, { expiresAt: '2020-01-01T00:00:00Z' });
  await eventually(async () => (await popfleet.get(late.id))?.state === 'dead');
  expect(await popfleet.retry(late.id)).toBe('replayed');
});

test('many tasks are sent at once, and each is answered in its place', async () => {
  const many = Array.from({ length: 1_200 }, (_, at) => ({
    type: 'add',
    input: { one: at, two: 1 },
    queue: at % 3 === 0 ? 'many-a' : 'many-b',
    ...(at === 7 || at === 8 ? { key: 'seven', input: sum, queue: 'many-b' } : {}),
    ...(at === 9 ? { delayMs: 60_000 } : {}),
  }));
  const sent = await popfleet.enqueueMany(many);
  expect(sent).toHaveLength(1_200);
  expect(new Set(sent.map(({ id }) => id)).size).toBe(1_199);
  expect(sent[8]).toEqual({ id: sent[7]?.id, replayed: true });
  for (const at of [0, 1, 249, 250, 251, 1_199]) {
    expect(await popfleet.get(sent[at]?.id ?? '')).toMatchObject({
      input: { one: at, two: 1 },
      queue: many[at]?.queue,
    });
  }
  expect(await popfleet.get(sent[9]?.id ?? '')).toMatchObject({ state: 'scheduled' });
  const counts = await Promise.all(
    ['many-a', 'many-b'].map((queue) => redis.client.hget(`pf:{${queue}}:count`, 'accepted')),
  );
  expect(counts.reduce((total, count) => total + Number(count), 0)).toBe(1_199);
  expect(await popfleet.enqueueMany([])).toEqual([]);
});

test('one wrong task of many is named by its place, and none is sent', async () => {
  const accepted = await redis.client.hget('pf:{default}:count', 'accepted');
  const wrong = await popfleet
    .enqueueMany([
      { type: 'add', input: sum },
      { type: 'add', input: { one: 'x', two: 2 } },
    ])
    .catch((error: PopfleetError) => error);
  expect(wrong).toMatchObject({ code: 'invalid-input', faults: [{ pointer: '#/1/input/one' }] });
  expect(await redis.client.hget('pf:{default}:count', 'accepted')).toBe(accepted);
});

test('calls of one turn share a call, and each hears of its own task', async () => {
  await redis.client.config('RESETSTAT');
  const queue = 'together';
  const sent = await Promise.all(
    Array.from({ length: 100 }, (_, at) => popfleet.enqueue('add', { one: at, two: 0 }, { queue })),
  );
  const calls = /cmdstat_evalsha:calls=(\d+)/.exec(await redis.client.info('commandstats'))?.[1];
  expect(Number(calls)).toBeLessThan(20);
  for (const [at, { id }] of sent.entries()) {
    if (at % 20 === 0) expect(await popfleet.get(id)).toMatchObject({ input: { one: at, two: 0 } });
  }
});

test('what is wrong is named, and nothing is sent', async () => {
  const accepted = await redis.client.hget('pf:{default}:count', 'accepted');
  const wrong = await popfleet
    .enqueue('add', sum, { maxAttempts: 0, delayMs: -1 })
    .catch((error: PopfleetError) => error);
  expect(wrong).toMatchObject({
    code: 'invalid-input',
    faults: [{ pointer: '#/maxAttempts' }, { pointer: '#/delayMs' }],
  });
  await expect(popfleet.enqueue('add', { one: 'x', two: 2 })).rejects.toMatchObject({
    faults: [{ pointer: '#/input/one' }],
  });
  await expect(popfleet.enqueue('nope', {})).rejects.toMatchObject({ code: 'unknown-type' });
  expect(await popfleet.get('01a20000-0000-7000-8000-000000000000')).toBeUndefined();
  expect(await popfleet.cancel('01a20000-0000-7000-8000-000000000000')).toBe('unknown');
  expect(await redis.client.hget('pf:{default}:count', 'accepted')).toBe(accepted);
});

test('two definitions of one type are refused', async () => {
  const add = createAdd(0) as TaskDefinition;
  await expect(openPopfleet({ redisUrl: redis.url, tasks: [add, add] })).rejects.toThrow(/defined twice/);
});
