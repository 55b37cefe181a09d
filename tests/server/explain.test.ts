// Why a task does not run: each reason appears when its fact is there, and only then.

import { beforeEach, expect, test } from 'vitest';
import { encodeCbor } from '../../src/protocol/cbor.ts';
import { call, post } from '../support/http.ts';
import { withServer } from '../support/with-server.ts';

const KEY = 'pf:{default}';
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

interface Explanation {
  readonly state: string;
  readonly reasons: readonly {
    readonly code: string;
    readonly blocking: boolean;
    readonly message: string;
  }[];
  readonly ahead?: { readonly count: number; readonly capped: boolean };
}

async function explain(id: string): Promise<Explanation> {
  const { status, body } = await call(`${one.url()}/v1/tasks/${id}/explain`);
  expect(status).toBe(200);
  return body as unknown as Explanation;
}
const codes = async (id: string): Promise<string[]> => (await explain(id)).reasons.map(({ code }) => code);

/** A worker with a lease, which knows these types. */
async function live(types: readonly string[] | undefined, name = 'w'): Promise<void> {
  await one.redis().client.zadd(`${KEY}:workers`, Date.now() + 600_000, name);
  if (types) await one.redis().client.hset(`${KEY}:announced`, name, encodeCbor({ types }));
}

test('no worker serves the queue', async () => {
  expect(await codes(await send())).toEqual(['no-live-worker']);
});

test('a worker whose lease is over counts for nothing', async () => {
  await one.redis().client.zadd(`${KEY}:workers`, 1, 'gone');
  expect(await codes(await send())).toEqual(['no-live-worker']);
});

test('no worker has a handler for its type; one that announces nothing may', async () => {
  await live(['subtract']);
  const id = await send();
  expect(await codes(id)).toEqual(['type-unknown-to-workers']);
  await live(undefined, 'older');
  expect(await codes(id)).toEqual(['about-to-run']);
});

test('the queue is paused', async () => {
  await live(['add']);
  const id = await send();
  await call(`${one.url()}/v1/queues/default/pause`, { method: 'POST' });
  const [first] = (await explain(id)).reasons;
  expect(first).toMatchObject({
    code: 'queue-paused',
    blocking: true,
    since: expect.stringMatching(/Z$/) as string,
  });
  await call(`${one.url()}/v1/queues/default/resume`, { method: 'POST' });
  expect(await codes(id)).toEqual(['about-to-run']);
});

test('why a queue is paused is shown until it goes on, and what was said of a pause before is forgotten', async () => {
  await live(['add']);
  const id = await send();
  const path = `${one.url()}/v1/queues/default`;
  const pause = async (body?: object): Promise<unknown> =>
    (body ? await post(`${path}/pause`, body) : await call(`${path}/pause`, { method: 'POST' })).body;
  expect(await pause({ reason: 'the database moves' })).toMatchObject({ pausedReason: 'the database moves' });
  expect(await pause()).toMatchObject({ paused: true, pausedReason: 'the database moves' });
  expect((await call(path)).body).toMatchObject({
    paused: true,
    pausedSince: expect.stringMatching(/Z$/) as string,
    pausedReason: 'the database moves',
  });
  expect((await explain(id)).reasons[0]).toMatchObject({
    message: 'The queue "default" is paused: the database moves',
  });
  expect(await pause({ reason: 'x'.repeat(201) })).toMatchObject({ code: 'invalid-input' });
  expect(await pause({ because: 'x' })).toMatchObject({ code: 'invalid-input' });
  const { body } = await call(`${path}/resume`, { method: 'POST' });
  expect(Object.keys(body).filter((name) => name.startsWith('paused'))).toEqual(['paused']);
  // As a release before leaves it.
  await one.redis().client.hset(`${KEY}:queue`, 'paused_reason', 'of a pause before');
  expect((await call(path)).body).not.toHaveProperty('pausedReason');
  expect(await pause()).not.toHaveProperty('pausedReason');
  await call(`${path}/resume`, { method: 'POST' });
});

test('others are before it: those of its priority, and of higher ones', async () => {
  await live(['add']);
  for (let sent = 0; sent < 3; sent += 1) await send();
  const id = await send();
  await send();
  await send({ priority: 'high' });
  const { reasons, ahead } = await explain(id);
  expect(reasons).toMatchObject([{ code: 'behind-others', blocking: true }]);
  expect(reasons[0]?.message).toContain('3 with its priority and 1 with the priority high');
  expect(ahead).toEqual({ count: 3, capped: false });
});

test('more are ahead than are counted', async () => {
  await live(['add']);
  for (let sent = 0; sent < 1_100; sent += 100) await Promise.all(Array.from({ length: 100 }, () => send()));
  const id = await send();
  const { ahead, reasons } = await explain(id);
  expect(ahead).toEqual({ count: 1_000, capped: true });
  expect(reasons[0]?.message).toContain('more than 1000');
});

test('it is due later; after a failure that is its backoff', async () => {
  await live(['add']);
  expect(await codes(await send({ delayMs: 60_000 }))).toEqual(['due-later']);
  const id = await send();
  await one.worker().take();
  await one.worker().end(id, 'failed', { name: 'Error', message: 'no' });
  const { state, reasons } = await explain(id);
  expect(state).toBe('scheduled');
  expect(reasons.map(({ code }) => code)).toEqual(['retry-backoff']);
});

test('it runs; its worker was not heard of any more; it is finished', async () => {
  await live(['add']);
  const id = await send();
  await one.worker().take();
  expect(await codes(id)).toEqual(['running']);
  await one.redis().client.zadd(`${KEY}:workers`, 1, 'hand-worker');
  expect(await codes(id)).toEqual(['lease-expired']);
  await one.worker().end(id, 'dead', { name: 'Error', message: 'no' });
  const { reasons } = await explain(id);
  expect(reasons).toMatchObject([
    { code: 'finished', blocking: true, fix: expect.stringContaining('/retry') as string },
  ]);
});

test('its message was popped and never claimed', async () => {
  await live(['add']);
  const id = await send();
  await one.redis().client.rpop(`${KEY}:ready:normal`);
  await one.redis().client.hset(`${KEY}:suspects`, id, Date.now());
  expect(await codes(id)).toEqual(['popped-not-claimed']);
});

test('what is not there cannot be explained', async () => {
  const { status } = await call(`${one.url()}/v1/tasks/01890000-0000-7000-8000-000000000000/explain`);
  expect(status).toBe(404);
});
