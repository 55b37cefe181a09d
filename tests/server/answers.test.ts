// What the server answers when all is well: both formats, the headers, the short routes and the queues.

import { connect } from 'node:net';
import { decode } from 'cbor-x';
import { expect, test } from 'vitest';
import { encodeCbor } from '../../src/protocol/cbor.ts';
import { eventually } from '../support/eventually.ts';
import { call, post } from '../support/http.ts';
import { withServer } from '../support/with-server.ts';

const ID = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

const main = withServer();

test('a fresh Redis has no queues', async () => {
  expect((await call(`${main.url()}/v1/queues`)).body).toEqual({ items: [] });
});

test('POST /add answers 202 with "task sent", id, state and where to look', async () => {
  const { status, headers, body } = await post(`${main.url()}/add`, { one: 1, two: 2 });
  expect(status).toBe(202);
  const id = String(body['id']);
  expect(body).toEqual({
    message: 'task sent',
    id: expect.stringMatching(ID),
    type: 'add',
    state: 'ready',
    queue: 'default',
    priority: 'normal',
    links: { self: `/v1/tasks/${id}`, events: `/v1/tasks/${id}/events` },
  });
  expect(headers.get('location')).toBe(`/v1/tasks/${id}`);
  expect(headers.get('content-type')).toBe('application/json');
  expect(headers.get('x-content-type-options')).toBe('nosniff');
  expect((await call(`${main.url()}${headers.get('location')}`)).body).toMatchObject({
    id,
    state: 'ready',
  });
});

test('POST /v1/tasks puts a task into the queue and the lane that were asked for', async () => {
  const { status, body } = await post(`${main.url()}/v1/tasks`, {
    type: 'subtract',
    input: { one: 1, two: 2 },
    queue: 'mail.out_1',
    priority: 'high',
  });
  expect(status).toBe(202);
  expect(body).toMatchObject({ type: 'subtract', state: 'ready', queue: 'mail.out_1', priority: 'high' });
  expect(await main.redis().client.llen('pf:{mail.out_1}:ready:high')).toBe(1);
  const record = (await call(`${main.url()}/v1/tasks/${String(body['id'])}`)).body;
  expect(record).toMatchObject({ queue: 'mail.out_1', priority: 'high', input: { one: 1, two: 2 } });
});

test.each(['/add', '//add', '/add/', '//add//'])(
  'slashes around the path do not matter: %s',
  async (path) => {
    const { status, body } = await post(`${main.url()}${path}`, { one: 1, two: 2 });
    expect([status, body['type']]).toEqual([202, 'add']);
  },
);

test('a CBOR body is taken, and the same task is stored as from JSON', async () => {
  const asCbor = await call(`${main.url()}/add`, {
    method: 'POST',
    headers: { 'content-type': 'application/cbor' },
    body: Uint8Array.from(encodeCbor({ one: -5, two: 7 })),
  });
  expect(asCbor.status).toBe(202);
  const asJson = await post(`${main.url()}/add`, { one: -5, two: 7 });
  const records = await Promise.all(
    [asCbor, asJson].map(
      async ({ body }) => (await call(`${main.url()}/v1/tasks/${String(body['id'])}`)).body,
    ),
  );
  expect(records[0]?.['input']).toEqual({ one: -5, two: 7 });
  expect(records[1]?.['input']).toEqual({ one: -5, two: 7 });
});

test('bytes made by hand are taken: floats with a whole value, maps without a length', async () => {
  for (const hex of ['a2636f6e65f93c006374776ffb4000000000000000', 'bf636f6e65016374776f02ff']) {
    const { status } = await call(`${main.url()}/add`, {
      method: 'POST',
      headers: { 'content-type': 'Application/CBOR' },
      body: Uint8Array.from(Buffer.from(hex, 'hex')),
    });
    expect(status, hex).toBe(202);
  }
});

test('who accepts CBOR gets CBOR, with the same content', async () => {
  // Of a queue in which nothing waits: how long something has would be another number each time.
  await post(`${main.url()}/add?queue=quiet`, { one: 1, two: 2 });
  const id = await main.worker().take('quiet');
  await main.worker().end(id, 'succeeded', 3);
  for (const path of [`/v1/tasks/${id}`, '/v1/queues/quiet', '/v1/tasks?queue=quiet', '/v1/types']) {
    const plain = await call(`${main.url()}${path}`);
    const response = await fetch(`${main.url()}${path}`, { headers: { accept: 'application/cbor' } });
    expect(response.headers.get('content-type')).toBe('application/cbor');
    expect(response.headers.get('vary')).toMatch(/accept/i);
    expect(decode(Buffer.from(await response.arrayBuffer()))).toEqual(plain.body);
  }
});

