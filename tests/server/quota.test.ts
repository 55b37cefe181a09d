// What a caller may send in a time: refused with 429 beyond it, and told before.

import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { readConfig } from '../../src/config/config.ts';
import { createKey, readApiKeys } from '../../src/server/auth/api-keys.ts';
import { createQuota } from '../../src/server/quota.ts';
import type { Server, ServerSettings } from '../../src/server/server.ts';
import { eventually } from '../support/eventually.ts';
import { type Answer, call, post } from '../support/http.ts';
import { countsOf } from '../support/moves.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { startServer } from '../support/server.ts';

const INPUT = { one: 1, two: 2 };
const TASK = { type: 'add', input: INPUT };
const tasks = (many: number): object[] => Array.from({ length: many }, () => TASK);

let redis: TestRedis;
const servers: Server[] = [];

beforeAll(async () => {
  redis = await startRedis();
});

afterEach(async () => {
  for (const server of servers.splice(0)) await server.stop();
  await redis.client.flushall();
});

afterAll(async () => {
  await redis?.stop();
});

/** A server of the test's own, with a full quota. */
async function open(enqueueQuota: ServerSettings['enqueueQuota'], settings: Partial<ServerSettings> = {}) {
  const server = await startServer(redis.url, 65_536, { enqueueQuota, ...settings });
  servers.push(server);
  await eventually(async () => (await call(`${server.url()}/readyz`)).status === 200);
  return {
    url: server.url(),
    send: (body: object = TASK, headers = {}, path = '/v1/tasks') =>
      post(`${server.url()}${path}`, body, headers),
  };
}

/** Name, rest and seconds of `RateLimit`. */
function limitOf({ headers }: Answer): { readonly rest: number; readonly seconds: number } {
  const [, rest, seconds] = /^"enqueue";r=(\d+);t=(\d+)$/.exec(headers.get('ratelimit') ?? '') ?? [];
  return { rest: Number(rest), seconds: Number(seconds) };
}

function expectExceeded(answer: Answer): void {
  expect(answer.status).toBe(429);
  expect(answer.headers.get('content-type')).toBe('application/problem+json');
  expect(answer.body).toMatchObject({ code: 'quota-exceeded', type: '/problems/quota-exceeded' });
  expect(String(answer.body['detail'])).toContain('ENQUEUE_QUOTA');
  const retryAfter = answer.headers.get('retry-after') ?? '';
  expect(retryAfter).toMatch(/^[1-9]\d*$/);
  expect(Number(retryAfter)).toBeGreaterThanOrEqual(limitOf(answer).seconds);
}

test('so many tasks are taken and told down, the next is 429 and not written, later one is taken again', async () => {
  const { send } = await open({ tasks: 5, seconds: 10 });
  const rests: number[] = [];
  for (let sent = 0; sent < 5; sent += 1) {
    const answer = sent % 2 === 0 ? await send() : await send(INPUT, {}, '/add');
    expect(answer.status).toBe(202);
    expect(answer.headers.get('ratelimit-policy')).toBe('"enqueue";q=5;w=10');
    rests.push(limitOf(answer).rest);
  }
  expect(rests).toEqual([4, 3, 2, 1, 0]);
  const refused = await send();
  expectExceeded(refused);
  expect(refused.headers.get('ratelimit-policy')).toBe('"enqueue";q=5;w=10');
  expect(limitOf(refused)).toEqual({ rest: 0, seconds: 2 });
  expect(await countsOf(redis.client)).toEqual({ accepted: 5, ready: 5 });
  // What was told holds: one comes back every two seconds.
  await new Promise((resolve) => setTimeout(resolve, 1_000 * Number(refused.headers.get('retry-after'))));
  expect((await send()).status).toBe(202);
  expectExceeded(await send());
});

test('a batch costs its tasks; one that is refused costs nothing', async () => {
  const { send } = await open({ tasks: 100, seconds: 1_000 });
  const first = await send(tasks(60), {}, '/v1/tasks/batch');
  expect([first.status, limitOf(first).rest]).toEqual([202, 40]);
  const refused = await send(tasks(41), {}, '/v1/tasks/batch');
  expectExceeded(refused);
  expect(limitOf(refused)).toEqual({ rest: 40, seconds: 10 });
  const invalid = await send([...tasks(30), { type: 'add', input: {} }], {}, '/v1/tasks/batch');
  expect(invalid.status).toBe(422);
  const second = await send(tasks(40), {}, '/v1/tasks/batch');
  expect([second.status, limitOf(second).rest]).toEqual([202, 0]);
  expect(await countsOf(redis.client)).toEqual({ accepted: 100, ready: 100 });
});

test('a batch larger than the whole quota is told so', async () => {
  const { send } = await open({ tasks: 100, seconds: 1_000 });
  const refused = await send(tasks(101), {}, '/v1/tasks/batch');
  expectExceeded(refused);
  expect(String(refused.body['detail'])).toContain('at most 100 in one request');
});

