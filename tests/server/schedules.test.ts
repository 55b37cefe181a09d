// Schedules over HTTP: names that mean something to JavaScript, records that cannot be read, pauses that say what they skip.

import { homeOf } from '../../src/store/keys.ts';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createKey, readApiKeys } from '../../src/server/auth/api-keys.ts';
import type { Server } from '../../src/server/server.ts';
import { createSweeper } from '../../src/store/sweeper.ts';
import { runTicks } from '../../src/store/ticks.ts';
import { eventually } from '../support/eventually.ts';
import { type Answer, call } from '../support/http.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { startServer } from '../support/server.ts';
import { openStore } from '../support/store.ts';

const HOUR_MS = 3_600_000;
const SCHEDULE = { type: 'add', input: { one: 1, two: 2 }, everyMs: HOUR_MS, queue: 'mail' };
/** Of one queue. */
const mailer = createKey(['enqueue', 'read', 'admin'], ['mail']);

let redis: TestRedis;
let server: Server;

beforeAll(async () => {
  redis = await startRedis();
  server = await startServer(redis.url, 65_536, { apiKeys: readApiKeys(mailer.entry).keys });
  await eventually(async () => (await fetch(`${server.url()}/readyz`)).ok);
});
afterAll(async () => {
  await server?.stop();
  await redis?.stop();
});

function ask(method: string, path: string, body?: object): Promise<Answer> {
  return call(`${server.url()}${path}`, {
    method,
    headers: { authorization: `Bearer ${mailer.key}`, 'content-type': 'application/json' },
    ...(body ? { body: JSON.stringify(body) } : {}),
  });
}

async function listed(): Promise<Record<string, unknown>[]> {
  const { status, body } = await ask('GET', '/v1/schedules');
  expect(status).toBe(200);
  return body['items'] as Record<string, unknown>[];
}

async function tick(queue: string): Promise<string[]> {
  const client = await openStore(redis.url);
  const settings = { leaseMs: 1e6, slice: 100, popGraceMs: 2_000, retentionMs: 1e12, retentionBytes: 0 };
  await client.hdel(`pf:{${queue}}:queue`, 'sweep_at');
  const reports = await runTicks(
    client,
    queue,
    await createSweeper(client, { ...settings, periodMs: 1_000 })(homeOf(queue)),
  );
  client.disconnect();
  return reports.map(({ name, word }) => `${name} ${word}`);
}

test.each(['constructor', 'valueof', 'prototype', 'proto', 'null', '0'])(
  'case 6: a schedule may be called %s',
  async (name) => {
    expect((await ask('PUT', `/v1/schedules/${name}`, SCHEDULE)).status).toBe(201);
    expect((await ask('PUT', `/v1/schedules/${name}`, SCHEDULE)).status).toBe(200);
    expect(await listed()).toMatchObject([{ name, type: 'add', queue: 'mail' }]);
    expect((await listed())[0]).not.toHaveProperty('last');
    await redis.client.zadd('pf:{mail}:ticks', Date.now() - 10, name);
    expect(await tick('mail')).toEqual([`${name} ran`]);
    expect((await ask('GET', `/v1/schedules/${name}`)).body).toMatchObject({
      name,
      last: { task: expect.any(String) as string },
    });
    expect((await ask('POST', `/v1/schedules/${name}/pause`)).body).toMatchObject({ paused: true });
    expect((await ask('DELETE', `/v1/schedules/${name}`)).status).toBe(204);
    expect(await listed()).toEqual([]);
  },
);

test.each(['__proto__', 'toString', 'hasOwnProperty'])(
  'case 6: %s is no name of a schedule; one that another program has stored so is shown, ticks and goes',
  async (name) => {
    expect((await ask('PUT', `/v1/schedules/${name}`, SCHEDULE)).status).toBe(422);
    expect(await listed()).toEqual([]);
    await ask('PUT', '/v1/schedules/right', SCHEDULE);
    const bytes = await redis.client.hgetBuffer('pf:{mail}:schedules', 'right');
    await redis.client.hset('pf:{mail}:schedules', name, bytes ?? '');
    await redis.client.zadd('pf:{mail}:ticks', Date.now() - 10, name);
    expect((await listed()).map((one) => String(one['name'])).toSorted()).toEqual([name, 'right'].toSorted());
    expect(await tick('mail')).toEqual([`${name} ran`]);
    for (const each of [name, 'right'])
      expect((await ask('DELETE', `/v1/schedules/${each}`)).status).toBe(204);
    expect(await listed()).toEqual([]);
  },
);

