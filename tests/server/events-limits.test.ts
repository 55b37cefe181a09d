// Event streams hold little and hold it for no longer than somebody listens.

import { once } from 'node:events';
import { connect } from 'node:net';
import { afterAll, beforeAll, beforeEach, expect, onTestFinished, test } from 'vitest';
import type { Server } from '../../src/server/server.ts';
import { type BareServer, startBareServer } from '../support/bare-server.ts';
import { createEntryWriter } from '../support/event-entries.ts';
import { eventually } from '../support/eventually.ts';
import { expectBelow, msOf } from '../support/expect-below.ts';
import { heldBytes } from '../support/garbage.ts';
import { call } from '../support/http.ts';
import { send as sendTask } from '../support/life.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { startServer } from '../support/server.ts';
import { movesOf, openForTest, resumeFrom, type SseClient, type SseOptions } from '../support/sse.ts';

let redis: TestRedis;
let server: Server;
let bare: BareServer;

beforeAll(async () => {
  redis = await startRedis({ appendonly: 'no' });
  server = await startServer(redis.url);
  await eventually(async () => (await call(`${server.url()}/readyz`)).status === 200);
  bare = await startBareServer(redis.url, { most: 20, heartbeatMs: 100 });
});

// Each test has a queue of its own.
let queue = 'q0';
let queues = 0;
beforeEach(() => {
  queue = `q${(queues += 1)}`;
});

afterAll(async () => {
  await bare?.stop();
  await server?.stop();
  await redis?.stop();
});

function send(options: object = {}): Promise<string> {
  return sendTask(server.url(), 'add', { one: 1, two: 2 }, { queue, ...options });
}

/** @param path behind `/v1` */
function open(path: string, options: SseOptions = {}, url = server.url()): Promise<SseClient> {
  return openForTest(`${url}/v1${path}`, options);
}

function resume(path: string, lastId: string, url?: string): Promise<SseClient> {
  return open(path, resumeFrom(lastId), url);
}

test('an idle stream shows that it lives, and where it stands', async () => {
  const id = await send();
  const client = await open(`/events?topics=task:${id}`, {}, bare.url);
  await eventually(() => client.comments.length >= 4);
  const before = client.lastId();
  // Nothing of it concerns this client; it must not read all of it again when it comes back.
  await send();
  await eventually(() => client.lastId() !== before);
  expect(client.events).toEqual([]);
});

test('a client that does not read is told so and dismissed', async () => {
  const { tell, newId } = createEntryWriter(redis.client, queue);
  await tell(`${newId()}ready`);
  const path = `/events?topics=queue:${queue}`;
  const client = await open(path);
  await eventually(() => client.lastId() !== '');
  client.response.pause();
  const text = Array.from({ length: 1_000 }, () => `${newId()}ready`);
  // More than the sockets between them can hold.
  for (let count = 0; count < 150; count += 1) await tell(...text);
  client.response.resume();
  await client.over;
  expect(client.events.at(-1)).toMatchObject({ name: 'reset', data: { reason: 'slow' } });
  expect(client.events.length).toBeLessThan(150_000);
  const again = await resume(path, client.lastId());
  const id = newId();
  await tell(`${id}dead`);
  await eventually(() => movesOf(again).at(-1) === `${id}dead`);
  expect(again.named('reset')).toEqual([]);
});

test('a move of one queue while another is caught up is no sign of a slow client', async () => {
  let pages = 0;
  const paged = await startBareServer(redis.url, {
    through: (real) => ({
      ...real,
      async after(...of) {
        const page = await real.after(...of);
        pages += page.entries.length > 0 ? 1 : 0;
        return page;
      },
    }),
  });
  onTestFinished(() => paged.stop());
  const [live, full] = [queue, `${queue}-full`].map((name) => createEntryWriter(redis.client, name));
  const path = `/events?topics=queue:${queue},queue:${queue}-full`;
  const before = await open(path, {}, paged.url);
  await live?.tell(`${live.newId()}ready`);
  await before.until('state');
  before.cut();
  // More than the sockets between them can hold, so that a page waits as long as nothing is read.
  const missed = Array.from({ length: 40 }, () =>
    Array.from({ length: 1_000 }, () => `${full?.newId()}ready`),
  );
  for (const moves of missed) await full?.tell(...moves);
  const client = await resume(path, before.lastId(), paged.url);
  client.response.pause();
  await eventually(() => pages === 1);
  const told = [`${live?.newId()}ready`, `${live?.newId()}ready`];
  for (const move of told) {
    const { number: read = 0 } = paged.hub.position(queue) ?? {};
    await live?.tell(move);
    await eventually(() => (paged.hub.position(queue)?.number ?? 0) > read);
  }
  client.response.resume();
  await client.until('state', missed.flat().length + told.length);
  expect(client.named('reset')).toEqual([]);
  const of = (name: string): string[] =>
    movesOf({ events: client.events.filter(({ data }) => data['queue'] === name) });
  expect(of(queue)).toEqual(told);
  expect(of(`${queue}-full`)).toEqual(missed.flat());
});

