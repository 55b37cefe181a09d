// Tags, and fields that a definition declares, as callers send them and find tasks by them.

import { pino } from 'pino';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import * as v from 'valibot';
import { openPopfleet, type Popfleet } from '../../src/index.ts';
import { homeOf } from '../../src/store/keys.ts';
import { runTicks } from '../../src/store/ticks.ts';
import { readSchedule } from '../../src/protocol/schedule.ts';
import { createServerRole, type Server } from '../../src/server/server.ts';
import { defineTask, type TaskDefinition } from '../../src/tasks/define.ts';
import { toRegistry } from '../../src/tasks/registry.ts';
import { eventually } from '../support/eventually.ts';
import { createHandWorker, type HandWorker } from '../support/hand-worker.ts';
import { type Answer, call } from '../support/http.ts';
import { expectIndexed } from '../support/index-facts.ts';
import { makeKey } from '../support/keys.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { SERVER_SETTINGS, silent, testRegistry } from '../support/server.ts';
import { openStore } from '../support/store.ts';

const admin = makeKey();

const order = defineTask({
  type: 'order',
  input: v.object({ customer: v.string(), amount: v.optional(v.number()) }),
  defaults: { tags: [' shop ', 'paid', 'paid'] },
  search: ({ customer, amount }) => ({ customer, amount, isLarge: (amount ?? 0) > 100 }),
  run: () => 1,
});

class Odd {
  customer = 'x';
}
const ODD: Readonly<Record<string, () => unknown>> = {
  throws() {
    throw new TypeError('hunter2');
  },
  text: () => 'customer',
  list: () => ['customer'],
  class: () => new Odd(),
  promise: () => Promise.reject(new Error('late')),
  'a nested value': () => ({ customer: { id: 1 } }),
  'a long value': () => ({ customer: 'x'.repeat(129) }),
  'a bad name': () => ({ 'customer id': 1 }),
  'nine fields': () => Object.fromEntries(Array.from({ length: 9 }, (_, at) => [`f${at}`, at])),
};
const odd = defineTask({
  type: 'odd',
  input: v.object({ how: v.string() }),
  search: ({ how }) => ODD[how]?.() as Record<string, string>,
  run: () => 1,
});

let redis: TestRedis;
let server: Server;
let worker: HandWorker;
let popfleet: Popfleet;
const logged: Record<string, unknown>[] = [];

beforeAll(async () => {
  redis = await startRedis();
  const own = [order, odd] as unknown as readonly TaskDefinition[];
  const all = [...(await testRegistry()).values(), ...own];
  const registry = toRegistry(all.map((definition) => ({ definition, source: 'the test' })));
  const log = pino({ level: 'warn' }, { write: (line: string) => logged.push(JSON.parse(line) as never) });
  const apiKeys = [admin].map(({ apiKey }) => apiKey);
  const settings = { ...SERVER_SETTINGS, bodyLimitBytes: 65_536, apiKeys };
  server = createServerRole(settings, { connection: silent(redis.url), registry, log });
  await server.start();
  worker = createHandWorker(redis.url);
  popfleet = await openPopfleet({ redisUrl: redis.url, tasks: own, logLevel: 'silent' });
  await eventually(async () => (await fetch(`${server.url()}/readyz`)).ok);
});
afterAll(async () => {
  popfleet?.close();
  worker?.close();
  await server?.stop();
  await redis?.stop();
});
beforeEach(async () => {
  await redis.client.flushall();
  await redis.client.sadd('pf:queues', 'default', 'mail');
  logged.length = 0;
});

