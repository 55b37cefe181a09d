// The client against a server: what it sends again and what it does not, and how it comes back after a break.

import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import * as v from 'valibot';
import { expect, expectTypeOf, test } from 'vitest';
import { ApiError, TaskCancelled, TaskFailed, WaitTimeout } from '../../src/client/api-error.ts';
import { Popfleet } from '../../src/client/popfleet.ts';
import type { TaskEvent } from '../../src/client/shapes.ts';
import { defineTask } from '../../src/tasks/define.ts';
import { eventually } from '../support/eventually.ts';
import { freePort } from '../support/redis.ts';
import { type Answer, watchedClient } from '../support/watched-client.ts';
import { withServer } from '../support/with-server.ts';

const server = withServer();
const sum = { one: 1, two: 2 };

const watched = (answer?: Answer) => watchedClient(server.url(), answer);

/** `fetch`, but for the first request. */
function onceOtherwise(first: typeof fetch): typeof fetch {
  let isFirst = true;
  return (url, init) => {
    const send = isFirst ? first : fetch;
    isFirst = false;
    return send(url, init);
  };
}

function busy(status: number, headers: Record<string, string> = {}): Response {
  return Response.json({ code: 'overloaded', title: 'busy', detail: 'Busy.' }, { status, headers });
}

test('a task is sent, runs, and its result comes', async () => {
  const { client } = watched();
  const add = defineTask({
    type: 'add',
    input: v.object({ one: v.number(), two: v.number() }),
    run: ({ one, two }) => one + two,
  });
  const running = client.run(add, sum, { priority: 'high' });
  expectTypeOf(running).resolves.toEqualTypeOf<number>();
  const id = await eventually(() => server.worker().take());
  await server.worker().end(id, 'succeeded', 3);
  expect(await running).toBe(3);
  expect(await client.get(id)).toMatchObject({ id, state: 'succeeded', priority: 'high' });
});

test('a dead task is retried as it was, or with another input', async () => {
  const { client } = watched();
  const worker = server.worker();
  const { id } = await client.enqueue('add', sum, { queue: 'dead' });
  const die = async (): Promise<void> =>
    worker.end(await eventually(() => worker.take('dead')), 'dead', {
      name: 'RangeError',
      message: 'too far',
    });
  await die();
  expect(await client.retry(id)).toMatchObject({ state: 'ready', input: sum });
  await die();
  expect(await client.retry(id, { input: { one: 5, two: 2 }, fromStart: false })).toMatchObject({
    state: 'ready',
    input: { one: 5, two: 2 },
  });
  await expect(client.retry(id, { input: { one: 'x', two: 2 } })).rejects.toMatchObject({
    code: 'invalid-input',
  });
});

test('how a task ends otherwise is an error of its own', async () => {
  const { client } = watched();
  const failing = client.run('add', sum);
  failing.catch(() => undefined);
  await server
    .worker()
    .end(await eventually(() => server.worker().take()), 'dead', { name: 'RangeError', message: 'too far' });
  await expect(failing).rejects.toThrow(TaskFailed);
  await expect(failing).rejects.toThrow(/too far/);

  const { id } = await client.enqueue('add', sum, { delayMs: 60_000 });
  const waiting = client.run('add', sum, { delayMs: 60_000, key: 'to-be-cancelled' });
  waiting.catch(() => undefined);
  const { id: other } = await client.enqueue('add', sum, { delayMs: 60_000, key: 'to-be-cancelled' });
  await client.cancel(other);
  await expect(waiting).rejects.toThrow(TaskCancelled);
  await expect(client.wait(id, { timeoutMs: 50 })).rejects.toThrow(WaitTimeout);
});

test('what may have got lost is sent again with the same key, so that there is one task', async () => {
  const { client, requests } = watched((_, nth) => {
    if (nth === 1) return 'break';
    return nth === 2 ? busy(503) : undefined;
  });
  const receipt = await client.enqueue('add', sum, { queue: 'once' });
  expect(receipt.state).toBe('ready');
  expect(new Set(requests.map(({ body }) => body)).size).toBe(1);
  expect(JSON.parse(requests[0]?.body ?? '')).toMatchObject({
    key: expect.stringMatching(/^[0-9a-f-]{36}$/),
  });
  expect(requests).toHaveLength(3);
});

test('a refusal is not sent again, and says what is wrong', async () => {
  const { client, requests } = watched();
  const refused = client.enqueue('add', { one: 'x', two: 2 });
  await expect(refused).rejects.toMatchObject({
    status: 422,
    code: 'invalid-input',
    errors: [{ pointer: '#/input/one' }],
    requestId: expect.any(String),
  });
  expect(requests).toHaveLength(1);
});

