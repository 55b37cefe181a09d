// Each change by a caller with `admin` leaves who, what and where in the audit.

import { afterAll, beforeAll, expect, test } from 'vitest';
import { createKey, readApiKeys } from '../../src/server/auth/api-keys.ts';
import type { Server } from '../../src/server/server.ts';
import { createAudit } from '../../src/store/audit.ts';
import { eventually } from '../support/eventually.ts';
import { type Answer, call, post } from '../support/http.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { startServer } from '../support/server.ts';

const INPUT = { one: 1, two: 2 };
const keys = {
  admin: createKey(['admin'], undefined),
  mailer: createKey(['enqueue', 'read', 'admin'], ['mail']),
};
type Name = keyof typeof keys;

let redis: TestRedis;
let server: Server;
beforeAll(async () => {
  redis = await startRedis();
  const { keys: apiKeys } = readApiKeys(
    Object.values(keys)
      .map(({ entry }) => entry)
      .join(','),
  );
  server = await startServer(redis.url, 65_536, { apiKeys });
  await eventually(async () => (await fetch(`${server.url()}/readyz`)).ok);
});
afterAll(async () => {
  await server?.stop();
  await redis?.stop();
});

function as(name: Name): Record<string, string> {
  return { authorization: `Bearer ${keys[name].key}` };
}

async function change(name: Name, method: string, path: string, body?: object): Promise<Answer> {
  const headers = { ...as(name), ...(body ? { 'content-type': 'application/json' } : {}) };
  return call(`${server.url()}${path}`, {
    method,
    headers,
    ...(body ? { body: JSON.stringify(body) } : {}),
  });
}

interface Entry {
  readonly id: string;
  readonly at: string;
  readonly by: string;
  readonly operation: string;
  readonly requestId: string;
  readonly target: object;
  readonly queue?: string;
  readonly facts: object;
}

async function read(name: Name, query = ''): Promise<{ items: Entry[]; next?: string }> {
  const { status, body } = await call(`${server.url()}/v1/audit${query}`, { headers: as(name) });
  expect(status).toBe(200);
  return body as unknown as { items: Entry[]; next?: string };
}

async function send(queue: string): Promise<string> {
  const { body } = await post(`${server.url()}/v1/tasks`, { type: 'add', input: INPUT, queue }, as('admin'));
  return String(body['id']);
}

test('what was changed is in the audit, newest first, with the key, the target, the queue and the answer', async () => {
  const id = await send('default');
  const paused = await change('admin', 'POST', '/v1/queues/default/pause');
  await change('admin', 'POST', '/v1/queues/default/resume');
  await change('admin', 'POST', `/v1/tasks/${id}/cancel`);
  await change('admin', 'DELETE', `/v1/tasks/${id}`);
  await change('admin', 'PUT', '/v1/schedules/often', { everyMs: 60_000, type: 'add', input: INPUT });
  await change('admin', 'POST', '/v1/schedules/often/pause');
  await change('admin', 'DELETE', '/v1/schedules/often');
  const { items } = await read('admin');
  const by = (keys.admin.entry.split(':') as [string])[0];
  expect(
    items.map(({ operation, by: who, target, queue, facts }) => [operation, who, target, queue, facts]),
  ).toEqual([
    ['deleteSchedule', by, { name: 'often' }, 'default', {}],
    ['pauseSchedule', by, { name: 'often' }, 'default', {}],
    ['putSchedule', by, { name: 'often' }, 'default', { isNew: true }],
    ['deleteTask', by, { id }, 'default', { answer: 'removed' }],
    ['cancelTask', by, { id }, 'default', { answer: 'cancelled' }],
    ['resumeQueue', by, { queue: 'default' }, 'default', {}],
    ['pauseQueue', by, { queue: 'default' }, 'default', {}],
  ]);
  const [latest] = items.slice(-1);
  expect(latest?.requestId).toBe(paused.headers.get('x-request-id'));
  expect(Math.abs(Date.parse(latest?.at ?? '') - Date.now())).toBeLessThan(60_000);
});