test('partial: only the valid tasks of a batch cost', async () => {
  const { send } = await open({ tasks: 100, seconds: 1_000 });
  const body = [...tasks(10), { type: 'add', input: {} }, { type: 'nope', input: {} }];
  const answer = await send(body, {}, '/v1/tasks/batch?partial=true');
  expect([answer.status, limitOf(answer).rest]).toEqual([202, 90]);
});

test('each key has a quota of its own', async () => {
  const made = [1, 2].map(() => createKey(['enqueue'], undefined));
  const { keys } = readApiKeys(made.map(({ entry }) => entry).join(','));
  const { send } = await open({ tasks: 2, seconds: 1_000 }, { apiKeys: keys });
  const headers = made.map(({ key }) => ({ authorization: `Bearer ${key}` }));
  for (const statuses of [
    [202, 202],
    [202, 202],
    [429, 429],
  ]) {
    const answers = await Promise.all(headers.map((one) => send(TASK, one)));
    expect(answers.map(({ status }) => status)).toEqual(statuses);
  }
});

test('a dry run obeys the quota; reading is free', async () => {
  const { send, url } = await open({ tasks: 1, seconds: 1_000 });
  const dry = await send(TASK, {}, '/v1/tasks?dryRun=true');
  expect([dry.status, limitOf(dry).rest]).toEqual([200, 0]);
  expectExceeded(await send(TASK, {}, '/v1/tasks?dryRun=true'));
  const list = await call(`${url}/v1/tasks`);
  expect([list.status, list.headers.get('ratelimit')]).toEqual([200, null]);
  expect(await redis.client.exists('pf:{default}:count')).toBe(0);
});

test('without a quota nothing is told of one', async () => {
  const { send } = await open(undefined);
  const answer = await send();
  expect([answer.status, answer.headers.get('ratelimit'), answer.headers.get('ratelimit-policy')]).toEqual([
    202,
    null,
    null,
  ]);
});

test('it fills up evenly, never beyond the quota', () => {
  let now = 0;
  const quota = createQuota({ tasks: 60, seconds: 60 }, () => now);
  const restAfter = (cost: number): string | undefined => quota.take('a', cost).headers['RateLimit'];
  expect(restAfter(60)).toBe('"enqueue";r=0;t=60');
  now = 10_000;
  expect(restAfter(0)).toBe('"enqueue";r=10;t=50');
  expect(quota.take('a', 11).error?.retryAfterSeconds).toBe(1);
  expect(quota.take('b', 60).error).toBeUndefined();
  now = 10_000_000;
  expect(restAfter(1)).toBe('"enqueue";r=59;t=1');
});

test('a flood from many addresses forgets only those that were idle the longest', () => {
  const quota = createQuota({ tasks: 1, seconds: 1_000 }, () => 0);
  quota.take('idle', 1);
  quota.take('busy', 1);
  for (let other = 0; other < 10_500; other += 1) {
    quota.take(`other ${other}`, 1);
    if (other % 1_000 === 0) expect(quota.take('busy', 1).error?.code).toBe('quota-exceeded');
  }
  expect(quota.take('busy', 1).error?.code).toBe('quota-exceeded');
  expect(quota.take('idle', 1).error).toBeUndefined();
});

test.each([
  '10',
  '/',
  '10/',
  '/60',
  '0/60',
  '10/0',
  '-1/60',
  '1.5/60',
  '10/60/2',
  '10 / 60',
  '1e3/60',
  '1000000000/60',
])('ENQUEUE_QUOTA=%s stops the start', (text) => {
  expect(() => readConfig({ ENQUEUE_QUOTA: text }, 1)).toThrow(/^ENQUEUE_QUOTA: must be <tasks>.<seconds>/);
});

test('what a key made before is found beyond the quota, alone and in a batch', async () => {
  const { send } = await open({ tasks: 3, seconds: 3_600 });
  const batch = [
    { ...TASK, key: 'a' },
    { ...TASK, key: 'b' },
  ];
  const [first] = [await send(batch, {}, '/v1/tasks/batch')];
  expect(first.body).toMatchObject({ accepted: 2, replayed: 0 });
  const { id } = (await send({ ...TASK, key: 'c' })).body;
  expectExceeded(await send());
  expect(await send({ ...TASK, key: 'c' })).toMatchObject({ status: 200, body: { id, replayed: true } });
  const again = await send(batch, {}, '/v1/tasks/batch');
  expect(again).toMatchObject({ status: 202, body: { accepted: 0, replayed: 2 } });
});

test('so many queues may be made; those that are there go on', async () => {
  const { send } = await open(undefined, { maxQueues: 2 });
  for (const queue of ['one', 'two', 'one']) expect((await send({ ...TASK, queue })).status).toBe(202);
  const refused = await send({ ...TASK, queue: 'three' });
  expect(refused).toMatchObject({ status: 503, body: { code: 'queue-full' } });
  expect(String(refused.body['detail'])).toContain('MAX_QUEUES');
  const batch = await send(
    [
      { ...TASK, queue: 'two' },
      { ...TASK, queue: 'three' },
    ],
    {},
    '/v1/tasks/batch',
  );
  expect(batch.status).toBe(503);
  expect(await countsOf(redis.client, 'two')).toMatchObject({ accepted: 1 });
});