test('a result of bytes is base64 in JSON and bytes in CBOR', async () => {
  const id = await finished('bytes', { data: new Uint8Array([1, 2, 250]) });
  expect((await call(`${main.url()}/v1/tasks/${id}`)).body['result']).toEqual({ data: 'AQL6' });
  const response = await fetch(`${main.url()}/v1/tasks/${id}`, { headers: { accept: 'application/cbor' } });
  const decoded = decode(Buffer.from(await response.arrayBuffer())) as { result: { data: Uint8Array } };
  expect([...decoded.result.data]).toEqual([1, 2, 250]);
});

test('parameters of the content type and the identity encoding do not matter', async () => {
  for (const headers of [
    { 'content-type': 'application/json; charset=utf-8' },
    { 'content-type': 'APPLICATION/JSON' },
    { 'content-type': 'application/json', 'content-encoding': 'identity' },
  ]) {
    expect((await post(`${main.url()}/add`, { one: 1, two: 2 }, headers)).status).toBe(202);
  }
});

test('X-Request-Id comes back; one that is none is replaced', async () => {
  const ask = async (id: string): Promise<string | null> =>
    (await call(`${main.url()}/healthz`, { headers: { 'x-request-id': id } })).headers.get('x-request-id');
  expect(await ask('a-Request_7')).toBe('a-Request_7');
  expect(await ask('x'.repeat(128))).toBe('x'.repeat(128));
  for (const bad of ['', 'two words', 'a"b', '<script>', 'x'.repeat(129), 'ümlaut']) {
    expect(await ask(bad)).toMatch(/^[0-9a-f-]{36}$/);
  }
  const { headers, body } = await call(`${main.url()}/nope/nope`, {
    headers: { 'x-request-id': 'find-me' },
  });
  expect([headers.get('x-request-id'), body['requestId']]).toEqual(['find-me', 'find-me']);
});

test('GET /v1/queues counts every state of every queue', async () => {
  for (const [queue, priority] of [
    ['count-1', 'high'],
    ['count-1', 'normal'],
    ['count-1', 'normal'],
    ['count-2', 'low'],
  ]) {
    const sent = { type: 'add', input: { one: 1, two: 2 }, queue, priority };
    expect((await post(`${main.url()}/v1/tasks`, sent)).status).toBe(202);
  }
  const first = await main.worker().take('count-1');
  const second = await main.worker().take('count-1');
  await main.worker().end(first, 'succeeded', 3);
  await main.worker().end(second, 'dead', { name: 'Error', message: 'x' });
  await main.worker().take('count-1');
  await main.redis().client.lpush('pf:{count-2}:malformed', 'x');

  const ended = { succeeded: 0, dead: 0, cancelled: 0, moved: 0, removed: 0 };
  const none = { waiting: 0, scheduled: 0, ready: 0, running: 0, ...ended };
  const one = {
    queue: 'count-1',
    paused: false,
    counts: { ...none, accepted: 3, succeeded: 1, dead: 1, running: 1 },
    ready: { high: 0, normal: 0, low: 0 },
    malformed: 0,
    oldestReadyMs: 0,
    outbox: { length: 0, oldestMs: 0 },
    workers: 1,
  };
  const two = {
    queue: 'count-2',
    paused: false,
    counts: { ...none, accepted: 1, ready: 1 },
    ready: { high: 0, normal: 0, low: 1 },
    malformed: 1,
    oldestReadyMs: expect.any(Number),
    outbox: { length: 0, oldestMs: 0 },
    workers: 0,
  };
  const { items } = (await call(`${main.url()}/v1/queues`)).body as { items: { queue: string }[] };
  expect(items.map((item) => item.queue)).toEqual(items.map((item) => item.queue).toSorted());
  expect(items.filter((item) => item.queue.startsWith('count-'))).toEqual([one, two]);
  expect((await call(`${main.url()}/v1/queues/count-1`)).body).toEqual(one);
  expect((await call(`${main.url()}/v1/queues/count-2`)).body).toEqual(two);
});

