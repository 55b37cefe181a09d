// Operations over HTTP: seen before they are done, confirmed, shown while they go on, and for the queues of the key alone.

import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { createKey, readApiKeys } from '../../src/server/auth/api-keys.ts';
import type { Server } from '../../src/server/server.ts';
import { type Answer, call, post } from '../support/http.ts';
import { eventually } from '../support/eventually.ts';
import { createHandWorker, type HandWorker } from '../support/hand-worker.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { startServer } from '../support/server.ts';
import { openForTest, resumeFrom } from '../support/sse.ts';

const admin = createKey(['admin'], undefined);
const mailer = createKey(['admin'], ['mail']);
const reader = createKey(['admin'], ['news']);
const ERROR = { name: 'Error', message: 'no', fingerprint: '0123456789abcdef' };

let redis: TestRedis;
let server: Server;
let worker: HandWorker;

beforeAll(async () => {
  redis = await startRedis();
  const { keys: apiKeys } = readApiKeys([admin.entry, mailer.entry, reader.entry].join(','));
  server = await startServer(redis.url, 65_536, { apiKeys });
  worker = createHandWorker(redis.url);
  await eventually(async () => (await call(`${server.url()}/readyz`)).status === 200);
});
afterAll(async () => {
  worker?.close();
  await server?.stop();
  await redis?.stop();
});
beforeEach(async () => {
  // The server keeps the secret in mind for a second.
  const secret = await redis.client.get('pf:session-secret');
  await redis.client.flushall();
  if (secret !== null) await redis.client.set('pf:session-secret', secret);
  await redis.client.sadd('pf:queues', 'default', 'mail', 'news');
});

const with_ = ({ key }: { key: string }): Record<string, string> => ({ authorization: `Bearer ${key}` });
const ask = (body: unknown, key = admin): Promise<Answer> =>
  post(`${server.url()}/v1/operations`, body, with_(key));
const look = (path: string, key = admin): Promise<Answer> =>
  call(`${server.url()}/v1/operations${path}`, { headers: with_(key) });

async function send(queue = 'default'): Promise<string> {
  const task = { type: 'add', input: { one: 1, two: 2 }, queue };
  return String((await post(`${server.url()}/v1/tasks`, task, with_(admin))).body['id']);
}

async function kill(queue = 'default'): Promise<string> {
  const id = await send(queue);
  expect(await worker.take(queue)).toBe(id);
  await worker.end(id, 'dead', ERROR);
  return id;
}

const stateOf = async (id: string): Promise<unknown> =>
  (await call(`${server.url()}/v1/tasks/${id}`, { headers: with_(admin) })).body['state'];

/** A dry run, and the request that follows it. */
async function start(body: { readonly [name: string]: unknown }, key = admin): Promise<Answer> {
  const { first: _, stopAfterErrors: __, thenRest: ___, reason: ____, ...asked } = body;
  const { confirm } = (await ask({ ...asked, dryRun: true }, key)).body;
  return ask({ ...body, confirm }, key);
}

async function ended(id: unknown): Promise<Record<string, unknown>> {
  return eventually(async () => {
    const { body } = await look(`/${String(id)}`);
    return ['done', 'stopped', 'cancelled'].includes(String(body['state'])) && body;
  });
}

const RETRY = { action: 'retry', filter: { queue: 'default' } };

test('a dry run says what would be done, and does nothing', async () => {
  const ids = [await kill(), await kill()];
  await send();
  const { status, body } = await ask({ ...RETRY, dryRun: true });
  expect(status).toBe(200);
  expect(body).toEqual({
    matched: { value: 2, relation: 'eq' },
    sample: ids,
    perState: { dead: 2 },
    estimateSeconds: 1,
    confirm: expect.stringMatching(/^\d+\.[\w-]{43}$/),
  });
  expect(await stateOf(ids[0] ?? '')).toBe('dead');
  expect((await look('')).body).toEqual({ items: [] });
});