test('what could mean something else the second time is sent again only when it was refused', async () => {
  const broken = watched(() => 'break');
  await expect(broken.client.retry('x')).rejects.toMatchObject({ code: 'unreachable' });
  expect(broken.requests).toHaveLength(1);
  const limited = watched((_, nth) => (nth === 1 ? busy(429) : undefined));
  await expect(limited.client.retry('x')).rejects.toMatchObject({ code: 'not-found' });
  expect(limited.requests).toHaveLength(2);
});

test('what a lost try has removed is gone; what was never there is not found', async () => {
  const { client } = watched();
  await client.schedules.put('gone', { type: 'add', input: sum, everyMs: 3_600_000 });
  const { id } = await client.webhooks.add({ url: 'https://example.org/hook' });
  /** A client whose first try is answered otherwise. @param isServed whether the server gets that try */
  const first = (answer: () => Response, isServed: boolean) =>
    new Popfleet({
      url: server.url(),
      fetch: onceOtherwise(async (url, init) => {
        if (isServed) expect((await fetch(url, init)).status).toBe(204);
        return answer();
      }),
    });
  const lost = (): Response => {
    throw new TypeError('fetch failed', { cause: new Error('read ECONNRESET') });
  };
  await first(lost, true).schedules.remove('gone');
  await first(() => busy(503), true).webhooks.remove(id);
  expect(await client.schedules.list()).toEqual([]);
  expect(await client.webhooks.list()).toEqual([]);
  await expect(client.schedules.remove('gone')).rejects.toMatchObject({ code: 'not-found' });
  await expect(client.webhooks.remove(id)).rejects.toMatchObject({ code: 'not-found' });
  // It was refused before anything was done.
  const limited = first(() => busy(429), false);
  await expect(limited.schedules.remove('gone')).rejects.toMatchObject({ code: 'not-found' });
});

test('a server that wants to be left alone is, up to a minute', async () => {
  const patient = watched((_, nth) => (nth === 1 ? busy(503, { 'retry-after': '1' }) : undefined));
  const startedAt = performance.now();
  await patient.client.queues.list();
  expect(performance.now() - startedAt).toBeGreaterThanOrEqual(1_000);
  const gone = watched(() => busy(503, { 'retry-after': '3600' }));
  await expect(gone.client.queues.list()).rejects.toMatchObject({ retryAfterMs: 3_600_000 });
  expect(gone.requests).toHaveLength(1);
});

test('a wait goes on over answers of a proxy, once there was one of the server', async () => {
  const badGateway = (): Response => new Response('bad gateway', { status: 502 });
  const alone = watched(badGateway);
  await expect(alone.client.wait('x')).rejects.toMatchObject({ status: 502, code: 'http-502' });
  expect(alone.requests).toHaveLength(4);
  const { client, requests } = watched((_, nth) => (nth > 1 && nth < 7 ? badGateway() : undefined));
  const { id } = await client.enqueue('add', sum, { queue: 'proxied' });
  const waiting = client.wait(id);
  const worker = server.worker();
  await eventually(() => requests.length > 6);
  await worker.end(await worker.take('proxied'), 'succeeded', 3);
  expect(await waiting).toMatchObject({ state: 'succeeded' });
});

test('a wait is over when the server wants to be left alone for longer than it may be away', async () => {
  const { client, requests } = watched((_, nth) =>
    nth === 1 ? Response.json({ state: 'running' }) : busy(503, { 'retry-after': '120' }),
  );
  await expect(client.wait('x')).rejects.toMatchObject({ retryAfterMs: 120_000 });
  expect(requests).toHaveLength(2);
});

