// Removing a task: nothing of it stays, it does not run, and the counts still add up.

import { beforeEach, expect, test } from 'vitest';
import { call, post } from '../support/http.ts';
import { openQueueFacts } from '../support/queue-facts.ts';
import { withServer } from '../support/with-server.ts';

const one = withServer();
beforeEach(() => one.empty());

async function send(more: Record<string, unknown> = {}): Promise<string> {
  const { body } = await post(`${one.url()}/v1/tasks`, {
    type: 'add',
    input: { one: 1, two: 2 },
    ...more,
  });
  return String(body['id']);
}

const remove = async (id: string): Promise<number> =>
  (await call(`${one.url()}/v1/tasks/${id}`, { method: 'DELETE' })).status;

/** Every key of the queue that has the id anywhere in it. */
async function tracesOf(id: string): Promise<string[]> {
  const keys = await one.redis().client.keys('pf:{default}:*');
  const found = await Promise.all(
    keys.map(async (key) => {
      if (key.includes(id)) return true;
      const type = await one.redis().client.type(key);
      if (type === 'hash') return (await one.redis().client.hexists(key, id)) === 1;
      if (type === 'zset') return (await one.redis().client.zscore(key, id)) !== null;
      if (type === 'set') return (await one.redis().client.sismember(key, id)) === 1;
      return false;
    }),
  );
  return keys.filter((_, at) => found[at]);
}

test.each([
  ['ready', {}],
  ['scheduled', { delayMs: 60_000 }],
  ['scheduled with an end', { delayMs: 60_000, ttlMs: 90_000 }],
])('a %s task is gone and does not run any more', async (_, more) => {
  const id = await send(more);
  expect(await remove(id)).toBe(204);
  expect((await call(`${one.url()}/v1/tasks/${id}`)).status).toBe(404);
  expect(await tracesOf(id)).toEqual([]);
  const next = await send();
  expect(await one.worker().take()).toBe(next);
  expect(await openQueueFacts(one.redis()).counts()).toEqual({ accepted: 2, running: 1, removed: 1 });
});

test.each(['succeeded', 'dead'] as const)('a %s task is gone, with its errors and its log', async (word) => {
  const id = await send();
  await one.worker().take();
  await one.worker().end(id, word, word === 'dead' ? { name: 'Error', message: 'no' } : 3);
  const kept = Number(await one.redis().client.hget('pf:{default}:count', 'bytes'));
  expect(kept).toBeGreaterThan(0);
  expect(await remove(id)).toBe(204);
  expect(await tracesOf(id)).toEqual([]);
  expect(Number(await one.redis().client.hget('pf:{default}:count', 'bytes'))).toBe(0);
  expect(await openQueueFacts(one.redis()).counts()).toEqual({ accepted: 1, removed: 1 });
});

test('a running task is not removed', async () => {
  const id = await send();
  await one.worker().take();
  const { status, body } = await call(`${one.url()}/v1/tasks/${id}`, { method: 'DELETE' });
  expect({ status, code: body['code'] }).toEqual({ status: 409, code: 'invalid-state' });
  await one.worker().end(id, 'succeeded', 3);
  expect(await remove(id)).toBe(204);
});

test('removing again, or what never was, changes nothing and answers the same', async () => {
  const id = await send();
  expect([await remove(id), await remove(id), await remove('no-id')]).toEqual([204, 204, 204]);
  expect(await openQueueFacts(one.redis()).counts()).toEqual({ accepted: 1, removed: 1 });
});
