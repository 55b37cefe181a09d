// Event streams of clients that were away: everything they missed, nothing twice but for an entry that was told in part.

import { afterAll, beforeAll, beforeEach, expect, onTestFinished, test } from 'vitest';
import type { Server } from '../../src/server/server.ts';
import { queueKey } from '../support/queue-key.ts';
import { startBareServer } from '../support/bare-server.ts';
import { createEntryWriter } from '../support/event-entries.ts';
import { eventually } from '../support/eventually.ts';
import { createHandWorker, type HandWorker } from '../support/hand-worker.ts';
import { call, post } from '../support/http.ts';
import { send as sendTask } from '../support/life.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { startServer } from '../support/server.ts';
import {
  movesOf,
  openForTest,
  resumeFrom,
  type SseClient,
  type SseEvent,
  type SseOptions,
} from '../support/sse.ts';

let redis: TestRedis;
let server: Server;
let worker: HandWorker;

beforeAll(async () => {
  redis = await startRedis({ appendonly: 'no' });
  server = await startServer(redis.url);
  await eventually(async () => (await call(`${server.url()}/readyz`)).status === 200);
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

test('a client of a task that was cut before the end hears the end, wherever it stood', async () => {
  const id = await send();
  const first = await open(`/tasks/${id}/events`);
  await first.until('snapshot');
  const atSnapshot = first.lastId();
  await worker.take(queue);
  await first.until('state');
  first.cut();
  await worker.end(id, 'succeeded', 3);

  const second = await open(`/tasks/${id}/events`, {
    headers: { 'last-event-id': first.lastId() },
    // The connection breaks between the last state and the end.
    cutAfter: 1,
  });
  await second.over;
  expect(movesOf(second)).toEqual([`${id}succeeded`]);
  const third = await resume(`/tasks/${id}/events`, second.lastId());
  await third.over;
  expect(third.events.map(({ name }) => name)).toEqual(['state', 'end']);

  const fromSnapshot = await resume(`/tasks/${id}/events`, atSnapshot);
  await fromSnapshot.over;
  expect(fromSnapshot.events.map(({ name }) => name)).toEqual(['state', 'state', 'end']);
  // This id is of another stream and says that everything was told.
  const [[id_, fields]] = (await redis.client.xrevrange(
    `${queueKey(queue)}:events`,
    '+',
    '-',
    'COUNT',
    1,
  )) as [[string, string[]]];
  const foreign = await resume(`/tasks/${id}/events`, `${queue}@${id_}@${fields[1]}`);
  await foreign.over;
  expect(foreign.events.map(({ name }) => name)).toEqual(['end']);
});

test('a dead task that is replayed begins anew for who comes back after its end', async () => {
  const id = await send();
  await worker.take(queue);
  await worker.end(id, 'dead', { name: 'Error', message: 'on purpose' });
  expect((await post(`${server.url()}/v1/tasks/${id}/retry`, {})).status).toBe(202);
  const client = await resume(`/tasks/${id}/events`, 'end');
  const [snapshot] = await client.until('snapshot');
  expect(snapshot?.data['state']).toBe('ready');
  await worker.take(queue);
  await worker.end(id, 'succeeded', 3);
  await client.over;
  expect(movesOf(client)).toEqual([`${id}running`, `${id}succeeded`]);
});

test('whoever was cut off hears exactly what it missed, wherever the cut was', async () => {
  const names = [queue, `${queue}-b`, `${queue}-c`];
  const path = `/events?topics=${names.map((name) => `queue:${name}`).join(',')}`;
  const told = new Map<string, string[]>(names.map((name) => [name, []]));
  let isTelling = true;
  async function tellMany(): Promise<void> {
    const writers = names.map((name) => createEntryWriter(redis.client, name));
    for (let round = 0; round < 400; round += 1) {
      const writer = writers[round % 3];
      // Some entries are larger than what is written at once.
      const size = round % 40 === 7 ? 700 : 1 + (round % 5);
      const moves = Array.from({ length: size }, () => `${writer?.newId()}ready`);
      told.get(names[round % 3] ?? '')?.push(...moves);
      await writer?.tell(...moves);
    }
    isTelling = false;
  }

  const kept: SseEvent[] = [];
  let lastId = '';
  let telling: Promise<void> | undefined;
  /** A client has an entry once it was told all of it: what came behind the last id is told again. */
  async function session(cutAfter: number): Promise<void> {
    const client = await open(path, { ...(lastId === '' ? {} : resumeFrom(lastId)), cutAfter });
    await eventually(() => client.lastId() !== '');
    telling ??= tellMany();
    const total = (): number => [...told.values()].flat().length;
    await eventually(() => client.isOver() || (!isTelling && kept.length + client.events.length >= total()));
    client.cut();
    const complete = client.events.findLastIndex(({ id }) => id !== undefined) + 1;
    kept.push(...client.events.slice(0, complete));
    lastId = client.lastId();
  }
  for (let cuts = 0; cuts < 60; cuts += 1) await session(1 + ((cuts * 37) % 120));
  await telling;
  // Who is cut in the middle of a large entry each time never gets behind it.
  await session(Number.POSITIVE_INFINITY);

  for (const [name, moves] of told) {
    expect(movesOf({ events: kept.filter(({ data }) => data['queue'] === name) })).toEqual(moves);
  }
  expect(kept.filter(({ name }) => name !== 'state')).toEqual([]);
});

test('an entry that was told in part is told again as a whole', async () => {
  const { tell, newId } = createEntryWriter(redis.client, queue);
  const ids = Array.from({ length: 5 }, newId);
  await tell(`${newId()}ready`);
  const first = await open(`/events?topics=queue:${queue}`, { cutAfter: 3 });
  await tell(...ids.map((id) => `${id}ready`));
  await first.over;
  expect(first.events.map(({ id }) => id)).toEqual([undefined, undefined, undefined]);
  const second = await resume(`/events?topics=queue:${queue}`, first.lastId());
  await second.until('state', 5);
  expect(movesOf(second)).toEqual(ids.map((id) => `${id}ready`));
  expect(second.events.map(({ id }) => id !== undefined)).toEqual([false, false, false, false, true]);
  const third = await resume(`/events?topics=queue:${queue}`, second.lastId());
  await tell(`${ids[0]}running`);
  await third.until('state');
  expect(movesOf(third)).toEqual([`${ids[0]}running`]);
});

test.each([
  ['behind what is read', 3, 'after'],
  ['within what is read', 3, 'before'],
  ['more than can be held', 300, 'after'],
])('what happens while older entries are read is told once, and after them: %s', async (_, count, held) => {
  // Holds the reading back, so that the world goes on meanwhile.
  let release = (): void => undefined;
  let reads = 0;
  let isRead = false;
  const bare = await startBareServer(redis.url, {
    through: (real) => ({
      ...real,
      async after(...of) {
        reads += 1;
        const isHeld = reads === 1;
        const waits = isHeld ? new Promise<void>((resolve) => (release = resolve)) : undefined;
        if (held === 'before') await waits;
        const page = await real.after(...of);
        isRead = true;
        await waits;
        return page;
      },
    }),
  });
  onTestFinished(() => bare.stop());
  const { tell, newId } = createEntryWriter(redis.client, queue);
  const ids = Array.from({ length: count + 3 }, newId);
  const [first, missed, last] = [ids.at(0), ids.at(1), ids.at(-1)];
  const path = `/events?topics=queue:${queue}`;
  const before = await open(path, {}, bare.url);
  await tell(`${first}ready`);
  await before.until('state');
  before.cut();
  await tell(`${missed}ready`);

  const client = await resume(path, before.lastId(), bare.url);
  await eventually(() => (held === 'before' ? reads === 1 : isRead));
  for (const id of ids.slice(2, -1)) await tell(`${id}ready`);
  await eventually(() => bare.hub.position(queue)?.number === ids.length - 1);
  release();
  await client.until('state', ids.length - 2);
  await tell(`${last}ready`);
  await client.until('state', ids.length - 1);
  expect(movesOf(client)).toEqual(ids.slice(1).map((id) => `${id}ready`));
});

test('when entries are gone it says reset, and goes on from now', async () => {
  const { tell, newId } = createEntryWriter(redis.client, queue);
  await tell(`${newId()}ready`);
  const path = `/events?topics=queue:${queue}`;
  const first = await open(path);
  await tell(`${newId()}ready`);
  await first.until('state');
  first.cut();
  for (let count = 0; count < 10; count += 1) await tell(`${newId()}ready`);
  await redis.client.xtrim(`${queueKey(queue)}:events`, 'MAXLEN', '=', 5);

  const second = await resume(path, first.lastId());
  const [reset] = await second.until('reset');
  expect(reset?.data).toEqual({ reason: 'missed', queue });
  expect(reset?.id).toMatch(new RegExp(`^${queue}@\\d+-\\d+@12$`));
  const id = newId();
  await tell(`${id}running`);
  await second.until('state');
  expect(movesOf(second)).toEqual([`${id}running`]);

  // All data were lost, and the numbers begin anew.
  second.cut();
  await redis.client.del(`${queueKey(queue)}:events`);
  await createEntryWriter(redis.client, queue).tell(`${id}ready`);
  const third = await resume(path, second.lastId());
  await third.until('reset');
  expect(movesOf(third)).toEqual([]);
});

test('a client of a task that missed entries is shown the task anew', async () => {
  let looks = 0;
  const bare = await startBareServer(redis.url, {
    through: (real) => ({
      ...real,
      async task(...of) {
        const seen = await real.task(...of);
        looks += 1;
        return seen;
      },
    }),
  });
  onTestFinished(() => bare.stop());
  const id = await send();
  const first = await open(`/tasks/${id}/events`);
  await first.until('snapshot');
  first.cut();
  await worker.take(queue);
  await send();
  await redis.client.xtrim(`${queueKey(queue)}:events`, 'MAXLEN', '=', 1);
  const second = await resume(`/tasks/${id}/events`, first.lastId(), bare.url);
  const [snapshot] = await second.until('snapshot');
  expect(snapshot?.data['state']).toBe('running');
  // It looks once more before it goes on live: what ends before that has no move of its own in the stream.
  await eventually(() => looks === 2);
  await worker.end(id, 'succeeded', 3);
  await second.over;
  expect(second.events.map(({ name }) => name)).toEqual(['reset', 'snapshot', 'state', 'end']);
});

test('a reader whose connection breaks costs no client anything', async () => {
  const { tell, newId } = createEntryWriter(redis.client, queue);
  await tell(`${newId()}ready`);
  const client = await open(`/events?topics=queue:${queue}`);
  const ids = Array.from({ length: 200 }, newId);
  for (const [at, id] of ids.entries()) {
    await tell(`${id}ready`);
    if (at % 50 !== 25) continue;
    const list = (await redis.client.client('LIST')) as string;
    for (const line of list.split('\n').filter((text) => text.includes('name=popfleet:events'))) {
      await redis.client.client('KILL', 'ID', /\bid=(\d+)/.exec(line)?.[1] ?? '');
    }
  }
  await client.until('state', ids.length);
  expect(movesOf(client)).toEqual(ids.map((id) => `${id}ready`));
  expect(client.named('reset')).toEqual([]);
});

test.each([
  ['no position', 'x'],
  ['the end of a task', 'end'],
  ['no number', 'a@1-0'],
  ['a number that is none', 'a@1-0@x'],
  ['an empty part', 'a@1-0@1;'],
  ['empty parts', ';'],
  ['no queue name', 'A@1-0@1'],
  ['an empty queue name', '@1-0@1'],
  ['a queue twice', 'a@1-0@1;a@1-0@1'],
  ['more than 64 bits', 'a@18446744073709551616-0@1'],
  ['a negative time', 'a@-1-0@1'],
  ['more behind it', 'a@1-0@1\u00e9'],
  ['too many queues', Array.from({ length: 101 }, (_, at) => `a${at}@1-0@1`).join(';')],
])('an id is refused: %s', async (_, id) => {
  const query = await call(`${server.url()}/v1/events?lastEventId=${encodeURIComponent(id)}`);
  expect([query.status, query.body['code']]).toEqual([400, 'invalid-header']);
  const header = await call(`${server.url()}/v1/events`, { headers: { 'last-event-id': id } });
  expect([header.status, header.body['code']]).toEqual([400, 'invalid-header']);
});