test('a redirect is refused: as a GET it would look as if something had been sent', async () => {
  const proxy = createServer((request, response) => {
    response.writeHead(302, { location: `${server.url()}${request.url}` }).end();
  });
  proxy.listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  const client = new Popfleet({ url: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}` });
  await expect(client.enqueue('add', sum)).rejects.toMatchObject({ status: 302, code: 'not-popfleet' });
  await expect(client.enqueue('add', sum)).rejects.toThrow(`redirects to ${server.url()}/v1/tasks`);
  proxy.close();
});

test('a key that is undefined is none: the task has one of its own', async () => {
  const { client, requests } = watched();
  const nothing = { key: undefined, delayMs: 60_000 };
  await client.enqueue('add', sum, nothing);
  for await (const item of client.enqueueMany([{ type: 'add', input: sum, ...nothing }]))
    expect(item).toHaveProperty('id');
  for (const { body } of requests.slice(0, 1)) expect(JSON.parse(body)['key']).toMatch(/^[0-9a-f-]{36}$/);
});

test('of many tasks, one that cannot be read or is too large stops no other', async () => {
  const { client } = watched();
  const inputs: unknown[] = Array.from({ length: 40 }, (_, at) => ({ one: at, two: 1 }));
  inputs[7] = { one: '\ud800', two: 1 };
  inputs[21] = { one: 'x'.repeat(70_000), two: 1 };
  const tasks = inputs.map((input) => ({ type: 'add', input, queue: 'mixed' }));
  const items = [];
  for await (const item of client.enqueueMany(tasks)) items.push(item);
  expect(items.map(({ index }) => index)).toEqual(tasks.map((_, at) => at));
  expect(items.filter((item) => 'problem' in item)).toMatchObject([
    {
      index: 7,
      problem: { code: 'malformed-body', detail: expect.stringMatching(/^It cannot be accepted/) },
    },
    { index: 21, problem: { code: 'too-large', detail: expect.stringMatching(/^It /) } },
  ]);
  expect(await client.queues.get('mixed')).toMatchObject({ ready: { normal: 38 } });
});

test('many tasks: each has its outcome, at its place', async () => {
  const { client, requests } = watched();
  const tasks = Array.from({ length: 25 }, (_, at) => ({
    type: at === 11 ? 'no-such-type' : 'add',
    input: { one: at, two: 1 },
    queue: 'many',
  }));
  const items = [];
  for await (const item of client.enqueueMany(tasks, { size: 10 })) items.push(item);
  expect(items.map(({ index }) => index)).toEqual(tasks.map((_, at) => at));
  expect(items.filter((item) => 'problem' in item)).toMatchObject([
    { index: 11, problem: { code: 'unknown-type' } },
  ]);
  expect(requests).toHaveLength(3);
  const listed = [];
  for await (const row of client.list({ queue: 'many', type: 'add' })) listed.push(row.id);
  expect(new Set(listed).size).toBe(24);
});

test('who has read events of a task goes on behind the last one', async () => {
  const { client } = watched();
  const { id } = await client.enqueue('add', sum, { queue: 'followed' });
  let seen: TaskEvent | undefined;
  for await (const event of client.events(id)) {
    seen = event;
    break;
  }
  expect(seen).toMatchObject({ name: 'snapshot', data: { state: 'ready' }, lastEventId: expect.any(String) });
  const worker = server.worker();
  await worker.end(await worker.take('followed'), 'succeeded', 3);
  const rest: TaskEvent[] = [];
  for await (const event of client.events(id, { lastEventId: seen?.lastEventId })) rest.push(event);
  expect(rest).toMatchObject([
    { name: 'state', data: { state: 'running' } },
    { name: 'state', data: { state: 'succeeded' } },
    { name: 'end', data: { result: 3 } },
  ]);
  for await (const event of client.events(id, { lastEventId: rest.at(-1)?.lastEventId }))
    expect.unreachable(event.name);
});

test('a caller that gives up is heard at once', async () => {
  const { client } = watched();
  const { id } = await client.enqueue('add', sum, { queue: 'given-up' });
  const leave = new AbortController();
  const waiting = client.wait(id, { signal: leave.signal });
  waiting.catch(() => undefined);
  leave.abort(new Error('enough'));
  await expect(waiting).rejects.toThrow('enough');
});

test('no server, and a server that is none of popfleet', async () => {
  const nobody = new Popfleet({ url: `http://127.0.0.1:${await freePort()}`, retries: 0 });
  await expect(nobody.queues.list()).rejects.toThrow(/cannot be reached: .*ECONNREFUSED/);
  const other = new Popfleet({ url: server.url(), fetch: async () => new Response('<html>') });
  await expect(other.queues.list()).rejects.toMatchObject({ code: 'not-popfleet' });
  await expect(other.queues.list()).rejects.toThrow(ApiError);
  await expect(other.follow().next()).rejects.toMatchObject({ code: 'not-popfleet' });
  // Longer than any timer counts.
  await new Popfleet({ url: server.url(), timeoutMs: Number.POSITIVE_INFINITY }).queues.list();
  expect(() => new Popfleet({ url: 'ftp://example.org' })).toThrow(TypeError);
});