function ask(method: string, path: string, body?: unknown): Promise<Answer> {
  return call(`${server.url()}${path}`, {
    method,
    headers: { ...admin.bearer, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
}

async function send(task: object): Promise<string> {
  const { status, body } = await ask('POST', '/v1/tasks', {
    type: 'order',
    input: { customer: '4711' },
    ...task,
  });
  expect([status, body['detail']]).toEqual([202, undefined]);
  return String(body['id']);
}

const ADD = { type: 'add', input: { one: 1, two: 2 } };

/** Ids of a list, page by page. */
async function idsOf(query: Readonly<Record<string, string>>): Promise<string[]> {
  const ids: string[] = [];
  for (let more: Readonly<Record<string, string>> = {}; ; ) {
    const { status, body } = await ask(
      'GET',
      `/v1/tasks?${new URLSearchParams({ ...query, ...more }).toString()}`,
    );
    expect([status, body['detail']]).toEqual([200, undefined]);
    ids.push(...(body['items'] as { id: string }[]).map(({ id }) => id));
    const { next } = body as { next?: string };
    if (next === undefined) return ids;
    more = { cursor: next };
  }
}

describe('tags and fields', () => {
  test('of the call and of the definition are shown, and the task is found by each', async () => {
    const id = await send({ input: { customer: 'Ä & Söhne', amount: 200 } });
    const task = (await ask('GET', `/v1/tasks/${id}`)).body;
    expect(task).toMatchObject({
      tags: ['shop', 'paid'],
      search: { customer: 'Ä & Söhne', amount: '200', isLarge: 'true' },
    });
    const own = await send({ tags: ['eu', ' eu '] });
    expect((await ask('GET', `/v1/tasks/${own}`)).body).toMatchObject({
      tags: ['eu'],
      search: { customer: '4711', isLarge: 'false' },
    });
    const plain = await send(ADD);
    const shown = (await ask('GET', `/v1/tasks/${plain}`)).body;
    expect([shown['tags'], shown['search']]).toEqual([undefined, undefined]);

    expect(await idsOf({ tag: 'paid' })).toEqual([id]);
    expect(await idsOf({ tag: 'eu' })).toEqual([own]);
    expect(await idsOf({ field: 'customer:4711' })).toEqual([own]);
    expect(await idsOf({ field: 'customer:Ä & Söhne', tag: 'shop', type: 'order' })).toEqual([id]);
    expect(await idsOf({ field: 'isLarge:false', tag: 'shop' })).toEqual([]);
    expect(await idsOf({ field: 'amount:200', type: 'add' })).toEqual([]);
    expect(await idsOf({ tag: 'eu', queue: 'mail' })).toEqual([]);
    const { items } = (await ask('GET', '/v1/tasks?tag=eu')).body as { items: object[] };
    expect(items).toMatchObject([{ id: own, tags: ['eu'] }]);
  });

  test('pages with a state, newest first', async () => {
    const ids: string[] = [];
    for (let count = 0; count < 7; count += 1) ids.push(await send({ tags: ['a'] }));
    const taken = [await worker.take(), await worker.take()];
    expect(await idsOf({ tag: 'a', limit: '3' })).toEqual(ids.toReversed());
    expect(await idsOf({ tag: 'a', limit: '2', state: 'running' })).toEqual(taken.toReversed());
    expect(await idsOf({ tag: 'a', limit: '2', state: 'ready' })).toEqual(ids.slice(2).toReversed());
  });

  test('whichever way a task comes in', async () => {
    const batch = await ask('POST', '/v1/tasks/batch', [
      { type: 'order', input: { customer: 'batch' } },
      { ...ADD, tags: ['batch'] },
    ]);
    const [one, other] = (batch.body['items'] as { id: string }[]).map(({ id }) => id);
    expect(await idsOf({ field: 'customer:batch' })).toEqual([one]);
    expect(await idsOf({ tag: 'batch' })).toEqual([other]);

    const short = await ask('POST', '/order', { customer: 'short' });
    expect(await idsOf({ field: 'customer:short' })).toEqual([short.body['id']]);

    const [alone] = await popfleet.enqueueMany([{ type: 'order', input: { customer: 'library' } }]);
    const many = await popfleet.enqueue('order', { customer: 'library' }, { tags: ['own'] });
    expect(await idsOf({ field: 'customer:library' })).toEqual([many.id, alone?.id]);
    expect(await popfleet.get(many.id)).toMatchObject({ tags: ['own'], search: { customer: 'library' } });

    const cause = await send({ ...ADD, onEnd: { type: 'order', input: { customer: 'follower' } } });
    await ask('POST', `/v1/tasks/${cause}/cancel`);
    const follower = await eventually(async () => {
      const [id] = await idsOf({ field: 'customer:follower' });
      return id;
    });
    expect((await ask('GET', `/v1/tasks/${follower}`)).body).toMatchObject({ cause: { id: cause } });
    await expectIndexed(redis.client);
  });

  test('of a schedule are those of its definition when it was put, and show with its tasks', async () => {
    const schedule = { everyMs: 60_000, type: 'order', input: { customer: 'again' } };
    const put = await ask('PUT', '/v1/schedules/again', { ...schedule, tags: ['nightly'] });
    expect([put.status, put.body['tags'], put.body['terms']]).toEqual([201, ['nightly'], undefined]);
    const definition = await redis.client.hgetBuffer('pf:{default}:schedules', 'again');
    expect(readSchedule(definition as Buffer)).toMatchObject({
      terms: 'tag=nightly field.customer=again field.isLarge=false',
    });
    await redis.client.zadd('pf:{default}:ticks', 1_000, 'again');
    const client = await openStore(redis.url);
    const tick = { name: Buffer.from('again'), due: '1000', definition: definition as Buffer };
    const now = { now: 1_000, lateSince: 1_000 };
    const [report] = await runTicks(client, homeOf('default').queue, { ticks: [tick], plans: [], ...now });
    client.disconnect();
    expect(report).toMatchObject({ word: 'ran' });
    const [id] = await idsOf({ tag: 'nightly', field: 'customer:again' });
    expect((await ask('GET', `/v1/tasks/${id}`)).body).toMatchObject({
      tags: ['nightly'],
      search: { customer: 'again' },
    });
    // Unchanged, nothing changes.
    await ask('PUT', '/v1/schedules/again', { ...schedule, tags: ['nightly'] });
    expect(
      (await redis.client.hgetBuffer('pf:{default}:schedules', 'again'))?.equals(definition as Buffer),
    ).toBe(true);
  });

  test('a dead task that is retried with another input is found by its fields, and by the tags that it had', async () => {
    const id = await send({ input: { customer: 'first' }, tags: ['blue'] });
    expect(await worker.take()).toBe(id);
    await worker.end(id, 'dead', { name: 'Error', message: 'no' });
    const { status } = await ask('POST', `/v1/tasks/${id}/retry`, { input: { customer: 'second' } });
    expect(status).toBe(202);
    expect(await idsOf({ tag: 'blue', field: 'customer:second' })).toEqual([id]);
    expect(await idsOf({ field: 'customer:first' })).toEqual([]);
    expect(await idsOf({ error: 'Error' })).toEqual([]);
    await expectIndexed(redis.client, 'default');
  });

  test('the same key with other tags is another request', async () => {
    const id = await send({ key: 'k', tags: ['a'] });
    const request = { type: 'order', input: { customer: '4711' }, key: 'k' };
    expect((await ask('POST', '/v1/tasks', { ...request, tags: ['b'] })).status).toBe(422);
    const again = await ask('POST', '/v1/tasks', { ...request, tags: ['a'] });
    expect([again.status, again.body['id']]).toEqual([200, id]);
    expect(await idsOf({ tag: 'a' })).toEqual([id]);
  });

  test.each(Object.keys(ODD))('a function that gives %s refuses its task, and is named', async (how) => {
    const input = { how };
    const refused = await ask('POST', '/v1/tasks', { type: 'odd', input });
    expect(refused).toMatchObject({ status: 422, body: { code: 'invalid-input' } });
    expect(refused.body['detail']).toContain('the function `search` of the task type "odd" ');
    expect(refused.body['errors']).toMatchObject([{ pointer: '#/input' }]);
    expect(JSON.stringify(refused.body)).not.toContain('hunter2');
    const batch = await ask('POST', '/v1/tasks/batch', [ADD, { type: 'odd', input }]);
    expect(batch).toMatchObject({ status: 422, body: { errors: [{ pointer: '#/1/input' }] } });
    const schedule = { everyMs: 60_000, type: 'odd', input };
    expect((await ask('PUT', '/v1/schedules/odd', schedule)).status).toBe(422);
    const onEnd = await ask('POST', '/v1/tasks', { ...ADD, onEnd: { type: 'odd', input } });
    expect(onEnd).toMatchObject({ status: 422, body: { errors: [{ pointer: '#/onEnd/input' }] } });
    await expect(popfleet.enqueue('odd', input)).rejects.toMatchObject({ code: 'invalid-input' });
    expect(await redis.client.keys('pf:{*')).toEqual([]);
    // What it has thrown is for the log.
    const messages = logged.map(({ err }) => (err as { message: string }).message);
    expect(messages).toEqual(how === 'throws' ? Array(4).fill('hunter2') : []);
  });

  test('a `search` that is no function stops the definition', () => {
    const define = (search: unknown): unknown =>
      defineTask({ type: 'mail', input: v.unknown(), search: search as () => object, run: () => 1 } as never);
    expect(() => define({ customer: 'customer' })).toThrow(
      'search of task "mail" must be a function of the input',
    );
  });
});
