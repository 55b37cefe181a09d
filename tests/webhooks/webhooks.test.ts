// Webhooks from the end of a task to their receiver, over a real server and Redis: by call, by type, by schedule and by endpoint.

import { Webhook } from 'standardwebhooks';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import * as v from 'valibot';
import { Popfleet } from '../../src/client/client.ts';
import { newTaskId } from '../../src/protocol/task-id.ts';
import { createKey, readApiKeys } from '../../src/server/auth/api-keys.ts';
import type { Server } from '../../src/server/server.ts';
import { defineTask } from '../../src/tasks/define.ts';
import { createDeliveries } from '../../src/webhooks/deliveries.ts';
import { eventually } from '../support/eventually.ts';
import { createHandWorker, type HandWorker } from '../support/hand-worker.ts';
import { type Answer, call } from '../support/http.ts';
import { openReceiver, type Received, type Receiver } from '../support/receiver.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { SERVER_SETTINGS, silent, startServer, testRegistry } from '../support/server.ts';

const INPUT = { one: 1, two: 2 };
const admin = createKey(['admin'], undefined);
const mailer = createKey(['admin'], ['mail']);
const SHORT = { heartbeatMs: 200, leaseMs: 1_000, blockMs: 500, popGraceMs: 300, drainMs: 100 };

let redis: TestRedis;
let server: Server;
let worker: HandWorker;
let receiver: Receiver;
let secret: string;

beforeAll(async () => {
  redis = await startRedis();
  receiver = await openReceiver();
  const { keys: apiKeys } = readApiKeys([admin.entry, mailer.entry].join(','));
  const webhook = { url: `http://127.0.0.1:${receiver.port}/type`, states: ['succeeded' as const] };
  const hooked = defineTask({
    type: 'hooked',
    input: v.unknown(),
    defaults: { webhook },
    run: () => undefined,
  });
  const registry = new Map([...(await testRegistry()), [hooked.type, hooked]]);
  const settings = { ...SHORT, apiKeys, webhookAllow: ['127.0.0.1'] };
  const connection = silent(redis.url);
  server = await startServer(redis.url, 65_536, settings, {
    registry,
    openDeliveries: async (endpoints) =>
      createDeliveries(
        { ...SERVER_SETTINGS, ...settings, lowLanesPercent: 0, webhookConcurrency: 4 },
        { connection, endpoints, log: connection.log },
      ),
  });
  worker = createHandWorker(redis.url);
  await eventually(async () => (await fetch(`${server.url()}/readyz`)).ok);
  const { body } = await ask('GET', '/v1/webhooks/secret');
  secret = (body['items'] as readonly { readonly secret: string }[])[0]?.secret ?? '';
});
afterAll(async () => {
  worker?.close();
  await server?.stop();
  await receiver?.close();
  await redis?.stop();
});
beforeEach(() => {
  receiver.answer = 204;
});