test('what was refused, read or sent leaves no entry', async () => {
  const before = (await read('admin')).items.length;
  const id = await send('default');
  expect((await change('admin', 'POST', `/v1/tasks/${id}/retry`)).status).toBe(409);
  expect((await change('admin', 'POST', '/v1/queues/nothing/pause')).status).toBe(404);
  expect((await change('mailer', 'POST', '/v1/queues/default/pause')).status).toBe(404);
  expect((await read('admin')).items).toHaveLength(before);
});

test('an operation leaves what was asked for and why, its dry run nothing', async () => {
  const before = (await read('admin')).items.length;
  const filter = { queue: 'default', type: 'none' };
  const body = { action: 'cancel', filter };
  const { confirm } = (await change('admin', 'POST', '/v1/operations', { ...body, dryRun: true })).body;
  expect((await read('admin')).items).toHaveLength(before);
  const started = await change('admin', 'POST', '/v1/operations', { ...body, reason: 'old', confirm });
  const [entry] = (await read('admin')).items;
  expect(entry).toMatchObject({
    operation: 'startOperation',
    queue: 'default',
    facts: {
      action: 'cancel',
      filter: { type: 'none' },
      reason: 'old',
      location: `/v1/operations/${String(started.body['id'])}`,
    },
  });
});

test('a key for some queues sees what was about these; a page leads to the next', async () => {
  await send('mail');
  await change('mailer', 'POST', '/v1/queues/mail/pause');
  await change('admin', 'POST', '/v1/queues/mail/resume');
  await change('admin', 'POST', '/v1/queues/default/resume');
  const operations = async (query = ''): Promise<string[]> =>
    (await read('mailer', query)).items.map(({ operation }) => operation);
  expect(await operations()).toEqual(['resumeQueue', 'pauseQueue']);
  expect(await operations('?queue=default')).toEqual([]);
  expect(await operations('?operation=pauseQueue')).toEqual(['pauseQueue']);
  expect(await operations('?by=somebody')).toEqual([]);
  const first = await read('mailer', '?limit=1');
  expect(first.items).toHaveLength(1);
  expect(await operations(`?limit=1&cursor=${first.next}`)).toEqual(['pauseQueue']);
  expect(await operations('?cursor=0-0')).toEqual([]);
  const wrong = await call(`${server.url()}/v1/audit?cursor=soon&limit=0`, { headers: as('admin') });
  expect(wrong.status).toBe(400);
  expect(wrong.body['detail']).toMatch(/`limit` must be .*`cursor` must be/);
});

test('a change is made and answered when the audit has no room; entries of other programs are left out', async () => {
  await redis.client.xadd('pf:audit', '*', 'entry', 'spoilt');
  await redis.client.config('SET', 'maxmemory', '1');
  const answered = await change('admin', 'POST', '/v1/queues/mail/pause');
  await redis.client.config('SET', 'maxmemory', '0');
  expect(answered.status).toBe(200);
  const [latest] = (await read('admin')).items;
  expect(latest?.operation).toBe('resumeQueue');
});

test('the audit is bounded', async () => {
  const entry = JSON.stringify({ operation: 'pauseQueue', requestId: 'r', target: {}, facts: {} });
  const filling = redis.client.pipeline();
  for (let count = 0; count < 11_000; count += 1) filling.xadd('pf:audit', '*', 'entry', entry);
  await filling.exec();
  await change('admin', 'POST', '/v1/queues/mail/resume');
  expect(await redis.client.xlen('pf:audit')).toBeLessThan(10_200);
});

test('what was about several queues is found by each of them, and shown to a key for all of them', async () => {
  const append = (requestId: string, ...queues: string[]) =>
    createAudit(redis.client).append({
      by: undefined,
      operation: 'quietWorker',
      requestId,
      target: { worker: 'w' },
      queue: undefined,
      facts: { queues },
    });
  await append('one', 'mail');
  await append('both', 'mail', 'other');
  const foundBy = async (name: Name, query: string): Promise<string[]> =>
    (await read(name, `?operation=quietWorker${query}`)).items.map(({ requestId }) => requestId);
  expect(await foundBy('admin', '&queue=mail')).toEqual(['both', 'one']);
  expect(await foundBy('admin', '&queue=other')).toEqual(['both']);
  expect(await foundBy('mailer', '')).toEqual(['one']);
});
