// The event of an end that somebody waits for brings the task: what a long poll costs Redis, and that it shows what reading would.

import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Redis } from 'ioredis';
import { encodeCbor } from '../../src/protocol/cbor.ts';
import { encodeContent } from '../../src/protocol/message.ts';
import { newTaskId } from '../../src/protocol/task-id.ts';
import { createConsumer, type OutcomeWord } from '../../src/store/consumer.ts';
import { homeOf } from '../../src/store/keys.ts';
import type { TaskExtras } from '../../src/store/new-task.ts';
import { writeFollower } from '../../src/store/outbox.ts';
import { createProducer } from '../../src/store/producer.ts';
import { createOperator } from '../../src/store/operator.ts';
import { readToldRow } from '../../src/store/record.ts';
import { type BareServer, startBareServer } from '../support/bare-server.ts';
import { eventually } from '../support/eventually.ts';
import { createHandWorker, type HandWorker } from '../support/hand-worker.ts';
import { type Answer, call } from '../support/http.ts';
import { toOutcome } from '../support/outcome.ts';
import { startRedisServer, type TestRedis } from '../support/redis.ts';
import { openStore } from '../support/store.ts';

const QUEUE = 'default';
const EVENTS = `pf:{${QUEUE}}:events`;
const AWAITED = `pf:{${QUEUE}}:awaited`;
const CONTENT = encodeContent('add', { one: 1, two: 2 });

let redis: TestRedis;
let client: Redis;
let bare: BareServer;
let worker: HandWorker;

beforeAll(async () => {
  redis = await startRedisServer();
  client = await openStore(redis.url);
  bare = await startBareServer(redis.url);
  worker = createHandWorker(redis.url);
});

afterAll(async () => {
  worker?.close();
  await bare?.stop();
  client?.disconnect();
  await redis?.stop();
});

async function send(extras?: TaskExtras): Promise<string> {
  const id = newTaskId();
  await createProducer(client).enqueue(QUEUE, [{ id, content: CONTENT, lane: 'normal', extras }]);
  return id;
}

/** What a long poll answers for a task that ends, by `act`, while it waits. */
async function awaited(id: string, act: () => Promise<void>): Promise<Answer['body']> {
  const answer = call(`${bare.url}/v1/tasks/${id}?wait=20`);
  await eventually(() => bare.waiters.count() === 1);
  await act();
  return (await answer).body;
}

async function end(id: string, word: OutcomeWord = 'succeeded', payload?: unknown): Promise<void> {
  expect(await worker.take(QUEUE)).toBe(id);
  await worker.end(id, word, payload);
}

/** Rows of tasks in the newest event, as bytes. */
async function rowsTold(): Promise<Buffer[]> {
  const [newest] = await client.xrevrangeBuffer(EVENTS, '+', '-', 'COUNT', 1);
  const fields = newest?.[1] ?? [];
  return fields.filter((_, at) => at % 2 === 1 && String(fields[at - 1]) === 'r');
}

/** All commands that the server sends for requests, in their order. */
async function watchCommands(): Promise<{ readonly seen: () => Promise<readonly string[]>; stop(): void }> {
  const monitor = await redis.client.monitor();
  const clients = (await redis.client.client('LIST')) as string;
  const own = clients.split('\n').find((line) => line.includes(' name=popfleet:bare '));
  const address = /\baddr=(\S+)/.exec(own ?? '')?.[1];
  expect(address).toBeDefined();
  const commands: string[] = [];
  let marks = 0;
  monitor.on('monitor', (_time: string, [name = '', argument]: readonly string[], source: string) => {
    if (source === address) commands.push(name.toLowerCase());
    if (argument === 'seen') marks += 1;
  });
  return {
    async seen() {
      const before = marks;
      await client.echo('seen');
      await eventually(() => marks > before);
      return commands;
    },
    stop: () => monitor.disconnect(),
  };
}

test('a long poll in a queue that is followed costs one command', async () => {
  const first = await send();
  await awaited(first, () => end(first));
  const id = await send();
  const commands = await watchCommands();
  try {
    expect(await awaited(id, () => end(id, 'succeeded', 3))).toMatchObject({ state: 'succeeded', result: 3 });
    const seen = (await commands.seen()).filter((name) => name !== 'smembers');
    expect(seen.map((name) => name.replace('sha', ''))).toEqual(['eval']);
  } finally {
    commands.stop();
  }
});