test.each(['constructor', '__proto__', 'toString'])(
  'case 6: a query with %s is refused by name',
  async (name) => {
    const { status, body } = await ask('GET', `/v1/tasks?queue=mail&${name}=1`);
    expect(status).toBe(400);
    expect(body['detail']).toContain(`\`${name}\` is not known here`);
  },
);

test('case 5: what cannot be read is shown as such beside the others, and can be put again and deleted', async () => {
  await ask('PUT', '/v1/schedules/good', SCHEDULE);
  await redis.client.hset('pf:{mail}:schedules', 'bad', Buffer.from([0xff, 0x00]));
  await redis.client.zadd('pf:{mail}:ticks', 1, 'bad');
  const [bad, good] = await listed();
  expect(bad).toMatchObject({
    name: 'bad',
    queue: 'mail',
    next: [],
    fault: expect.stringContaining('no plain CBOR') as string,
  });
  expect(good).toMatchObject({ name: 'good', type: 'add' });
  expect(good).not.toHaveProperty('fault');
  expect((await ask('GET', '/v1/schedules/bad')).body).toEqual(bad);
  for (const verb of ['pause', 'resume']) {
    expect(await ask('POST', `/v1/schedules/bad/${verb}`)).toMatchObject({
      status: 422,
      body: { code: 'invalid-input' },
    });
  }
  expect(await ask('PUT', '/v1/schedules/bad', SCHEDULE)).toMatchObject({
    status: 200,
    body: { type: 'add' },
  });
  await redis.client.hset('pf:{mail}:schedules', 'bad', 'no more');
  expect((await ask('DELETE', '/v1/schedules/bad')).status).toBe(204);
  expect((await ask('DELETE', '/v1/schedules/good')).status).toBe(204);
  expect(await redis.client.exists('pf:{mail}:schedules', 'pf:{mail}:ticks')).toBe(0);
});

test('case 49: the end of a pause says what it has skipped', async () => {
  await ask('PUT', '/v1/schedules/paused', SCHEDULE);
  const due = Date.now() - (Date.now() % HOUR_MS) - HOUR_MS;
  await redis.client.zadd('pf:{mail}:ticks', due, 'paused');
  expect((await ask('POST', '/v1/schedules/paused/pause')).body).not.toHaveProperty('skipped');
  const { status, body } = await ask('POST', '/v1/schedules/paused/resume');
  expect({ status, skipped: body['skipped'] }).toEqual({
    status: 200,
    skipped: { count: 2, from: new Date(due).toISOString(), until: new Date(due + HOUR_MS).toISOString() },
  });
  await ask('DELETE', '/v1/schedules/paused');
});

test('a schedule is run at once, also while it is paused, and its ticks stay as they are', async () => {
  const options = { tags: ['eu'], priority: 'high', paused: true };
  await ask('PUT', '/v1/schedules/now', { ...SCHEDULE, ...options });
  const before = (await ask('GET', '/v1/schedules/now')).body;
  const ran = await ask('POST', '/v1/schedules/now/run');
  expect(ran).toMatchObject({ status: 202, body: { type: 'add', queue: 'mail', priority: 'high' } });
  const { headers, body } = ran;
  expect(headers.get('location')).toBe(`/v1/tasks/${String(body['id'])}`);
  const task = { state: 'ready', input: { one: 1, two: 2 }, tags: ['eu'] };
  expect((await ask('GET', `/v1/tasks/${String(body['id'])}`)).body).toMatchObject(task);
  expect((await ask('GET', '/v1/schedules/now')).body).toEqual(before);
  expect((await ask('POST', '/v1/schedules/none/run')).status).toBe(404);
});

test('of a pause and a PUT or DELETE at the same moment, none undoes the other', async () => {
  for (let one = 1; one <= 15; one += 1) {
    const body = { ...SCHEDULE, input: { one, two: 2 } };
    await Promise.all([
      ask('PUT', '/v1/schedules/raced', body),
      ask('POST', '/v1/schedules/raced/pause'),
      ask('POST', '/v1/schedules/raced/resume'),
    ]);
    expect((await ask('GET', '/v1/schedules/raced')).body['input']).toEqual(body.input);
    const [deleted, paused] = await Promise.all([
      ask('DELETE', '/v1/schedules/raced'),
      ask('POST', '/v1/schedules/raced/pause'),
    ]);
    expect([deleted.status, [200, 404]]).toEqual([204, expect.arrayContaining([paused.status])]);
    expect(await ask('GET', '/v1/schedules/raced')).toMatchObject({ status: 404 });
  }
});
