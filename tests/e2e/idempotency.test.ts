// The same key finds the same task: under concurrency, over servers, and when a reply gets lost.

import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { type Answer, call, post } from '../support/http.ts';
import { countsOf, expectBalanced, redisNow } from '../support/moves.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { type RoleHere, startHere, stopHere } from '../support/start-here.ts';
import { openStage } from '../support/stage.ts';

const TASKS = fileURLToPath(new URL('../fixtures/with-defaults.mjs', import.meta.url));
const DAY_MS = 86_400_000;

let redis: TestRedis;
let servers: RoleHere[];

beforeAll(async () => {
  redis = await startRedis();
  const env = { REDIS_URL: redis.url, TASKS };
  servers = await Promise.all([startHere('server', env), startHere('server', env)]);
});

afterAll(async () => {
  await stopHere(...(servers ?? []));
  await redis?.stop();
});

// Each test has a queue of its own.
let queues = 0;
const newQueue = (): string => `keys-${(queues += 1)}`;

function send(body: object, server = 0, headers: Record<string, string> = {}): Promise<Answer> {
  return post(
    `${servers[server]?.url()}/v1/tasks`,
    { type: 'add', input: { one: 1, two: 2 }, ...body },
    headers,
  );
}

/** Everything that Redis knows of a queue, but for its clock and the samples of its counts. */
async function everything(queue: string): Promise<unknown> {
  const keys = (await redis.client.keys(`pf:{${queue}}:*`)).filter(
    (key) => !/:(?:queue|series|series-minutes)$/.test(key),
  );
  return Promise.all(keys.toSorted().map(async (key) => [key, await redis.client.dumpBuffer(key)]));
}

test('fifty requests at the same time with the same key, over two servers: one task', async () => {
  const queue = newQueue();
  const key = 'order-4711/pay';
  const bodies = [
    { type: 'add', input: { one: 1, two: 2 }, queue, key, delayMs: 60_000 },
    { key, delayMs: 60_000, queue, input: { two: 2, one: 1 }, type: 'add' },
  ];
  const answers = await Promise.all(
    Array.from({ length: 50 }, (_, at) =>
      post(`${servers[at % 2]?.url()}/v1/tasks`, bodies[Math.floor(at / 2) % 2]),
    ),
  );
  const made = answers.filter(({ status }) => status === 202);
  const found = answers.filter(({ status }) => status === 200);
  expect([made.length, found.length]).toEqual([1, 49]);
  const id = String(made[0]?.body['id']);
  expect(new Set(answers.map(({ body }) => body['id']))).toEqual(new Set([id]));
  expect(new Set(answers.map(({ headers }) => headers.get('location')))).toEqual(
    new Set([`/v1/tasks/${id}`]),
  );
  expect(made[0]?.body['replayed']).toBeUndefined();
  expect(made[0]?.headers.get('idempotent-replayed')).toBeNull();
  for (const { body, headers } of found) {
    expect(body).toMatchObject({ replayed: true, queue, type: 'add' });
    expect(headers.get('idempotent-replayed')).toBe('true');
  }
  expect(await countsOf(redis.client, queue)).toEqual({ accepted: 1, scheduled: 1 });
  await expectBalanced(redis.client, queue);
});

test('fifty keys at the same time, each five times: fifty tasks', async () => {
  const queue = newQueue();
  const keys = Array.from({ length: 250 }, (_, at) => `key-${at % 50}`);
  const answers = await Promise.all(keys.map((key, at) => send({ queue, key }, at % 2)));
  expect(answers.filter(({ status }) => status === 202)).toHaveLength(50);
  const idOf = new Map(answers.map(({ body }, at) => [keys[at], body['id']]));
  for (const [at, { body }] of answers.entries()) expect(body['id']).toBe(idOf.get(keys[at]));
  expect(new Set(idOf.values()).size).toBe(50);
  expect(await countsOf(redis.client, queue)).toEqual({ accepted: 50, ready: 50 });
});

test.each<[string, object]>([
  ['another input', { input: { one: 1, two: 3 } }],
  ['another type', { type: 'subtract' }],
  ['another option', { maxAttempts: 7 }],
  ['another lane', { priority: 'high' }],
  ['a delay', { delayMs: 5_000 }],
])('the same key with %s is 422, and nothing is written', async (_, other) => {
  const queue = newQueue();
  const first = await send({ queue, key: 'k' });
  expect(first.status).toBe(202);
  const before = await everything(queue);

  const conflict = await send({ queue, key: 'k', ...other }, 1);

  expect(conflict.status).toBe(422);
  expect(conflict.headers.get('content-type')).toBe('application/problem+json');
  expect(conflict.body).toMatchObject({
    code: 'idempotency-key-reused',
    type: '/problems/idempotency-key-reused',
    errors: [{ pointer: '#/key', detail: expect.stringMatching(/\w/) }],
  });
  expect(String(conflict.body['detail'])).toContain(String(first.body['id']));
  expect(await everything(queue)).toEqual(before);
  // The right one still finds its task.
  expect(await send({ queue, key: 'k' })).toMatchObject({ status: 200, body: { id: first.body['id'] } });
});

