// A task that is waited for by the request that sends it, and the other wishes of a request: no body, no task.

import { expect, test } from 'vitest';
import { createKey, readApiKeys } from '../../src/server/auth/api-keys.ts';
import { eventually } from '../support/eventually.ts';
import { expectBelow } from '../support/expect-below.ts';
import { call, post } from '../support/http.ts';
import { countsOf } from '../support/moves.ts';
import { startRedis } from '../support/redis.ts';
import { startServer } from '../support/server.ts';
import { withServer } from '../support/with-server.ts';

const one = withServer();

// Each test has a queue of its own.
let queues = 0;
const newQueue = (): string => `wait-${(queues += 1)}`;

async function send(
  queue: string,
  {
    query = '',
    headers = {},
    more = {},
  }: { query?: string; headers?: Record<string, string>; more?: object },
) {
  const before = performance.now();
  const body = { type: 'add', input: { one: 1, two: 2 }, queue, ...more };
  const answer = await post(`${one.url()}/v1/tasks${query}`, body, headers);
  return { ...answer, ms: performance.now() - before };
}

/** Takes the next task of a queue once it is there. */
const take = (queue: string): Promise<string> => eventually(() => one.worker().take(queue));

const AT_ONCE_MS = 900;

test.each<[string, { query?: string; headers?: Record<string, string> }]>([
  ['?wait=20', { query: '?wait=20' }],
  ['Prefer: wait=20', { headers: { prefer: 'wait=20' } }],
  ['Prefer among others', { headers: { prefer: 'respond-async, Wait = "20"; x=y, handling=lenient' } }],
])('%s: a task that is finished in time is answered with its record', async (_, request) => {
  await expectBelow(10_000, async () => {
    const queue = newQueue();
    const answer = send(queue, request);
    const id = await take(queue);
    await one.worker().end(id, 'succeeded', 3);
    const { status, headers, body, ms } = await answer;
    expect(status).toBe(200);
    expect(body).toMatchObject({ id, state: 'succeeded', result: 3, input: { one: 1, two: 2 } });
    expect(body).toEqual((await call(`${one.url()}/v1/tasks/${id}`)).body);
    expect(headers.get('location')).toBe(`/v1/tasks/${id}`);
    expect(headers.get('preference-applied')).toBe('wait=20');
    return ms;
  });
});

test('a task that fails in time is answered with its error, as 200', async () => {
  const queue = newQueue();
  const answer = send(queue, { query: '?wait=20' });
  const id = await take(queue);
  await one.worker().end(id, 'dead', { name: 'RangeError', message: 'no' });
  expect(await answer).toMatchObject({
    status: 200,
    body: { state: 'dead', error: { name: 'RangeError' }, errors: [{ error: { message: 'no' } }] },
  });
});

test('the short route waits as well', async () => {
  const answer = post(`${one.url()}/add?wait=20`, { one: 1, two: 2 });
  await one.worker().end(await take('default'), 'succeeded', 3);
  expect(await answer).toMatchObject({ status: 200, body: { state: 'succeeded', result: 3 } });
});

test('a task that is not finished in time is answered as ever', async () => {
  await expectBelow(3_000, async () => {
    const { status, headers, body, ms } = await send(newQueue(), { query: '?wait=1' });
    expect([status, body['state']]).toEqual([202, 'ready']);
    expect(body['links']).toEqual({
      self: `/v1/tasks/${String(body['id'])}`,
      events: `/v1/tasks/${String(body['id'])}/events`,
    });
    expect(headers.get('preference-applied')).toBe('wait=1');
    expect(ms).toBeGreaterThan(950);
    return ms;
  });
});

test('the query wins over the header; a longer wait than is offered is cut', async () => {
  await expectBelow(AT_ONCE_MS, async () => {
    const answer = await send(newQueue(), { query: '?wait=0', headers: { prefer: 'wait=20' } });
    expect([answer.status, answer.headers.get('preference-applied')]).toEqual([202, null]);
    return answer.ms;
  });
  const queue = newQueue();
  const long = send(queue, { query: '?wait=999999' });
  await one.worker().end(await take(queue), 'succeeded', 3);
  expect((await long).headers.get('preference-applied')).toBe('wait=55');
});

test('a preference that cannot be read is none; a query that cannot be read is 400', async () => {
  for (const prefer of ['wait=soon', 'wait', 'wait=-1', 'wait=1.5', 'await=20', '=;,"', 'return=full']) {
    await expectBelow(AT_ONCE_MS, async () => {
      const answer = await send(newQueue(), { headers: { prefer } });
      expect([prefer, answer.status, answer.headers.get('preference-applied')]).toEqual([prefer, 202, null]);
      return answer.ms;
    });
  }
  const queue = newQueue();
  for (const query of ['?wait=soon', '?wait=', '?wait=-1', '?dryRun=yes', '?minimal=true']) {
    expect(await send(queue, { query })).toMatchObject({ status: 400, body: { code: 'invalid-query' } });
  }
  expect(await countsOf(one.redis().client, queue)).toEqual({});
});

