// Idempotency keys: one task however often it is asked for.

import { afterAll, beforeAll, expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { endAll, type RoleProcess, startRole } from '../support/fleet.ts';
import { call, post } from '../support/http.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';

let redis: TestRedis;
let servers: RoleProcess[];

beforeAll(async () => {
  redis = await startRedis();
  servers = await Promise.all([1, 2].map(() => startRole('server', { REDIS_URL: redis.url })));
});

afterAll(async () => {
  await endAll(servers ?? []);
  await redis?.stop();
});

function enqueue(body: object, server = 0): ReturnType<typeof post> {
  return post(`${servers[server]?.url()}/v1/tasks`, { type: 'add', input: { one: 1, two: 2 }, ...body });
}

async function accepted(queue: string): Promise<number> {
  return Number(await redis.client.hget(`pf:{${queue}}:count`, 'accepted'));
}

test('50 requests at the same time, over two servers, make one task', async () => {
  const answers = await Promise.all(
    Array.from({ length: 50 }, (_, at) => enqueue({ queue: 'fifty', key: 'order-1' }, at % 2)),
  );

  expect(new Set(answers.map(({ body }) => body['id'])).size).toBe(1);
  const fresh = answers.filter(({ status }) => status === 202);
  const replayed = answers.filter(({ status }) => status === 200);
  expect([fresh.length, replayed.length]).toEqual([1, 49]);
  for (const { body, headers } of replayed) {
    expect(body).toMatchObject({ replayed: true, type: 'add' });
    expect(headers.get('idempotent-replayed')).toBe('true');
  }
  expect(fresh[0]?.body).not.toHaveProperty('replayed');
  expect(await accepted('fifty')).toBe(1);
  expect(await redis.client.llen('pf:{fifty}:ready:normal')).toBe(1);
});

test('the order of fields does not matter, another request under the key is refused', async () => {
  const first = await enqueue({ queue: 'same', key: 'k', input: { one: 1, two: 2 }, maxAttempts: 2 });
  const again = await enqueue({ key: 'k', maxAttempts: 2, input: { two: 2, one: 1 }, queue: 'same' });
  expect(again).toMatchObject({ status: 200, body: { id: first.body['id'], replayed: true } });

  const keys = await redis.client.dbsize();
  for (const other of [
    { input: { one: 1, two: 3 }, maxAttempts: 2 },
    { maxAttempts: 3 },
    { type: 'subtract', maxAttempts: 2 },
  ]) {
    expect(await enqueue({ queue: 'same', key: 'k', ...other })).toMatchObject({
      status: 422,
      body: { code: 'idempotency-key-reused', errors: [{ pointer: '#/key' }] },
    });
  }
  expect(await redis.client.dbsize()).toBe(keys);
  expect(await accepted('same')).toBe(1);
});

test('a key belongs to its queue, and to its window', async () => {
  const [one, other] = [
    await enqueue({ queue: 'one', key: 'k' }),
    await enqueue({ queue: 'other', key: 'k' }),
  ];
  expect([one.status, other.status]).toEqual([202, 202]);
  expect(one.body['id']).not.toBe(other.body['id']);

  const brief = await enqueue({ queue: 'brief', key: 'k', keyWindowMs: 150 });
  const later = await eventually(async () => {
    const answer = await enqueue({ queue: 'brief', key: 'k', keyWindowMs: 150 });
    return answer.status === 202 && answer;
  });
  expect(later.body['id']).not.toBe(brief.body['id']);
});

test('a task keeps its key when it fails or is cancelled', async () => {
  const first = await enqueue({ queue: 'kept', key: 'k' });
  expect((await post(`${servers[0]?.url()}/v1/tasks/${String(first.body['id'])}/cancel`, {})).status).toBe(
    200,
  );

  expect(await enqueue({ queue: 'kept', key: 'k' })).toMatchObject({
    status: 200,
    body: { id: first.body['id'] },
  });
  expect((await call(`${servers[0]?.url()}/v1/queues/kept`)).body['counts']).toMatchObject({
    accepted: 1,
    cancelled: 1,
  });
});
