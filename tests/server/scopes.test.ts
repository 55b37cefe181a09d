// What each kind of key may do, route by route: everything it should, and nothing else.

import type { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { encodeContent } from '../../src/protocol/message.ts';
import { newTaskId } from '../../src/protocol/task-id.ts';
import { WEBHOOK_TYPE } from '../../src/protocol/webhook.ts';
import { createKey, readApiKeys } from '../../src/server/auth/api-keys.ts';
import { fingerprintOf } from '../../src/protocol/fingerprint.ts';
import type { Scope } from '../../src/server/caller.ts';
import type { Server } from '../../src/server/server.ts';
import { openCommandConnection } from '../../src/store/connection.ts';
import { createProducer, type Producer } from '../../src/store/producer.ts';
import { eventually } from '../support/eventually.ts';
import { createHandWorker, type HandWorker } from '../support/hand-worker.ts';
import { documentOf, operationsOf } from '../support/openapi.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { silent, startServer } from '../support/server.ts';

const INPUT = { one: 1, two: 2 };
const NO = { name: 'Error', message: 'no' };
const keys = {
  enqueue: createKey(['enqueue'], undefined),
  read: createKey(['read'], undefined),
  admin: createKey(['admin'], undefined),
  mailer: createKey(['enqueue', 'read', 'admin'], ['mail']),
};

let redis: TestRedis;
let server: Server;
let worker: HandWorker;
let command: Redis;
let producer: Producer;

beforeAll(async () => {
  redis = await startRedis();
  const entries = Object.values(keys).map(({ entry }) => entry);
  const { keys: apiKeys, faults } = readApiKeys(entries.join(','));
  expect(faults).toEqual([]);
  server = await startServer(redis.url, 65_536, { apiKeys });
  worker = createHandWorker(redis.url);
  command = openCommandConnection(silent(redis.url), 'test', { socketTimeoutMs: 5_000 });
  producer = createProducer(command);
  await eventually(async () => (await fetch(`${server.url()}/readyz`)).ok);
});
afterAll(async () => {
  worker?.close();
  command?.disconnect();
  await server?.stop();
  await redis?.stop();
});

type Method = 'GET' | 'POST' | 'PUT' | 'DELETE';
type Row = readonly [method: Method, path: string, scope: Scope | 'any' | 'public', body?: unknown];

/** `ID` stands for a task that is there; the right answer of each row is below 300. */
const ROUTES: readonly Row[] = [
  ['POST', '/v1/tasks', 'enqueue', { type: 'add', input: INPUT }],
  ['POST', '/v1/tasks/check', 'enqueue', { type: 'add', input: INPUT }],
  ['POST', '/add', 'enqueue', INPUT],
  ['POST', '/v1/tasks/batch', 'enqueue', [{ type: 'add', input: INPUT }]],
  ['GET', '/v1/tasks', 'read'],
  ['GET', '/v1/tasks/ID', 'read'],
  ['GET', '/v1/tasks/ID/log', 'read'],
  ['GET', '/v1/tasks/ID/explain', 'read'],
  ['GET', '/v1/tasks/ID/events', 'read'],
  ['GET', '/v1/events', 'read'],
  ['POST', '/v1/waitpoints/TOKEN', 'enqueue', { payload: 1 }],
  ['GET', '/v1/errors', 'read'],
  ['GET', '/v1/errors/FINGERPRINT', 'read'],
  ['PUT', '/v1/errors/FINGERPRINT/ignored', 'admin'],
  ['DELETE', '/v1/errors/FINGERPRINT/ignored', 'admin'],
  ['GET', '/v1/queues', 'read'],
  ['GET', '/v1/queues/default', 'read'],
  ['GET', '/v1/queues/default/ledger', 'read'],
  ['GET', '/v1/workers', 'read'],
  ['GET', '/v1/workers/hand-worker', 'read'],
  ['POST', '/v1/workers/hand-worker/quiet', 'admin'],
  ['POST', '/v1/workers/hand-worker/resume', 'admin'],
  ['POST', '/v1/workers/hand-worker/stop', 'admin'],
  ['GET', '/v1/types', 'read'],
  ['GET', '/v1/types/runs', 'read'],
  ['GET', '/v1/audit', 'admin'],
  ['GET', '/v1/series', 'read'],
  ['GET', '/v1/system', 'read'],
  ['GET', '/v1/scale', 'read'],
  ['PUT', '/v1/schedules/hourly', 'admin', { everyMs: 3_600_000, type: 'add', input: INPUT }],
  ['POST', '/v1/schedules/check', 'read', { everyMs: 3_600_000, type: 'add', input: INPUT }],
  ['GET', '/v1/schedules', 'read'],
  ['GET', '/v1/schedules/hourly', 'read'],
  ['POST', '/v1/schedules/hourly/pause', 'admin'],
  ['POST', '/v1/schedules/hourly/resume', 'admin'],
  ['POST', '/v1/schedules/hourly/run', 'admin'],
  ['DELETE', '/v1/schedules/hourly', 'admin'],
  ['POST', '/v1/queues/default/pause', 'admin'],
  ['POST', '/v1/queues/default/resume', 'admin'],
  [
    'POST',
    '/v1/operations',
    'admin',
    { action: 'retry', filter: { queue: 'default', type: 'greet' }, dryRun: true },
  ],
  ['POST', '/v1/workflows', 'enqueue', { tasks: { a: { type: 'add', input: INPUT } } }],
  ['POST', '/v1/batches', 'enqueue', {}],
  ['GET', '/v1/batches', 'read'],
  ['GET', '/v1/batches/BATCH', 'read'],
  ['GET', '/v1/batches/BATCH/failed', 'read'],
  ['POST', '/v1/batches/BATCH/tasks', 'enqueue', [{ type: 'add', input: INPUT }]],
  ['POST', '/v1/batches/BATCH/close', 'enqueue'],
  ['GET', '/v1/workflows', 'read'],
  ['GET', '/v1/workflows/WORKFLOW', 'read'],
  ['POST', '/v1/workflows/WORKFLOW/cancel', 'admin'],
  ['POST', '/v1/workflows/WORKFLOW/retry', 'admin'],
  ['GET', '/v1/operations', 'admin'],
  ['GET', '/v1/operations/OPERATION', 'admin'],
  ['POST', '/v1/operations/OPERATION/cancel', 'admin'],
  ['POST', '/v1/tasks/DEAD/retry', 'admin'],
  ['POST', '/v1/tasks/ID/cancel', 'admin'],
  ['DELETE', '/v1/tasks/ID', 'admin'],
  ['POST', '/v1/webhooks', 'admin', { url: 'https://example.org/hook' }],
  ['GET', '/v1/webhooks', 'admin'],
  ['GET', '/v1/webhooks/WEBHOOK', 'admin'],
  ['PUT', '/v1/webhooks/WEBHOOK', 'admin', { url: 'https://example.org/hook' }],
  ['DELETE', '/v1/webhooks/WEBHOOK', 'admin'],
  ['POST', '/v1/webhooks/WEBHOOK/rotate', 'admin'],
  ['GET', '/v1/webhooks/WEBHOOK/deliveries', 'admin'],
  ['POST', '/v1/webhooks/WEBHOOK/test', 'admin'],
  ['POST', '/v1/webhooks/WEBHOOK/deliveries/DELIVERY/resend', 'admin'],
  ['GET', '/v1/webhooks/secret', 'admin'],
  ['POST', '/v1/webhooks/secret/rotate', 'admin'],
  ['GET', '/v1/session', 'any'],
  ['DELETE', '/v1/session', 'any'],
  ['POST', '/v1/session', 'public', { key: keys.read.key }],
  ['GET', '/metrics', 'read'],
  ['GET', '/healthz', 'public'],
  ['GET', '/readyz', 'public'],
  ['GET', '/openapi.json', 'public'],
  ['GET', '/problems/not-found', 'public'],
];

test('the table has every operation of the document, and no other', async () => {
  const document = operationsOf(await documentOf(server.url()));
  const inDocument = document.map(({ method, path, 'x-scope': scope }) => `${method} ${path} ${scope}`);
  const named = ROUTES.map(([method, path, scope]) => {
    const pattern = path
      .replace(/\/(?:ID|DEAD|WEBHOOK)/, '/{id}')
      .replace('/DELIVERY', '/{delivery}')
      .replace('/OPERATION', '/{operation}')
      .replace('/WORKFLOW', '/{workflow}')
      .replace('/BATCH', '/{batch}')
      .replace('/FINGERPRINT', '/{fingerprint}')
      .replace('/TOKEN', '/{token}')
      .replace('/hourly', '/{name}')
      .replace('/hand-worker', '/{worker}')
      .replace('/queues/default', '/queues/{queue}')
      .replace('/problems/not-found', '/problems/{code}')
      .replace(/^\/add$/, '/{type}');
    return `${method} ${pattern} ${scope}`;
  });
  expect(named.sort()).toEqual(inDocument.sort());
});

async function ask(row: Row, key: string | undefined): Promise<number> {
  const [method, path, , body] = row;
  const gone = new AbortController();
  const response = await fetch(`${server.url()}${await fill(path)}`, {
    method,
    signal: gone.signal,
    headers: {
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...(key === undefined ? {} : { authorization: `Bearer ${key}` }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  gone.abort();
  return response.status;
}

/** A new task for each request, so that one does not spoil the next. */
async function fill(path: string): Promise<string> {
  if (path.includes('WEBHOOK')) return withEndpoint(path);
  if (path.endsWith('/TOKEN')) return path.replace('TOKEN', await makeToken());
  if (/\bID\b/.test(path)) return path.replace('ID', await send());
  if (path.includes('WORKFLOW')) return withWorkflow(path);
  if (path.includes('BATCH')) return withBatch(path);
  if (path.includes('OPERATION')) return path.replace('OPERATION', await start());
  if (path.includes('/FINGERPRINT')) {
    await fill('DEAD');
    return path.replace('FINGERPRINT', fingerprintOf('add', NO));
  }
  if (!path.includes('DEAD')) return path;
  // Whatever waits before it is in its way.
  await redis.client.del('pf:{default}:ready:normal', 'pf:{default}:ledger:normal');
  const id = await send();
  expect(await worker.take()).toBe(id);
  await worker.end(id, 'dead', NO);
  return path.replace('DEAD', id);
}

/** A token of a task that runs. */
async function makeToken(): Promise<string> {
  await redis.client.del('pf:{default}:ready:normal', 'pf:{default}:ledger:normal');
  const id = await send();
  expect(await worker.take()).toBe(id);
  return worker.token(id, 'approval');
}

/** A workflow that runs; one that was cancelled, where it is to be retried. */
async function withWorkflow(path: string): Promise<string> {
  const headers = { 'content-type': 'application/json', authorization: `Bearer ${keys.admin.key}` };
  const all = `${server.url()}/v1/workflows`;
  const body = JSON.stringify({ tasks: { a: { type: 'add', input: INPUT } } });
  const { id } = (await (await fetch(all, { method: 'POST', headers, body })).json()) as { id: string };
  if (path.endsWith('/retry')) {
    await fetch(`${all}/${id}/cancel`, { method: 'POST', headers });
    await eventually(async () => {
      const { state } = (await (await fetch(`${all}/${id}`, { headers })).json()) as { state: string };
      return state === 'cancelled';
    });
  }
  return path.replace('WORKFLOW', id);
}

/** A batch that is open. */
async function withBatch(path: string): Promise<string> {
  const headers = { 'content-type': 'application/json', authorization: `Bearer ${keys.admin.key}` };
  const opened = await fetch(`${server.url()}/v1/batches`, { method: 'POST', headers, body: '{}' });
  return path.replace('BATCH', ((await opened.json()) as { id: string }).id);
}

/** An endpoint that is told of nothing, with a delivery that has ended. */
async function withEndpoint(path: string): Promise<string> {
  const headers = { 'content-type': 'application/json', authorization: `Bearer ${keys.admin.key}` };
  const body = JSON.stringify({ url: 'https://example.org/hook', queues: ['none'] });
  const added = await fetch(`${server.url()}/v1/webhooks`, { method: 'POST', headers, body });
  expect(added.status).toBe(201);
  const { id: endpoint } = (await added.json()) as { id: string };
  const delivery = { endpoint, task: 'x', queue: 'none', event: 'task.dead', body: '{}' };
  const id = newTaskId();
  await producer.enqueue('webhooks', [
    { id, content: encodeContent(WEBHOOK_TYPE, delivery), lane: 'normal' },
  ]);
  const cancel = await fetch(`${server.url()}/v1/tasks/${id}/cancel`, { method: 'POST', headers });
  expect(cancel.status).toBe(200);
  return path.replace('WEBHOOK', endpoint).replace('DELIVERY', id);
}

/** An operation that waits behind one that another server seems to work on. */
async function start(): Promise<string> {
  const request = { action: 'retry', filter: { queue: 'default', type: 'greet' } };
  const asked = async (more: object): Promise<Record<string, string>> => {
    const response = await fetch(`${server.url()}/v1/operations`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${keys.admin.key}` },
      body: JSON.stringify({ ...request, ...more }),
    });
    return (await response.json()) as Record<string, string>;
  };
  await redis.client.hset('pf:{default}:queue', 'operated_by', 'another', 'operated_at', 1e15);
  const { confirm } = await asked({ dryRun: true });
  return (await asked({ confirm }))['id'] ?? '';
}

async function send(queue = 'default'): Promise<string> {
  const response = await fetch(`${server.url()}/v1/tasks`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${keys.admin.key}` },
    body: JSON.stringify({ type: 'add', input: INPUT, queue }),
  });
  expect(response.status).toBe(202);
  return ((await response.json()) as { id: string }).id;
}

test.each(ROUTES.map((row) => [`${row[0]} ${row[1]} needs ${row[2]}`, row] as const))(
  '%s',
  async (_, row) => {
    const [method, path, scope] = row;
    const open = scope === 'public';
    expect(await ask(row, undefined), 'no key').toBe(open ? await ask(row, keys.admin.key) : 401);
    for (const held of ['read', 'enqueue', 'admin'] as const) {
      // The schedule that some rows are about.
      if (path.includes('/hourly')) await ask(ROUTES.find(([verb]) => verb === 'PUT') as Row, keys.admin.key);
      const status = await ask(row, keys[held].key);
      const may = open || scope === 'any' || held === 'admin' || held === scope;
      if (may) expect(status, `${method} ${path} with ${held}`).toBeLessThan(300);
      else expect(status, `${method} ${path} with ${held}`).toBe(403);
    }
  },
);

test('a key for some queues knows no others: neither their tasks nor their names', async () => {
  const foreign = await send('default');
  const own = await send('mail');
  const with_ = (row: Row): Promise<number> => ask(row, keys.mailer.key);
  for (const rest of ['', '/log', '/explain', '/events']) {
    expect(await with_(['GET', `/v1/tasks/${foreign}${rest}`, 'read']), rest).toBe(404);
    expect(await with_(['GET', `/v1/tasks/${own}${rest}`, 'read']), rest).toBe(200);
  }
  for (const verb of ['cancel', 'retry']) {
    expect(await with_(['POST', `/v1/tasks/${foreign}/${verb}`, 'admin']), verb).toBe(404);
  }
  expect(await with_(['DELETE', `/v1/tasks/${foreign}`, 'admin'])).toBe(204);
  expect(await ask(['GET', `/v1/tasks/${foreign}`, 'read'], keys.admin.key), 'it is still there').toBe(200);
  expect(await with_(['GET', '/v1/queues/default', 'read'])).toBe(404);
  expect(await with_(['POST', '/v1/queues/default/pause', 'admin'])).toBe(404);
  expect(await with_(['POST', '/v1/tasks', 'enqueue', { type: 'add', input: INPUT }])).toBe(403);
  expect(await with_(['POST', '/add', 'enqueue', INPUT])).toBe(403);
  expect(await with_(['POST', '/v1/tasks', 'enqueue', { type: 'add', input: INPUT, queue: 'mail' }])).toBe(
    202,
  );
  expect(
    await with_(['PUT', '/v1/schedules/mine', 'admin', { everyMs: 60_000, type: 'add', input: INPUT }]),
  ).toBe(403);
  const listed = await fetch(`${server.url()}/v1/queues`, {
    headers: { authorization: `Bearer ${keys.mailer.key}` },
  });
  const { items } = (await listed.json()) as { items: { queue: string }[] };
  expect(items.map(({ queue }) => queue)).toEqual(['mail']);
});