test('without a confirm it is refused with a sentence that says how to get one, and so is one for anything else', async () => {
  await kill();
  const refused = await ask(RETRY);
  expect(refused.status).toBe(409);
  expect(refused.body).toMatchObject({
    code: 'confirm-needed',
    detail: expect.stringContaining('"dryRun": true'),
  });
  const { confirm } = (await ask({ ...RETRY, dryRun: true })).body;
  const others = [
    { ...RETRY, action: 'delete' },
    { ...RETRY, filter: { queue: 'mail' } },
    { ...RETRY, filter: { queue: 'default', type: 'add' } },
  ];
  for (const body of others) expect((await ask({ ...body, confirm })).status).toBe(409);
  // Of another caller, spoilt, and too old.
  const mail = { ...RETRY, filter: { queue: 'mail' } };
  const foreign = (await ask({ ...mail, dryRun: true })).body['confirm'];
  const token = String(confirm);
  expect((await ask({ ...mail, confirm: foreign }, mailer)).status).toBe(409);
  for (const spoilt of ['', 'x', token.slice(0, -1), `1${token}`, token.replace(/^\d+/, '1')]) {
    expect((await ask({ ...RETRY, confirm: spoilt })).status, spoilt).toBe(409);
  }
  // What is only said of it may differ, and the order of the filter.
  expect((await ask({ ...RETRY, reason: 'r', confirm })).status).toBe(202);
});

test('a confirmed operation is accepted, shown, and the same one when the request is sent again', async () => {
  const ids = [await kill(), await kill()];
  const { confirm } = (await ask({ ...RETRY, dryRun: true })).body;
  const first = await ask({ ...RETRY, reason: 'fixed', confirm });
  expect(first.status).toBe(202);
  const id = String(first.body['id']);
  expect(first.headers.get('location')).toBe(`/v1/operations/${id}`);
  const view = await ended(id);
  expect(view).toMatchObject({
    id,
    queue: 'default',
    state: 'done',
    ...RETRY,
    by: admin.entry.split(':')[0],
    reason: 'fixed',
    matched: 2,
    done: 2,
    requested: 0,
    skipped: {},
    failed: {},
  });
  expect(view['next']).toBeUndefined();
  expect(await Promise.all(ids.map(stateOf))).toEqual(['ready', 'ready']);
  const again = await ask({ ...RETRY, reason: 'fixed', confirm });
  expect([again.status, again.body['id']]).toEqual([202, id]);
  const { items } = (await look('?queue=default')).body as { items: { id: string }[] };
  expect(items.map((item) => item.id)).toEqual([id]);
  expect((await look('?queue=mail')).body).toEqual({ items: [] });
});

test('a canary names the body that retries the others', async () => {
  await kill();
  await kill();
  const { body } = await start({ ...RETRY, first: 1, stopAfterErrors: 1 });
  const watching = await eventually(async () => {
    const now = (await look(`/${String(body['id'])}`)).body;
    return now['state'] === 'watching' && now;
  });
  expect(watching).toMatchObject({ first: 1, stopAfterErrors: 1, done: 1 });
  await worker.end(await worker.take(), 'succeeded', 3);
  const { next, watched } = await ended(body['id']);
  expect(watched).toEqual({ succeeded: 1, dead: 0, others: 0 });
  expect(next).toMatchObject({ ...RETRY, stopAfterErrors: 1 });
  const rest = await ask(next);
  expect(rest.status).toBe(202);
  await worker.end(await eventually(() => worker.take()), 'dead', ERROR);
  expect(await ended(rest.body['id'])).toMatchObject({ state: 'stopped', done: 1, watched: { dead: 1 } });
});

test('an operation is cancelled once, and then the next one runs', async () => {
  await kill();
  // As if another server worked on it.
  await redis.client.hset('pf:{default}:queue', 'operated_by', 'another', 'operated_at', 1e15);
  const first = (await start({ action: 'delete', filter: RETRY.filter })).body;
  const second = (await start(RETRY)).body;
  expect([first['state'], second['state']]).toEqual(['waiting', 'waiting']);
  const cancel = (): Promise<Answer> =>
    post(`${server.url()}/v1/operations/${String(first['id'])}/cancel`, {}, with_(admin));
  expect(await cancel()).toMatchObject({ status: 200, body: { state: 'cancelled', done: 0 } });
  expect(await cancel()).toMatchObject({ status: 200, body: { state: 'cancelled' } });
  expect(await ended(second['id'])).toMatchObject({ state: 'done', done: 1 });
});

