// Server-sent events: what is told to whom, and what is refused.

import { afterAll, beforeAll, beforeEach, expect, onTestFinished, test } from 'vitest';
import type { Server } from '../../src/server/server.ts';
import { type BareServer, startBareServer } from '../support/bare-server.ts';
import { eventually } from '../support/eventually.ts';
import { createHandWorker, type HandWorker } from '../support/hand-worker.ts';
import { call } from '../support/http.ts';
import { makeKey } from '../support/keys.ts';
import { send as sendTask } from '../support/life.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { startServer } from '../support/server.ts';
import { movesOf, openForTest, resumeFrom, type SseClient, type SseOptions } from '../support/sse.ts';

let redis: TestRedis;
let server: Server;
let bare: BareServer;
let worker: HandWorker;

beforeAll(async () => {
  redis = await startRedis({ appendonly: 'no' });
  server = await startServer(redis.url);
  await eventually(async () => (await call(`${server.url()}/readyz`)).status === 200);
  bare = await startBareServer(redis.url, { most: 20, heartbeatMs: 100 });
  worker = createHandWorker(redis.url);
});

// Each test has a queue of its own.
let queue = 'q0';
let queues = 0;
beforeEach(() => {
  queue = `q${(queues += 1)}`;
});

afterAll(async () => {
  worker?.close();
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

test('a task is told from what it is to its end, and then nothing more', async () => {
  const id = await send();
  const client = await open(`/tasks/${id}/events`);
  expect(client.response.statusCode).toBe(200);
  expect(client.response.headers).toMatchObject({
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-store, no-transform',
    'x-accel-buffering': 'no',
  });
  const [snapshot] = await client.until('snapshot');
  expect(snapshot?.data).toEqual((await call(`${server.url()}/v1/tasks/${id}`)).body);
  expect(client.raw()).toMatch(/^retry: 2000\n: popfleet\n/);

  await worker.take(queue);
  const [running] = await client.until('state');
  const { at, ...move } = running?.data ?? {};
  expect(move).toEqual({ queue, task: id, state: 'running' });
  expect(Math.abs(Date.parse(String(at)) - Date.now())).toBeLessThan(5_000);

  await worker.report(id, 40, 'on the way');
  const [progress] = await client.until('progress');
  expect(progress?.data).toEqual({ queue, task: id, progress: { percent: 40, note: 'on the way' } });

  await worker.end(id, 'succeeded', 3);
  await client.over;
  expect(client.events.map(({ name }) => name)).toEqual(['snapshot', 'state', 'progress', 'state', 'end']);
  const end = client.events.at(-1);
  expect(end?.data).toEqual((await call(`${server.url()}/v1/tasks/${id}`)).body);
  expect(end?.data).toMatchObject({ id, state: 'succeeded', result: 3 });

  const again = await resume(`/tasks/${id}/events`, client.lastId());
  expect(again.response.statusCode).toBe(204);
  const byQuery = await open(`/tasks/${id}/events?lastEventId=${client.lastId()}`);
  expect(byQuery.response.statusCode).toBe(204);
});

test('a task that has ended already is told at once', async () => {
  const id = await send();
  await worker.take(queue);
  await worker.end(id, 'dead', { name: 'Error', message: 'on purpose' });
  const client = await open(`/tasks/${id}/events`);
  await client.over;
  expect(client.events.map(({ name, data }) => [name, data['state']])).toEqual([
    ['snapshot', 'dead'],
    ['end', 'dead'],
  ]);
});

test('topics and states say what is told', async () => {
  const other = `${queue}-other`;
  const mine = await send();
  const byQueue = await open(`/events?topics=queue:${queue}`);
  const byTask = await open(`/events?topics=task:${mine}`);
  const both = await open(`/events?topics=queue:${other},task:${mine}`);
  const dead = await open(`/events?topics=queue:${queue}&states=dead,cancelled`);
  const all = await open('/events');
  const second = await send();
  const third = await send({ queue: other });
  expect(await worker.take(queue)).toBe(mine);
  await worker.report(mine, 1);
  await worker.end(mine, 'dead', { name: 'Error', message: 'on purpose' });

  const life = [`${mine}running`, `${mine}dead`];
  await eventually(() => {
    expect(movesOf(byQueue)).toEqual([`${second}ready`, ...life]);
    expect(movesOf(byTask)).toEqual(life);
    expect(movesOf(both).toSorted()).toEqual([...life, `${third}ready`].toSorted());
    expect(movesOf(dead)).toEqual([`${mine}dead`]);
    // The queue of the third came into being after this stream: its heartbeat is 15 s.
    expect(movesOf(all)).toEqual([`${second}ready`, ...life]);
    return true;
  });
  await byTask.until('progress');
  await byQueue.until('progress');
  await both.until('progress');
  expect(dead.named('progress')).toEqual([]);
});

test('a queue that comes into being while the stream is open is told from its first task on', async () => {
  const client = await open('/events', {}, bare.url);
  const id = await send();
  await worker.take(queue);
  await worker.end(id, 'succeeded', 3);
  await client.until('state', 3);
  expect(movesOf(client)).toEqual(['ready', 'running', 'succeeded'].map((state) => id + state));

  // Away before it came into being: it is told too.
  const idle = client.lastId();
  client.cut();
  queue = `${queue}-later`;
  const later = await send();
  const again = await resume('/events', idle, bare.url);
  await again.until('state');
  expect(movesOf(again)).toEqual([`${later}ready`]);
});

test.each([
  ['no name', 'queue'],
  ['an empty name', 'queue:'],
  ['no queue name', 'queue:A B'],
  ['two names', 'queue:a:b'],
  ['no task id', 'task:1'],
  ['an empty topic', 'queue:a,'],
  ['no kind', 'mail'],
  ['too many', Array.from({ length: 101 }, (_, at) => `queue:a${at}`).join(',')],
])('topics are refused: %s', async (_, topics) => {
  const { status, body } = await call(`${server.url()}/v1/events?topics=${encodeURIComponent(topics)}`);
  expect([status, body['code']]).toEqual([400, 'invalid-query']);
});

test('other parts of the query that mean nothing are refused too', async () => {
  for (const query of ['states=new', 'states=', 'topic=queue:a', 'wait=1']) {
    const { status, body } = await call(`${server.url()}/v1/events?${query}`);
    expect([query, status, body['code']]).toEqual([query, 400, 'invalid-query']);
  }
});

test('an unknown task is none; a stream of the task that it could be is not opened', async () => {
  const id = '01890f3a-2b4c-7d5e-8f60-718293a4b5c6';
  for (const path of [`/tasks/${id}/events`, '/tasks/nonsense/events', `/events?topics=task:${id}`]) {
    const { status, body } = await call(`${server.url()}/v1${path}`);
    expect([path, status, body['code']]).toEqual([path, 404, 'not-found']);
  }
});

test('a key hears of its queues alone', async () => {
  const mine = makeKey(['read', 'enqueue'], [queue]);
  const sender = makeKey(['enqueue']);
  const guarded = await startServer(redis.url, 65_536, { apiKeys: [mine.apiKey, sender.apiKey] });
  onTestFinished(() => guarded.stop());
  await eventually(async () => (await call(`${guarded.url()}/readyz`)).status === 200);
  const own = await send();
  const foreign = await send({ queue: `${queue}-foreign` });
  const statusOf = async (path: string, headers: Record<string, string>): Promise<number> =>
    (await call(`${guarded.url()}/v1${path}`, { headers })).status;

  expect(await statusOf(`/tasks/${foreign}/events`, mine.bearer)).toBe(404);
  expect(await statusOf(`/events?topics=task:${foreign}`, mine.bearer)).toBe(404);
  expect(await statusOf(`/events?topics=queue:${queue},queue:${queue}-foreign`, mine.bearer)).toBe(404);
  expect(await statusOf('/events', sender.bearer)).toBe(403);
  expect(await statusOf('/events', {})).toBe(401);

  const client = await open('/events', { headers: mine.bearer }, guarded.url());
  await worker.take(`${queue}-foreign`);
  await worker.take(queue);
  await client.until('state');
  expect(movesOf(client)).toEqual([`${own}running`]);
  expect(client.raw()).not.toContain('foreign');
});

test('nothing that a caller or a handler says can make a line of its own', async () => {
  const evil = 'a\r\n\r\nevent: error\rdata: {}\n\nid: 1\u2028\u2029\u0085\0';
  const id = await send();
  const byTask = await open(`/tasks/${id}/events`);
  const byQueue = await open(`/events?topics=queue:${queue}`);
  await worker.take(queue);
  await worker.report(id, 1, evil);
  await byTask.until('progress');
  await byQueue.until('progress');
  await worker.end(id, 'dead', { name: evil, message: evil });
  await byTask.over;
  await byQueue.until('state', 2);
  expect(byTask.named('progress')[0]?.data['progress']).toEqual({ percent: 1, note: evil });
  expect(byTask.named('end')[0]?.data['error']).toMatchObject({ message: evil });
  const LINE =
    /^(|: ?[a-z]*|retry: 2000|id: [a-z0-9@;-]+|event: (snapshot|state|progress|end)|data: \{.*\})$/s;
  for (const client of [byTask, byQueue]) {
    for (const line of client.raw().split(/\r\n|\r|\n/)) expect(line).toMatch(LINE);
  }
});