function ask(method: string, path: string, body?: unknown, key = admin.key): Promise<Answer> {
  return call(server.url() + path, {
    method,
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
}

async function send(options: object, type = 'add', input: unknown = INPUT): Promise<string> {
  const { status, body } = await ask('POST', '/v1/tasks', { type, input, ...options });
  expect({ status, body }).toMatchObject({ status: 202 });
  return String(body['id']);
}

/** What a message about a task says. */
interface Message {
  readonly type: string;
  readonly timestamp: string;
  readonly data: Record<string, unknown>;
}

const dataOf = ({ body }: Received): Message => JSON.parse(body) as Message;
/** Messages about a task, in the order in which they came. */
const about = (id: string): readonly Received[] =>
  receiver.received.filter((one) => dataOf(one).data['id'] === id);

/** Waits for so many messages about a task. */
function told(id: string, count = 1): Promise<readonly Received[]> {
  return eventually(() => (about(id).length >= count ? about(id) : undefined));
}

async function succeed(queue?: string, result: unknown = { sum: 3 }): Promise<void> {
  await worker.end(await worker.take(queue), 'succeeded', result);
}

test('by call: the receiver is told how the task has ended, and the task shows the delivery', async () => {
  const webhook = { url: `${receiver.url}?of=call` };
  const id = await send({ webhook });
  expect((await ask('GET', `/v1/tasks/${id}`)).body['webhooks']).toEqual([webhook]);
  await succeed();
  const [message] = await told(id);
  if (!message) throw new Error('nothing came');
  expect(new Webhook(secret).verify(message.body, message.headers)).toBeTruthy();
  expect(message.path).toBe('/hook?of=call');
  const task = (await ask('GET', `/v1/tasks/${id}`)).body;
  const { type, timestamp, data } = dataOf(message);
  expect({ type, timestamp }).toEqual({ type: 'task.succeeded', timestamp: task['finishedAt'] });
  const { options: _, errors: __, webhooks, ...shown } = task;
  expect(data).toEqual(shown);
  expect(data['result']).toEqual({ sum: 3 });
  const [{ delivery = '' } = {}] = webhooks as readonly { readonly delivery?: string }[];
  expect(message.headers['webhook-id']).toBe(delivery);
  const delivered = await eventually(async () => {
    const { body } = await ask('GET', `/v1/tasks/${delivery}`);
    return body['state'] === 'succeeded' ? body : undefined;
  });
  expect(delivered).toMatchObject({
    queue: 'webhooks',
    type: 'popfleet.webhook',
    result: { status: 204 },
    cause: { id, state: 'succeeded' },
    options: { maxAttempts: 10 },
  });
  // Else a key could have what it likes signed with the secrets of others.
  const edited = await ask('POST', `/v1/tasks/${delivery}/retry`, { input: { ...INPUT } });
  expect(edited.status).toBe(404);
  expect(edited.body['detail']).toMatch(/is reserved for deliveries/);
});

test('only the ends that were asked for; a task that is retried tells of each end', async () => {
  const webhook = { url: receiver.url, states: ['dead'] };
  const quiet = await send({ webhook });
  await succeed();
  const id = await send({ webhook });
  await worker.end(await worker.take(), 'dead', { name: 'TypeError', message: 'wrong' });
  const [first] = await told(id);
  expect(first && dataOf(first)).toMatchObject({
    type: 'task.dead',
    data: { state: 'dead', error: { name: 'TypeError' } },
  });
  expect((await ask('POST', `/v1/tasks/${id}/retry`)).status).toBe(202);
  await worker.end(await worker.take(), 'dead', { name: 'RangeError', message: 'again' });
  const [, second] = await told(id, 2);
  expect(second && dataOf(second).data).toMatchObject({ error: { name: 'RangeError' } });
  expect(second?.headers['webhook-id']).not.toBe(first?.headers['webhook-id']);
  expect(about(quiet)).toEqual([]);
});

test('what is large is linked, not sent', async () => {
  const id = await send({ webhook: { url: receiver.url } }, 'hooked', { text: 'x'.repeat(9_000) });
  await succeed(undefined, 'y'.repeat(9_000));
  const [message] = await told(id);
  const { data } = dataOf(message as Received);
  expect(data).not.toHaveProperty('input');
  expect(data).not.toHaveProperty('result');
  expect(data['links']).toMatchObject({ input: `/v1/tasks/${id}`, result: `/v1/tasks/${id}` });
});

test('by type, and its cancelled tasks are not told of', async () => {
  const quiet = await send({ queue: 'quiet' }, 'hooked');
  await ask('POST', `/v1/tasks/${quiet}/cancel`);
  const id = await send({}, 'hooked');
  await succeed();
  expect((await told(id))[0]?.path).toBe('/type');
  expect(about(quiet)).toEqual([]);
});

test('beside what follows with onEnd', async () => {
  const id = await send({ webhook: { url: receiver.url }, onEnd: { type: 'hooked', queue: 'side' } });
  expect((await ask('GET', `/v1/tasks/${id}`)).body).toMatchObject({
    onEnd: { type: 'hooked', queue: 'side' },
    webhooks: [{ url: receiver.url }],
  });
  await succeed();
  await told(id);
  const follower = await eventually(() => worker.take('side').catch(() => undefined));
  await worker.end(follower, 'succeeded');
  expect((await told(follower))[0]?.path).toBe('/type');
});

test('a registered endpoint: its types, its queues, its secret, its log', async () => {
  const added = await ask('POST', '/v1/webhooks', {
    url: `http://127.0.0.1:${receiver.port}/endpoint`,
    types: ['add'],
    queues: ['mail', 'post'],
  });
  expect(added.status).toBe(201);
  const { secret: own, ...view } = added.body;
  const endpoint = String(view['id']);
  expect((await ask('GET', `/v1/webhooks/${endpoint}`)).body).toEqual(view);
  expect((await ask('GET', '/v1/webhooks')).body).toEqual({ items: [view] });
  // Whoever accepts tasks knows of it a little later.
  const id = await eventually(async () => {
    const sent = await send({ queue: 'mail' });
    return (await ask('GET', `/v1/tasks/${sent}`)).body['webhooks'] ? sent : undefined;
  });
  const others = [await send({ queue: 'mail' }, 'hooked'), await send({ queue: 'elsewhere' })];
  await ask('POST', `/v1/tasks/${id}/cancel`);
  for (const other of others) await ask('POST', `/v1/tasks/${other}/cancel`);
  const [message] = await told(id);
  if (!message) throw new Error('nothing came');
  expect(message.path).toBe('/endpoint');
  expect(new Webhook(String(own)).verify(message.body, message.headers)).toMatchObject({
    type: 'task.cancelled',
  });
  expect(others.flatMap(about)).toEqual([]);

  const rotated = await ask('POST', `/v1/webhooks/${endpoint}/rotate`);
  expect(rotated.body).toMatchObject({ id: endpoint, oldSecretUntil: expect.any(String) });
  const items = await eventually(async () => {
    const { body } = await ask('GET', `/v1/webhooks/${endpoint}/deliveries`);
    return (body['items'] as readonly object[]).length > 0 ? (body['items'] as readonly object[]) : undefined;
  });
  const delivery = message.headers['webhook-id'];
  expect(items).toMatchObject([{ delivery, task: id, event: 'task.cancelled', status: 204 }]);

  const sent = await ask('POST', `/v1/webhooks/${endpoint}/test`);
  expect(sent.status).toBe(202);
  const tested = await ask('GET', `/v1/tasks/${String(sent.body['id'])}?wait=60`);
  expect(tested.body).toMatchObject({ state: 'succeeded', result: { status: 204 } });
  const sample = receiver.received.find(({ body }) => body.includes('webhook.test'));
  expect(new Webhook(String(own)).verify(sample?.body ?? '', sample?.headers ?? {})).toMatchObject({
    type: 'webhook.test',
    data: { endpoint },
  });
  expect((await ask('GET', `/v1/webhooks/${endpoint}/deliveries`)).body['items']).toContainEqual(
    expect.objectContaining({ delivery: sent.body['id'], event: 'webhook.test', status: 204 }),
  );

  const path = `/v1/webhooks/${endpoint}/deliveries/${delivery}/resend`;
  const resent = await eventually(async () => {
    const answer = await ask('POST', path);
    return answer.status === 202 ? answer : undefined;
  });
  expect(resent.body['id']).not.toBe(delivery);
  const [, again] = await told(id, 2);
  expect(again?.body).toBe(message.body);
  expect(again?.headers['webhook-id']).toBe(delivery);
  for (const one of [own, rotated.body['secret']]) {
    expect(new Webhook(String(one)).verify(again?.body ?? '', again?.headers ?? {})).toBeTruthy();
  }

  receiver.answer = 410;
  expect((await ask('POST', path)).status).toBe(202);
  const gone = await eventually(async () => {
    const { body } = await ask('GET', `/v1/webhooks/${endpoint}`);
    return body['disabled'] ? body : undefined;
  });
  expect(gone).toMatchObject({ disabled: { reason: expect.stringContaining('410') } });
  expect(await ask('POST', `/v1/webhooks/${endpoint}/test`)).toMatchObject({
    status: 409,
    body: { code: 'invalid-state', detail: expect.stringContaining('enable it first') },
  });
  const { url, types, queues } = view;
  const changed = await ask('PUT', `/v1/webhooks/${endpoint}`, { url, types, queues, disabled: false });
  expect(changed.body).not.toHaveProperty('disabled');
  expect((await ask('DELETE', `/v1/webhooks/${endpoint}`)).status).toBe(204);
  expect((await ask('GET', `/v1/webhooks/${endpoint}`)).status).toBe(404);
});

test('the client registers, changes, rotates and removes an endpoint', async () => {
  const { webhooks } = new Popfleet({ url: server.url(), key: admin.key });
  const { secret: first, ...added } = await webhooks.add({ url: receiver.url, kinds: ['batch'] });
  expect(first).toMatch(/^whsec_/);
  const { id } = added;
  expect(await webhooks.list()).toEqual([added]);
  const changed = await webhooks.put(id, { url: receiver.url, types: ['add'], disabled: true });
  expect(changed).toMatchObject({ id, types: ['add'], disabled: { reason: 'it was disabled by hand' } });
  expect(await webhooks.get(id)).toEqual(changed);
  const rotated = await webhooks.rotate(id);
  expect(rotated.secret).not.toBe(first);
  expect(rotated.oldSecretUntil).toBeDefined();
  expect(await webhooks.attempts(id)).toEqual([]);
  await expect(webhooks.resend(id, newTaskId())).rejects.toMatchObject({ code: 'not-found' });
  await webhooks.remove(id);
  await expect(webhooks.get(id)).rejects.toMatchObject({ status: 404 });
});

test('a key sees the deliveries and the endpoints of its own queues alone', async () => {
  const ids = [
    await send({ queue: 'mail', webhook: { url: receiver.url } }),
    await send({ webhook: { url: receiver.url } }),
  ];
  for (const id of ids) await ask('POST', `/v1/tasks/${id}/cancel`);
  const deliveries: string[] = [];
  for (const id of ids) deliveries.push((await told(id))[0]?.headers['webhook-id'] ?? '');
  const seen = await Promise.all(
    deliveries.map((id) => ask('GET', `/v1/tasks/${id}`, undefined, mailer.key)),
  );
  expect(seen.map(({ status }) => status)).toEqual([200, 404]);
  expect((await ask('GET', '/v1/tasks?queue=webhooks', undefined, mailer.key)).body).toEqual({ items: [] });
  expect((await ask('GET', '/v1/webhooks/secret', undefined, mailer.key)).status).toBe(403);
  const all = await ask('POST', '/v1/webhooks', { url: receiver.url });
  expect(all.status).toBe(201);
  const path = `/v1/webhooks/${String(all.body['id'])}`;
  expect((await ask('GET', path, undefined, mailer.key)).status).toBe(404);
  expect((await ask('POST', '/v1/webhooks', { url: receiver.url }, mailer.key)).status).toBe(403);
  const own = await ask('POST', '/v1/webhooks', { url: receiver.url, queues: ['mail'] }, mailer.key);
  expect(own.status).toBe(201);
  expect((await ask('GET', '/v1/webhooks', undefined, mailer.key)).body['items']).toHaveLength(1);
  await ask('DELETE', path);
  await ask('DELETE', `/v1/webhooks/${String(own.body['id'])}`);
});

test('an endpoint that is inside, or a schedule for the reserved queue, is refused with a sentence', async () => {
  const inside = await ask('POST', '/v1/webhooks', { url: 'http://169.254.169.254/' });
  expect(inside.status).toBe(422);
  expect(inside.body['detail']).toMatch(/WEBHOOK_ALLOW/);
  const schedule = { everyMs: 3_600_000, type: 'add', input: INPUT, queue: 'webhooks' };
  expect((await ask('PUT', '/v1/schedules/reserved', schedule)).status).toBe(422);
});

test('a schedule tells of the tasks that it makes', async () => {
  const schedule = { everyMs: 3_600_000, type: 'add', input: INPUT, webhook: { url: receiver.url } };
  const { body } = await ask('PUT', '/v1/schedules/told', schedule);
  expect(body['webhook']).toEqual({ url: receiver.url });
});