test('a key for some queues sees and starts operations of these alone', async () => {
  await kill('mail');
  await kill();
  const foreign = (await start(RETRY)).body['id'];
  const own = await start({ ...RETRY, filter: { queue: 'mail' } }, mailer);
  expect(own.status).toBe(202);
  expect((await ask({ ...RETRY, dryRun: true }, mailer)).status).toBe(422);
  expect((await look(`/${String(foreign)}`, mailer)).status).toBe(404);
  expect((await look('/none', mailer)).status).toBe(404);
  const { items } = (await look('', mailer)).body as { items: { queue: string }[] };
  expect(items.map(({ queue }) => queue)).toEqual(['mail']);
  expect((await look('?queue=default', mailer)).body).toEqual({ items: [] });
  const cancel = `${server.url()}/v1/operations/${String(foreign)}/cancel`;
  expect((await post(cancel, {}, with_(mailer))).status).toBe(404);
});

test('tasks move to another queue, and whoever waits for one of them gets its end', async () => {
  const ids = [await send(), await send()];
  const dead = await kill('mail');
  const waiting = call(`${server.url()}/v1/tasks/${ids[0]}?wait=30`, { headers: with_(admin) });
  const { body } = await start({ action: 'move', filter: { queue: 'default' }, to: 'mail' });
  expect(await ended(body['id'])).toMatchObject({ to: 'mail', matched: 2, done: 2, skipped: {} });
  const shown = await eventually(async () => {
    const all = await Promise.all(
      ids.map((id) => call(`${server.url()}/v1/tasks/${id}`, { headers: with_(admin) })),
    );
    return all.every((one) => one.body['queue'] === 'mail') && all;
  });
  expect(shown.map((one) => one.body['state'])).toEqual(['ready', 'ready']);
  expect([await worker.take('mail'), await worker.take('mail')]).toEqual(ids);
  await worker.end(ids[0] ?? '', 'succeeded', 3);
  expect((await waiting).body).toMatchObject({ id: ids[0], state: 'succeeded', queue: 'mail', result: 3 });
  const counts = async (queue: string): Promise<unknown> =>
    (await call(`${server.url()}/v1/queues/${queue}`, { headers: with_(admin) })).body['counts'];
  await eventually(async () => (await redis.client.exists('pf:{default}:outbox')) === 0);
  expect(await counts('default')).toMatchObject({ accepted: 0, moved: 0, removed: 0 });
  expect(await counts('mail')).toMatchObject({ accepted: 3, running: 1, succeeded: 1, dead: 1 });
  expect(await stateOf(dead)).toBe('dead');
});

