// What goes along with a task to another queue, and what can be done to it on its way.

import { expect, test } from 'vitest';
import { encodeCbor } from '../../src/protocol/cbor.ts';
import { encodeContent } from '../../src/protocol/message.ts';
import { newTaskId } from '../../src/protocol/task-id.ts';
import { createConsumer } from '../../src/store/consumer.ts';
import { createInspector } from '../../src/store/inspector.ts';
import { homeOf } from '../../src/store/keys.ts';
import { createOperations } from '../../src/store/operations.ts';
import { createOperator } from '../../src/store/operator.ts';
import { createOutbox, writeFollower } from '../../src/store/outbox.ts';
import type { TaskExtras } from '../../src/store/new-task.ts';
import { createProducer } from '../../src/store/producer.ts';
import { acceptMoving, readMoving } from '../../src/store/transfer.ts';
import { buildScriptsWithClock, createModelClock, type ModelClock } from '../support/model-clock.ts';
import { moveAll } from '../support/move-all.ts';
import { countsOf } from '../support/moves.ts';
import { toOutcome } from '../support/outcome.ts';
import { queueKey } from '../support/queue-key.ts';
import { recordOf, recordsOf } from '../support/records.ts';
import { startStore } from '../support/store.ts';

const ERROR = encodeCbor({ name: 'Error', message: 'no' });
const CONTENT = encodeContent('add', { one: 1, two: 2 });

const { client } = await startStore(buildScriptsWithClock);
const producer = createProducer(client);
const operator = createOperator(client);
const operations = createOperations(client);
const outbox = createOutbox(client);
const inspector = createInspector(client);

async function accept(extras?: TaskExtras, lane: 'high' | 'normal' = 'high'): Promise<string> {
  const id = newTaskId();
  await producer.enqueue('a', [{ id, content: CONTENT, lane, extras }]);
  return id;
}

async function moveThem(): Promise<void> {
  await moveAll(client, 'a', 'b');
  await outbox.transfer(await outbox.take(homeOf('a'), 100));
}

async function begin(): Promise<ModelClock> {
  await client.flushall();
  await client.sadd('pf:queues', 'a', 'b');
  return createModelClock(client);
}

test('its lane, its times, its attempts, what follows it; it runs there, and is followed', async () => {
  const clock = await begin();
  const follower = writeFollower({ queue: 'c', lane: 'low', content: CONTENT });
  const id = await accept({ follower, resultTtlMs: 777 });
  const later = await accept({ delayMs: 5_000, ttlMs: 9_000 });
  const worker = createConsumer(client, homeOf('a'), 'w', 1e9);
  const [task] = (await worker.claim([], 1)).tasks;
  const failed = { id, token: task?.token ?? '', contentBytes: 1, word: 'failed', payload: ERROR } as const;
  await worker.finish([{ ...failed, delayMs: 2_000 }], 0);
  const before = await recordOf(client, 'a', id);
  await moveThem();
  const after = await recordOf(client, 'b', id);
  expect(after).toEqual({ ...before, queue: 'b', ends: 1 });
  expect(after).toMatchObject({
    state: 'scheduled',
    failures: 1,
    dueAt: clock.now() + 2_000,
    lane: 'high',
  });
  expect(await recordOf(client, 'b', later)).toMatchObject({
    state: 'scheduled',
    expiresAt: clock.now() + 9_000,
  });
  expect(await client.zscore(`${queueKey('b')}:unstarted`, later)).toBe(String(clock.now() + 9_000));
  expect(await inspector.attempts('b', id)).toHaveLength(1);
  expect(await recordsOf(client, 'a')).toEqual([]);
  expect(await countsOf(client, 'a')).toEqual({ 'moved-out': 2 });
  expect(await countsOf(client, 'b')).toMatchObject({ accepted: 2, scheduled: 2, 'moved-in': 2 });

  expect(await operator.cancel('b', id)).toBe('cancelled');
  expect(await client.hget(`${queueKey('b')}:result-ttls`, id)).toBe('777');
  const [entry] = await outbox.take(homeOf('b'), 10);
  expect(entry).toMatchObject({ name: `${id}:2`, state: 'cancelled', followers: [{ queue: 'c' }] });
});

test('a dead one is ready there as if it were retried; one whose end is still to be followed stays', async () => {
  await begin();
  const id = await accept();
  const follower = writeFollower({ queue: 'c', lane: 'low', content: CONTENT });
  const followed = await accept({ follower }, 'normal');
  const worker = createConsumer(client, homeOf('a'), 'w', 1e9);
  const { tasks: claimed } = await worker.claim([], 2);
  const outcomes = claimed.map((task) => toOutcome(task, 'dead', 0, ERROR));
  await worker.finish(outcomes, 0);
  await moveAll(client, 'a', 'b');
  const [operation] = await operations.list(['a']);
  expect(operation).toMatchObject({ matched: 2, done: 1, skipped: { pinned: 1 }, to: 'b' });
  // Until it is there it is shown as on its way, and nothing can be done to it.
  expect(await inspector.task(id)).toMatchObject({ queue: 'a', state: 'moved' });
  expect(await operator.cancel('a', id)).toBe('moved');
  expect(await operator.replay('a', id)).toBe('moved');
  expect(await operator.remove('a', id)).toBe('moved');
  expect(await outbox.follow('a', id, { queue: 'c', lane: 'low', content: CONTENT })).toBe('moved');
  const entries = await outbox.take(homeOf('a'), 10);
  const { tasks } = await readMoving(
    client,
    homeOf('a'),
    entries.filter(({ state }) => state === 'moved').map(({ name }) => name),
  );
  await acceptMoving(client, homeOf('a'), tasks);
  // It stands in both, and is shown where it goes.
  expect(await inspector.task(id)).toMatchObject({ queue: 'b', state: 'ready', failures: 0 });
  expect(await inspector.task(followed)).toMatchObject({ queue: 'a', state: 'dead' });
  const there = createConsumer(client, homeOf('b'), 'v', 1e9);
  expect((await there.claim([], 5)).tasks.map((task) => task.id)).toEqual([id]);
});

test('while Redis is full it waits, and nothing is lost', async () => {
  const clock = await begin();
  const id = await accept();
  await moveAll(client, 'a', 'b');
  await client.config('SET', 'maxmemory', '1');
  const entries = await outbox.take(homeOf('a'), 100);
  await expect(outbox.transfer(entries)).rejects.toThrow(/OOM|memory/);
  await client.config('SET', 'maxmemory', '0');
  await clock.advance(3_000);
  await outbox.transfer(await outbox.take(homeOf('a'), 100));
  expect(await recordOf(client, 'b', id)).toMatchObject({ state: 'ready' });
});