test('clients that never read are cut, and nothing of them stays', async () => {
  const { tell, newId } = createEntryWriter(redis.client, queue);
  await tell(`${newId()}ready`);
  openDeaf(bare.url);
  await eventually(() => bare.events.count() === 10);
  const text = Array.from({ length: 1_000 }, () => `${newId()}ready`);
  for (let count = 0; count < 150; count += 1) await tell(...text);
  await eventually(() => bare.events.count() === 0);
  expect(bare.hub.watched()).toBe(0);
});

test('what waits for clients that never read is little', async () => {
  // None is cut for its silence while this test lasts.
  const patient = await startBareServer(redis.url, { heartbeatMs: 60_000 });
  onTestFinished(() => patient.stop());
  const { tell, newId } = createEntryWriter(redis.client, queue);
  await tell(`${newId()}ready`);
  openDeaf(patient.url);
  await eventually(() => patient.events.count() === 10);
  const text = Array.from({ length: 1_000 }, () => `${newId()}ready`);
  const before = heldBytes();
  // A million events. They are read once for all, so that even without bounds they would wait once only.
  for (let count = 1; count <= 1_000; count += 1) {
    await tell(...text);
    if (count % 100 === 0) await eventually(() => patient.hub.position(queue)?.number === count + 1);
  }
  expect(heldBytes() - before).toBeLessThan(100_000_000);
});

/** Ten clients of the queue that read nothing of what they are sent. */
function openDeaf(url: string): void {
  for (let count = 0; count < 10; count += 1) {
    const socket = connect(Number(new URL(url).port), '127.0.0.1');
    socket.pause();
    socket.on('error', () => undefined);
    socket.write(`GET /v1/events?topics=queue:${queue} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
    onTestFinished(() => void socket.destroy());
  }
}

test('more streams than are allowed are refused, until one leaves', async () => {
  const clients = await Promise.all(
    Array.from({ length: 20 }, () => open(`/events?topics=queue:${queue}`, {}, bare.url)),
  );
  expect(clients.map(({ response }) => response.statusCode)).toEqual(Array.from({ length: 20 }, () => 200));
  const refused = await call(`${bare.url}/v1/events`);
  expect([refused.status, refused.body['code']]).toEqual([503, 'overloaded']);
  expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
  clients[0]?.cut();
  await eventually(() => bare.events.count() === 19);
  expect((await open(`/events?topics=queue:${queue}`, {}, bare.url)).response.statusCode).toBe(200);
});

test('whoever leaves takes everything along', async () => {
  const id = await send();
  const clients = await Promise.all([
    open('/events', {}, bare.url),
    open(`/events?topics=queue:${queue}`, {}, bare.url),
    open(`/events?topics=task:${id}`, {}, bare.url),
    open(`/tasks/${id}/events`, {}, bare.url),
    open(`/tasks/${id}/events`, { headers: { 'last-event-id': `${queue}@0-0@0` } }, bare.url),
  ]);
  expect(bare.events.count()).toBe(5);
  expect(bare.hub.watched()).toBeGreaterThan(0);
  for (const client of clients) client.cut();
  await eventually(() => bare.events.count() === 0);
  expect(bare.hub.watched()).toBe(0);

  // Those who leave before they are answered too.
  for (let count = 0; count < 10; count += 1) {
    const socket = connect(Number(new URL(bare.url).port), '127.0.0.1');
    await once(socket, 'connect');
    socket.end(`GET /v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n`, () => socket.destroy());
    await once(socket, 'close');
  }
  await eventually(() => bare.events.count() === 0 && bare.hub.watched() === 0);
});

test('HEAD is answered and holds nothing', async () => {
  const { status, headers } = await call(`${bare.url}/v1/events`, { method: 'HEAD' });
  expect([status, headers.get('content-type')]).toEqual([200, 'text/event-stream; charset=utf-8']);
  // One of those who left before they were answered may come only now.
  await eventually(() => bare.events.count() === 0);
});

test('a server that stops says goodbye and does not wait for who does not listen', async () => {
  await expectBelow(4_000, async () => {
    const stopping = await startServer(redis.url);
    await eventually(async () => (await call(`${stopping.url()}/readyz`)).status === 200);
    const { tell, newId } = createEntryWriter(redis.client, queue);
    await tell(`${newId()}ready`);
    const path = `/events?topics=queue:${queue}`;
    const client = await open(path, {}, stopping.url());
    const stuck = await open(path, {}, stopping.url());
    stuck.response.pause();
    const text = Array.from({ length: 1_000 }, () => `${newId()}ready`);
    for (let count = 0; count < 60; count += 1) await tell(...text);
    await client.until('state', 60_000);

    const ms = await msOf(() => stopping.stop());
    await client.over;
    expect(client.comments.at(-1)).toBe('bye');
    expect(client.response.complete).toBe(true);
    return ms;
  });
});