test.each([
  ['no object', [], '#'],
  ['no filter', { action: 'retry' }, '#/filter'],
  ['no queue', { action: 'retry', filter: {} }, '#/filter/queue'],
  ['a queue that is not there', { ...RETRY, filter: { queue: 'defualt' } }, '#/filter/queue'],
  ['an unknown action', { ...RETRY, action: 'purge' }, '#/action'],
  ['a state that is none', { ...RETRY, filter: { queue: 'default', state: 'gone' } }, '#/filter/state'],
  [
    'a state for another action',
    { ...RETRY, filter: { queue: 'default', state: 'ready' } },
    '#/filter/state',
  ],
  [
    'delete of what runs',
    { action: 'delete', filter: { queue: 'default', state: 'running' } },
    '#/filter/state',
  ],
  [
    'a fingerprint that is none',
    { ...RETRY, filter: { queue: 'default', fingerprint: 'x' } },
    '#/filter/fingerprint',
  ],
  [
    'a time that is none',
    { ...RETRY, filter: { queue: 'default', endedAfter: 'now' } },
    '#/filter/endedAfter',
  ],
  ['no id', { ...RETRY, filter: { queue: 'default', ids: [] } }, '#/filter/ids'],
  ['what is no id', { ...RETRY, filter: { queue: 'default', ids: ['x'] } }, '#/filter/ids/0'],
  ['a field without a value', { ...RETRY, filter: { queue: 'default', field: 'x' } }, '#/filter/field'],
  ['an unknown field', { ...RETRY, filter: { queue: 'default', typ: 'add' } }, '#/filter/typ'],
  ['none at first', { ...RETRY, first: 0 }, '#/first'],
  ['too many to watch', { ...RETRY, first: 1_001, stopAfterErrors: 1 }, '#/first'],
  [
    'a canary that is cancelled',
    { action: 'cancel', filter: RETRY.filter, stopAfterErrors: 1 },
    '#/stopAfterErrors',
  ],
  ['a move to nowhere', { action: 'move', filter: RETRY.filter }, '#/to'],
  ['a move to where they are', { action: 'move', filter: RETRY.filter, to: 'default' }, '#/to'],
  ['a move to a queue that is not there', { action: 'move', filter: RETRY.filter, to: 'nowhere' }, '#/to'],
  ['a move of webhooks', { action: 'move', filter: { queue: 'webhooks' }, to: 'mail' }, '#/filter/queue'],
  ['a move to webhooks', { action: 'move', filter: RETRY.filter, to: 'webhooks' }, '#/to'],
  ['a purge of webhooks', { action: 'delete', filter: { queue: 'webhooks' } }, '#/filter/queue'],
  ['a retry that moves', { ...RETRY, to: 'mail' }, '#/to'],
  ['a rest without a canary', { ...RETRY, thenRest: true, first: 1 }, '#/thenRest'],
])('%s is refused and named', async (_, body, pointer) => {
  const refused = await ask(body);
  expect(refused.status).toBe(422);
  expect(refused.body['errors']).toEqual([
    { pointer, detail: expect.stringMatching(/^(is|must|can|needs)/) },
  ]);
});

test('times are read as elsewhere', async () => {
  const id = await kill();
  const filter = {
    queue: 'default',
    acceptedAfter: '2020-01-01T00:00:00Z',
    endedBefore: Date.now() + 60_000,
  };
  expect((await ask({ ...RETRY, filter, dryRun: true })).body).toMatchObject({ sample: [id] });
  const { body } = await start({ ...RETRY, filter });
  expect(body['filter']).toEqual({ ...filter, acceptedAfter: Date.parse('2020-01-01T00:00:00Z') });
  expect(await ended(body['id'])).toMatchObject({ done: 1 });
});

test('the event stream tells how far an operation is, to those that see its queue', async () => {
  const all = await openForTest(`${server.url()}/v1/events`, { headers: with_(admin) });
  const narrow = await openForTest(`${server.url()}/v1/events?states=dead`, { headers: with_(admin) });
  const news = await openForTest(`${server.url()}/v1/events`, { headers: with_(reader) });
  await kill();
  const { id, queue } = (await start(RETRY)).body;
  const isOver = { name: 'operation', data: expect.objectContaining({ operation: id, state: 'done' }) };
  await eventually(() => all.named('operation').some(({ data }) => data['state'] === 'done'));
  const told = all.named('operation').map(({ data }) => data);
  expect(told.map(({ state }) => state)).toEqual(['waiting', 'done']);
  const numbers = { total: 1, looked: 1, matched: 1, done: 1, at: expect.stringMatching(/Z$/) };
  expect(told[1]).toEqual({ queue, operation: id, state: 'done', ...numbers });

  // One that is named is told at once as it is, and what a client missed when it is back.
  const topic = `${server.url()}/v1/events?topics=operation:${String(id)}`;
  const one = await openForTest(topic, { headers: with_(admin) });
  expect(await one.until('operation')).toMatchObject([isOver]);
  const [waiting] = all.named('operation');
  const back = await openForTest(topic, {
    headers: { ...with_(admin), ...resumeFrom(waiting?.id ?? '').headers },
  });
  expect(await back.until('operation', 2)).toMatchObject([isOver, isOver]);
  expect(back.named('state')).toEqual([]);

  expect((await call(topic, { headers: with_(reader) })).body).toMatchObject({
    code: 'not-found',
    detail: expect.stringContaining('no such operation'),
  });
  await narrow.until('state');
  await start({ ...RETRY, filter: { queue: 'news' } }, reader);
  await news.until('operation', 2);
  expect(news.named('operation').every(({ data }) => data['queue'] === 'news')).toBe(true);
  expect(narrow.named('operation')).toEqual([]);
});