test('requests that mean the same are the same', async () => {
  const queue = newQueue();
  const key = 'same';
  const { body } = await send({ queue, key, runAt: '2099-01-01T00:00:00Z', keyWindowMs: 50_000 });
  for (const again of [
    { runAt: '2099-01-01T01:00:00+01:00' },
    { runAt: Date.parse('2099-01-01T00:00:00Z') },
    { runAt: '2099-01-01T00:00:00.000Z', keyWindowMs: 9_000 },
  ]) {
    const answer = await send({ queue, key, ...again });
    expect(answer, JSON.stringify(again)).toMatchObject({ status: 200, body: { id: body['id'] } });
  }
  const traced = { traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01' };
  const again = await send({ queue, key, runAt: '2099-01-01T00:00:00Z' }, 1, traced);
  expect(again).toMatchObject({ status: 200, body: { id: body['id'] } });
});

test('a key belongs to its queue', async () => {
  const [one, other] = [newQueue(), newQueue()];
  const first = await send({ queue: one, key: 'k' });
  const second = await send({ queue: other, key: 'k', input: { one: 5, two: 5 } });
  expect([first.status, second.status]).toEqual([202, 202]);
  expect((await send({ queue: one, key: 'k' })).body['id']).toBe(first.body['id']);
  // Without a key every request is a task of its own.
  expect((await send({ queue: one })).status).toBe(202);
  expect((await send({ queue: one })).status).toBe(202);
  expect(await countsOf(redis.client, one)).toEqual({ accepted: 3, ready: 3 });
});

test('when its window is over a key makes a new task; a repeat does not make it longer', async () => {
  const queue = newQueue();
  const body = { queue, key: 'k', keyWindowMs: 1_500 };
  const first = await send(body);
  expect(first.status).toBe(202);
  const ends = performance.now() + 1_500;
  const second = await eventually(async () => {
    const answer = await send(body);
    if (answer.status === 202) return answer;
    expect(answer.body['id']).toBe(first.body['id']);
    return undefined;
  });
  expect(performance.now()).toBeGreaterThan(ends - 50);
  expect(second.body['id']).not.toBe(first.body['id']);
  expect(await send(body)).toMatchObject({ status: 200, body: { id: second.body['id'] } });
});

test('the window is a day, or what the definition says, or the call', async () => {
  const windowOf = async (body: object, queue: string): Promise<number> => {
    expect((await send({ ...body, key: 'w' })).status).toBe(202);
    const ends = Number(await redis.client.zscore(`pf:{${queue}}:idempotency-ends`, 'w'));
    return ends - (await redisNow(redis.client));
  };
  const [one, other] = [newQueue(), newQueue()];
  const near = (windowMs: number) =>
    expect.toSatisfy((ms: number) => ms <= windowMs && ms > windowMs - 5_000);
  expect(await windowOf({ queue: one }, one)).toEqual(near(DAY_MS));
  // Its definition names its queue as well.
  expect(await windowOf({ type: 'elsewhere', input: {} }, 'side')).toEqual(near(7_000));
  const own = { type: 'elsewhere', input: {}, queue: other, keyWindowMs: 60_000 };
  expect(await windowOf(own, other)).toEqual(near(60_000));
  const { body } = await call(`${servers[0]?.url()}/v1/queues/side`);
  expect(body).toMatchObject({ counts: { accepted: 1 }, ready: { low: 1 } });
});

test('a request whose reply from Redis got lost has made one task, which its repeat finds', async (context) => {
  const stage = openStage(context);
  const proxy = await stage.proxy(redis);
  const server = await stage.here('server', { REDIS_URL: proxy.url });
  const queue = newQueue();
  const body = { type: 'add', input: { one: 1, two: 2 }, queue, key: 'lost' };
  const lost = proxy.loseReply('hand', 1);
  const first = await post(`${server.url()}/v1/tasks`, body);
  await lost;
  // It has looked after it by itself, and found the task its own.
  expect(first.status).toBe(202);
  expect(first.body['replayed']).toBeUndefined();
  const again = await send(body);
  expect(again).toMatchObject({ status: 200, body: { id: first.body['id'], replayed: true } });
  expect(await countsOf(redis.client, queue)).toEqual({ accepted: 1, ready: 1 });
});

test('a task that is finished is found as well', async (context) => {
  const stage = openStage(context);
  const queue = newQueue();
  await stage.here('worker', { REDIS_URL: redis.url, QUEUES: queue });
  const { body } = await send({ queue, key: 'done' });
  const self = `${servers[0]?.url()}/v1/tasks/${String(body['id'])}`;
  expect((await call(`${self}?wait=10`)).body).toMatchObject({ state: 'succeeded', result: 3 });
  expect(await send({ queue, key: 'done' })).toMatchObject({ status: 200, body: { id: body['id'] } });
  expect(await countsOf(redis.client, queue)).toMatchObject({ accepted: 1, succeeded: 1 });
});