test('the record of a task tells its whole way', async () => {
  const id = await finished('whole', 3);
  const record = (await call(`${main.url()}/v1/tasks/${id}`)).body;
  const time = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  expect(record).toEqual({
    id,
    type: 'add',
    state: 'succeeded',
    queue: 'whole',
    priority: 'normal',
    input: { one: 1, two: 2 },
    attempt: 1,
    crashes: 0,
    worker: 'hand-worker',
    acceptedAt: time,
    startedAt: time,
    finishedAt: time,
    result: 3,
    options: {
      maxAttempts: 3,
      backoff: { type: 'exponential', baseMs: 1_000, factor: 2, capMs: 300_000, jitter: 'full' },
    },
    errors: [],
    links: {
      self: `/v1/tasks/${id}`,
      log: `/v1/tasks/${id}/log`,
      events: `/v1/tasks/${id}/events`,
      explain: `/v1/tasks/${id}/explain`,
    },
  });
  const times = ['acceptedAt', 'startedAt', 'finishedAt'].map((name) => String(record[name]));
  expect(times.toSorted()).toEqual(times);
});

test('requests of one turn of the event loop share one script call', async () => {
  const body = JSON.stringify({ type: 'add', input: { one: 1, two: 1 }, queue: 'many' });
  const head = `POST /v1/tasks HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: ${body.length}`;
  await main.redis().client.config('RESETSTAT');
  const socket = connect(Number(new URL(main.url()).port), '127.0.0.1');
  let answers = '';
  socket.on('data', (data) => (answers += data.toString()));
  // Pipelined, so that they arrive together.
  socket.write(`${head}\r\n\r\n${body}`.repeat(50));
  await eventually(() => answers.split('HTTP/1.1 202 ').length === 51);
  socket.destroy();
  const stats = await main.redis().client.info('commandstats');
  const calls = Number(/cmdstat_eval(?:sha)?:calls=(\d+)/.exec(stats)?.[1]);
  expect(calls).toBeGreaterThan(0);
  expect(calls).toBeLessThan(10);
  expect(await main.redis().client.llen('pf:{many}:ready:normal')).toBe(50);
});

/** Sends a task to a queue and ends it by hand. */
async function finished(queue: string, result: unknown): Promise<string> {
  await post(`${main.url()}/v1/tasks`, { type: 'add', input: { one: 1, two: 2 }, queue });
  const id = await main.worker().take(queue);
  await main.worker().end(id, 'succeeded', result);
  return id;
}

test.each([
  ['application/cbor', 'application/cbor'],
  ['application/json, application/cbor;q=0.5', 'application/json'],
  ['application/json;q=0.1, application/cbor;q=0.9', 'application/cbor'],
  ['application/cbor;q=0', 'application/json'],
  ['*/*', 'application/json'],
  ['text/html', 'application/json'],
])('Accept: %s is answered with %s', async (accept, type) => {
  const response = await fetch(`${main.url()}/v1/queues`, { headers: { accept } });
  expect(response.headers.get('content-type')).toBe(type);
  await response.arrayBuffer();
});

test('the type of a problem is where its code is explained', async () => {
  const { body } = await call(`${main.url()}/v1/tasks/none`);
  expect(await call(`${main.url()}${String(body['type'])}`)).toMatchObject({
    status: 200,
    body: { code: 'not-found', title: body['title'], status: 404 },
  });
});

test('readiness says how long each check took', async () => {
  const { client } = main.redis();
  const seen = await eventually(async () => {
    // Redis answers nobody for as long.
    await client.call('CLIENT', 'PAUSE', '300', 'ALL');
    const { status, body } = await call(`${main.url()}/readyz`);
    const [accepting, redis] = body['checks'] as { ms: number }[];
    // What was seen just before is told once more.
    return redis && redis.ms >= 100 && { status, accepting, redis };
  });
  expect(seen).toEqual({
    status: 200,
    accepting: { name: 'accepting', ok: true, ms: 0 },
    redis: { name: 'redis', ok: true, ms: expect.any(Number) as number },
  });
  expect(Number.isInteger(seen.redis.ms)).toBe(true);
});