test('who finds a task by its key waits for that one', async () => {
  const queue = newQueue();
  const { body } = await send(queue, { more: { key: 'k' } });
  const again = send(queue, { query: '?wait=20', more: { key: 'k' } });
  const id = await take(queue);
  await one.worker().end(id, 'succeeded', 3);
  expect(await again).toMatchObject({ status: 200, body: { id: body['id'], state: 'succeeded' } });
  expect((await again).headers.get('idempotent-replayed')).toBe('true');
});

test('return=minimal: no body, but where the task is', async () => {
  const queue = newQueue();
  const request = { method: 'POST', body: JSON.stringify({ type: 'add', input: { one: 1, two: 2 }, queue }) };
  const headers = { 'content-type': 'application/json', prefer: 'return=minimal' };
  const response = await fetch(`${one.url()}/v1/tasks`, { ...request, headers });
  expect([response.status, await response.text()]).toEqual([202, '']);
  expect(response.headers.get('preference-applied')).toBe('return=minimal');
  const { body } = await call(`${one.url()}${response.headers.get('location')}`);
  expect(body).toMatchObject({ state: 'ready', queue });
  // A refusal says why all the same.
  expect(await send(queue, { headers, more: { priority: 'no' } })).toMatchObject({
    status: 422,
    body: { code: 'invalid-input' },
  });
});

test('a dry run checks everything and writes nothing', async () => {
  const before = (await one.redis().client.keys('*')).toSorted();
  const queue = newQueue();
  const good = await send(queue, { query: '?dryRun=true', more: { priority: 'high', key: 'dry' } });
  expect(good).toMatchObject({ status: 200, body: { valid: true, type: 'add', queue, priority: 'high' } });
  expect(good.headers.get('location')).toBeNull();
  const short = await post(`${one.url()}/add?dryRun=true`, { one: 1, two: 2 });
  expect(short.body).toEqual({ valid: true, type: 'add', queue: 'default', priority: 'normal' });
  expect(await post(`${one.url()}/add?dryRun=true`, { one: 1 })).toMatchObject({ status: 422 });
  expect(await send(queue, { query: '?dryRun=true', more: { type: 'nope' } })).toMatchObject({ status: 404 });
  expect((await one.redis().client.keys('*')).toSorted()).toEqual(before);
  expect((await send(queue, { query: '?dryRun=false' })).status).toBe(202);
});

test('a key that may only send may wait for its own task', async () => {
  const { key, entry } = createKey(['enqueue'], undefined);
  const guarded = await startServer(one.redis().url, 65_536, { apiKeys: readApiKeys(entry).keys });
  try {
    await eventually(async () => (await call(`${guarded.url()}/readyz`)).status === 200);
    const queue = newQueue();
    const headers = { authorization: `Bearer ${key}` };
    const body = { type: 'add', input: { one: 1, two: 2 }, queue };
    const answer = post(`${guarded.url()}/v1/tasks?wait=20`, body, headers);
    const id = await take(queue);
    await one.worker().end(id, 'succeeded', 3);
    expect(await answer).toMatchObject({ status: 200, body: { id, result: 3 } });
    expect((await call(`${guarded.url()}/v1/tasks/${id}`, { headers })).status).toBe(403);
  } finally {
    await guarded.stop();
  }
});

test('a server that stops answers those who wait with the task as it was taken', async () => {
  const queue = newQueue();
  const stopping = await startServer(one.redis().url);
  await eventually(async () => (await call(`${stopping.url()}/readyz`)).status === 200);
  const body = { type: 'add', input: { one: 1, two: 2 }, queue };
  const answer = post(`${stopping.url()}/v1/tasks?wait=30`, body);
  const id = await take(queue);
  await stopping.stop();
  expect(await answer).toMatchObject({ status: 202, body: { id } });
});

test('when Redis goes away during the wait the caller is told the task all the same', async () => {
  const mortal = await startRedis();
  const own = await startServer(mortal.url);
  try {
    await eventually(async () => (await call(`${own.url()}/readyz`)).status === 200);
    const answer = post(`${own.url()}/v1/tasks?wait=2`, { type: 'add', input: { one: 1, two: 2 } });
    const [id] = await eventually(async () => {
      const ids = await mortal.client.hkeys('pf:{default}:contents');
      return ids.length > 0 ? ids : undefined;
    });
    await mortal.signal('SIGKILL');
    expect(await answer).toMatchObject({ status: 202, body: { id, state: 'ready' } });
  } finally {
    await own.stop();
    await mortal.stop();
  }
});