interface Ending {
  readonly extras?: TaskExtras;
  /** While it runs. */
  readonly before?: (id: string) => Promise<unknown>;
  readonly word?: OutcomeWord;
  readonly payload?: unknown;
  readonly hasHistory?: boolean;
  readonly isTold: boolean;
}
const FOLLOWER = writeFollower({ queue: 'other', lane: 'normal', content: CONTENT });
const ENDINGS: Readonly<Record<string, Ending>> = {
  'with a result': { payload: { sum: 3 }, isTold: true },
  'without a result': { isTold: true },
  'with progress': { before: (id) => worker.report(id, 50, 'half'), hasHistory: true, isTold: false },
  'that is found by tags': { extras: { terms: 'tag=a' }, payload: 3, isTold: true },
  'that something follows': { extras: { follower: FOLLOWER }, payload: 3, isTold: true },
  'that was to be cancelled': { before: (id) => createOperator(client).cancel(QUEUE, id), isTold: true },
  'with a large result': { payload: 'x'.repeat(2_000), isTold: false },
  'that fails': { word: 'dead', payload: { name: 'Error', message: 'no' }, isTold: false },
};

test.each(Object.entries(ENDINGS))('a task %s is shown as it is read', async (_, ending) => {
  const { extras, before, word, payload, hasHistory, isTold } = ending;
  const id = await send(extras);
  const body = await awaited(id, async () => {
    expect(await worker.take(QUEUE)).toBe(id);
    await before?.(id);
    await worker.end(id, word ?? 'succeeded', payload, hasHistory);
  });
  expect((await rowsTold()).map((row) => row.toString('latin1', 0, 36))).toEqual(isTold ? [id] : []);
  expect(body).toMatchObject({ id, state: word ?? 'succeeded' });
  expect((await call(`${bare.url}/v1/tasks/${id}`)).body).toEqual(body);
});

test('an event has no row of a task for which nobody waits, and one of a task for which somebody has waited', async () => {
  const alone = await send();
  await end(alone);
  expect([await rowsTold(), await client.zscore(AWAITED, alone)]).toEqual([[], null]);
  const id = await send();
  const leaving = new AbortController();
  const gone = fetch(`${bare.url}/v1/tasks/${id}?wait=20`, { signal: leaving.signal }).catch(() => 'gone');
  await eventually(() => bare.waiters.count() === 1);
  leaving.abort();
  expect(await gone).toBe('gone');
  // Should the task not end, nobody removes what is noted of it.
  expect(await client.pttl(AWAITED)).toBeGreaterThan(0);
  await end(id);
  expect([(await rowsTold()).length, await client.zscore(AWAITED, id)]).toEqual([1, null]);
});

test('one event brings 1 KB of rows at most: whoever waits for another task reads it', async () => {
  const ids = [await send(), await send(), await send()];
  const answers = ids.map((id) => call(`${bare.url}/v1/tasks/${id}?wait=20`));
  await eventually(() => bare.waiters.count() === 3);
  const consumer = createConsumer(client, homeOf(QUEUE), 'w', 60_000);
  const { tasks } = await consumer.claim([], 3);
  const payload = Buffer.from(encodeCbor('y'.repeat(400)));
  const outcomes = tasks.map((task) => toOutcome(task, 'succeeded', 0, payload));
  await consumer.finish(outcomes, 0);
  for (const answer of answers) expect((await answer).body).toMatchObject({ result: 'y'.repeat(400) });
  expect(await rowsTold()).toHaveLength(2);
});

test('a row that a release with other columns has told is not read', async () => {
  const id = await send();
  await awaited(id, () => end(id, 'succeeded', 3));
  const [told = Buffer.alloc(0)] = await rowsTold();
  expect(readToldRow({ queue: QUEUE, bytes: told }, CONTENT)).toMatchObject({
    id,
    state: 'succeeded',
    content: CONTENT,
  });
  const text = told.toString('latin1').replace(/ \d+ /, ' 1 ');
  expect(readToldRow({ queue: QUEUE, bytes: Buffer.from(text, 'latin1') }, CONTENT)).toBeUndefined();
});
