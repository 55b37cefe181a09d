// Registered endpoints that are told how workflows and batches have ended.

import { Webhook } from 'standardwebhooks';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Server } from '../../src/server/server.ts';
import { createDeliveries } from '../../src/webhooks/deliveries.ts';
import { eventually } from '../support/eventually.ts';
import { createHandWorker, type HandWorker } from '../support/hand-worker.ts';
import { type Answer, call } from '../support/http.ts';
import { openReceiver, type Received, type Receiver } from '../support/receiver.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { SERVER_SETTINGS, silent, startServer } from '../support/server.ts';

const INPUT = { one: 1, two: 2 };
const WRONG = { name: 'TypeError', message: 'wrong' };
const SHORT = { heartbeatMs: 200, leaseMs: 1_000, blockMs: 500, popGraceMs: 300, drainMs: 100 };

let redis: TestRedis;
let server: Server;
let worker: HandWorker;
let receiver: Receiver;
let secret: string;
let path: string;

beforeAll(async () => {
  redis = await startRedis();
  receiver = await openReceiver();
  const settings = { ...SHORT, webhookAllow: ['127.0.0.1'] };
  const connection = silent(redis.url);
  server = await startServer(redis.url, 65_536, settings, {
    openDeliveries: async (endpoints) =>
      createDeliveries(
        { ...SERVER_SETTINGS, ...settings, lowLanesPercent: 0, webhookConcurrency: 4 },
        { connection, endpoints, log: connection.log },
      ),
  });
  worker = createHandWorker(redis.url);
  await eventually(async () => (await fetch(`${server.url()}/readyz`)).ok);
  const definition = { url: receiver.url, kinds: ['workflow', 'batch'], states: ['succeeded', 'dead'] };
  const { status, body } = await ask('POST', '/v1/webhooks', definition);
  expect([status, body]).toMatchObject([201, definition]);
  secret = String(body['secret']);
  path = `/v1/webhooks/${String(body['id'])}`;
  // Whoever accepts knows of it a little later.
  await eventually(async () => {
    const id = String((await ask('POST', '/v1/batches', {})).body['id']);
    return (await redis.client.hexists('pf:{default}:followers', id)) === 1;
  });
});
afterAll(async () => {
  worker?.close();
  await server?.stop();
  await receiver?.close();
  await redis?.stop();
});

function ask(method: string, where: string, body?: unknown): Promise<Answer> {
  return call(server.url() + where, {
    method,
    headers: { 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
}

interface Message {
  readonly type: string;
  readonly data: Readonly<Record<string, unknown>>;
}

const verified = ({ body, headers }: Received): Message =>
  new Webhook(secret).verify(body, headers) as Message;

/** Waits for so many messages about a record. */
function told(id: string, count = 1): Promise<readonly Message[]> {
  return eventually(() => {
    const about = receiver.received.map(verified).filter(({ data }) => data['id'] === id);
    return about.length >= count && about;
  });
}

async function end(queue: string, word: 'succeeded' | 'dead'): Promise<string> {
  const id = await worker.take(queue);
  await worker.end(id, word, word === 'dead' ? WRONG : { sum: 3 });
  return id;
}

const tasks = { only: { type: 'add', input: INPUT, queue: 'flows', maxAttempts: 1 } };

test('of a workflow each end is told, also after a retry; its steps are not', async () => {
  const id = String((await ask('POST', '/v1/workflows', { name: 'order', tasks })).body['id']);
  await end('flows', 'dead');
  await told(id);
  expect((await ask('POST', `/v1/workflows/${id}/retry`)).status).toBe(202);
  await end('flows', 'succeeded');
  const data = { id, name: 'order', queue: 'flows', counts: { total: 1 } };
  expect(await told(id, 2)).toMatchObject([
    { type: 'workflow.dead', data: { ...data, state: 'dead', generation: 1 } },
    { type: 'workflow.succeeded', data: { ...data, state: 'succeeded', generation: 2 } },
  ]);
  const { items } = (await ask('GET', `${path}/deliveries`)).body as { items: Record<string, string>[] };
  expect(items.map((one) => [one['event'], one['workflow'], one['task']])).toEqual([
    ['workflow.succeeded', id, undefined],
    ['workflow.dead', id, undefined],
  ]);
});

test('of a batch both are told: that it was dead, and that all has succeeded after a retry; what follows it comes too', async () => {
  const then = {
    success: { type: 'add', input: INPUT, queue: 'after' },
    complete: { type: 'add', input: INPUT, queue: 'after' },
  };
  const id = String((await ask('POST', '/v1/batches', { name: 'mails', then })).body['id']);
  const member = { type: 'add', input: INPUT, queue: 'members', maxAttempts: 1 };
  await ask('POST', `/v1/batches/${id}/tasks`, [member]);
  await ask('POST', `/v1/batches/${id}/close`);
  const task = await end('members', 'dead');
  await told(id);
  expect((await ask('POST', `/v1/tasks/${task}/retry`)).status).toBe(202);
  await end('members', 'succeeded');
  expect(await told(id, 2)).toMatchObject([
    { type: 'batch.dead', data: { id, name: 'mails', state: 'dead', counts: { members: 1 } } },
    { type: 'batch.succeeded', data: { id, state: 'succeeded' } },
  ]);
  await eventually(async () => (await redis.client.hget('pf:{after}:count', 'accepted')) === '2');
  const empty = String((await ask('POST', '/v1/batches', {})).body['id']);
  await ask('POST', `/v1/batches/${empty}/close`);
  expect((await told(empty)).map(({ type }) => type)).toEqual(['batch.succeeded']);
});

test('a state that it leaves out is not told', async () => {
  const before = await redis.client.hget('pf:{webhooks}:count', 'accepted');
  const id = String((await ask('POST', '/v1/workflows', { tasks })).body['id']);
  await ask('POST', `/v1/workflows/${id}/cancel`);
  await eventually(async () => (await ask('GET', `/v1/workflows/${id}`)).body['state'] === 'cancelled');
  await eventually(async () => (await redis.client.hlen('pf:{flows}:outbox')) === 0);
  expect(await redis.client.hget('pf:{webhooks}:count', 'accepted')).toBe(before);
  const wrong = await ask('POST', '/v1/webhooks', { url: receiver.url, kinds: ['day'] });
  expect([wrong.status, wrong.body['errors']]).toMatchObject([422, [{ pointer: '#/kinds/0' }]]);
});
