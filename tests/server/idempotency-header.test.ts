// The header `Idempotency-Key` is the same as `key` in the body, and keys of different callers never meet.

import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { type ApiKey, createKey, readApiKeys } from '../../src/server/auth/api-keys.ts';
import type { Server } from '../../src/server/server.ts';
import { eventually } from '../support/eventually.ts';
import { type Answer, call, post } from '../support/http.ts';
import { countsOf } from '../support/moves.ts';
import { refused } from '../support/refused.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { startServer } from '../support/server.ts';

const INPUT = { one: 1, two: 2 };
const TASK = { type: 'add', input: INPUT };

let redis: TestRedis;
let server: Server;
/** Asks for keys. */
let guarded: Server;
let tenants: readonly { readonly key: string; readonly id: string }[];

beforeAll(async () => {
  redis = await startRedis();
  const made = [1, 2].map(() => createKey(['enqueue', 'read'], undefined));
  const { keys } = readApiKeys(made.map(({ entry }) => entry).join(','));
  tenants = made.map(({ key }, at) => ({ key, id: (keys[at] as ApiKey).id }));
  server = await startServer(redis.url);
  guarded = await startServer(redis.url, 65_536, { apiKeys: keys });
  for (const one of [server, guarded]) {
    await eventually(async () => (await call(`${one.url()}/readyz`)).status === 200);
  }
});

afterEach(async () => {
  await redis.client.flushall();
});

afterAll(async () => {
  await server?.stop();
  await guarded?.stop();
  await redis?.stop();
});

function send(body: object, key?: string, path = '/v1/tasks'): Promise<Answer> {
  return post(`${server.url()}${path}`, body, key === undefined ? {} : { 'idempotency-key': key });
}

test('the header finds the task that the header has made, on both routes', async () => {
  const first = await send(TASK, 'order/4711');
  expect(first.status).toBe(202);
  expect(first.body['replayed']).toBeUndefined();
  const again = await send(TASK, 'order/4711');
  expect(again).toMatchObject({ status: 200, body: { id: first.body['id'], replayed: true } });
  expect(again.headers.get('idempotent-replayed')).toBe('true');
  expect(again.headers.get('location')).toBe(`/v1/tasks/${String(first.body['id'])}`);
  // The short route makes the same request of it.
  expect(await send(INPUT, 'order/4711', '/add')).toMatchObject({
    status: 200,
    body: { id: first.body['id'] },
  });
  expect(await countsOf(redis.client)).toEqual({ accepted: 1, ready: 1 });
});

test.each<[string, string, string]>([
  ['quoted', '"order-1"', 'order-1'],
  ['quoted with escapes', String.raw`"a\"b\\c"`, String.raw`a"b\c`],
  ['bare', 'order-1', 'order-1'],
  ['bare with a comma and signs', 'a,b;c=d/e:f', 'a,b;c=d/e:f'],
  ['255 characters', `"${'k'.repeat(255)}"`, 'k'.repeat(255)],
])('the header means the key of the body: %s', async (_, header, key) => {
  const first = await send(TASK, header);
  expect(first.status).toBe(202);
  expect(await redis.client.hexists('pf:{default}:idempotency', key)).toBe(1);
  expect(await send({ ...TASK, key })).toMatchObject({ status: 200, body: { id: first.body['id'] } });
  expect(await send({ ...TASK, key }, header)).toMatchObject({ status: 200, body: { id: first.body['id'] } });
});

test.each<[string, string]>([
  ['empty', ''],
  ['empty in quotes', '""'],
  ['a blank', 'a b'],
  ['a blank in quotes', '"a b"'],
  ['no end', '"abc'],
  ['no start', '"abc"d'],
  ['an escape of anything else', String.raw`"a\bc"`],
  ['a quote without an escape', '"a"b"'],
  ['256 characters', 'k'.repeat(256)],
  ['256 characters in quotes', `"${'k'.repeat(256)}"`],
  ['a parameter', '"a";b=c d'],
  ['not ASCII', 'schl\u00fcssel'],
])('a header that is no key is 400: %s', async (_, key) => {
  for (const path of ['/v1/tasks', '/add']) {
    const headers = { 'content-type': 'application/json', 'idempotency-key': key };
    const body = JSON.stringify(path === '/add' ? INPUT : TASK);
    const problem = await refused(redis.client, `${server.url()}${path}`, { method: 'POST', headers, body });
    expect(problem).toMatchObject({ status: 400, code: 'invalid-header' });
    expect(problem.detail).toContain('Idempotency-Key');
  }
});

test('another key in the body is 400', async () => {
  const headers = { 'content-type': 'application/json', 'idempotency-key': '"a"' };
  const body = JSON.stringify({ ...TASK, key: 'b' });
  const problem = await refused(redis.client, `${server.url()}/v1/tasks`, { method: 'POST', headers, body });
  expect(problem).toMatchObject({ status: 400, code: 'invalid-header' });
});

test('the same key for another request is 422; it points to the body only when the key stands there', async () => {
  expect((await send(TASK, 'k')).status).toBe(202);
  const other = { ...TASK, input: { one: 2, two: 2 } };
  const byHeader = await send(other, 'k');
  expect(byHeader).toMatchObject({ status: 422, body: { code: 'idempotency-key-reused' } });
  expect(byHeader.body['errors']).toBeUndefined();
  expect((await send({ ...other, key: 'k' })).body).toMatchObject({ errors: [{ pointer: '#/key' }] });
});

function sendAs(tenant: number, body: object, headers: Record<string, string> = {}): Promise<Answer> {
  const authorization = `Bearer ${tenants[tenant]?.key ?? ''}`;
  return post(`${guarded.url()}/v1/tasks`, body, { authorization, ...headers });
}

test('two tenants with the same key never meet: not by header, not by body, not in a batch', async () => {
  const first = await sendAs(0, TASK, { 'idempotency-key': 'k' });
  const second = await sendAs(1, { ...TASK, input: { one: 9, two: 9 } }, { 'idempotency-key': 'k' });
  expect([first.status, second.status]).toEqual([202, 202]);
  expect(second.body['id']).not.toBe(first.body['id']);
  for (const [at, one] of [first, second].entries()) {
    const input = at === 0 ? INPUT : { one: 9, two: 9 };
    expect(await sendAs(at, { ...TASK, input, key: 'k' })).toMatchObject({
      status: 200,
      body: { id: one.body['id'] },
    });
    expect(await redis.client.hexists('pf:{default}:idempotency', `${tenants[at]?.id}:k`)).toBe(1);
  }

  const authorization = `Bearer ${tenants[1]?.key ?? ''}`;
  const batch = await post(`${guarded.url()}/v1/tasks/batch`, [{ ...TASK, key: 'k' }], { authorization });
  expect(batch.status).toBe(422);
  expect(JSON.stringify(batch.body)).toContain(String(second.body['id']));
  expect(JSON.stringify(batch.body)).not.toContain(String(first.body['id']));
  expect(await countsOf(redis.client)).toEqual({ accepted: 2, ready: 2 });
});
