// What an operation has retried is watched: a canary, and a retry of all that stops when too many are dead again.

import { beforeEach, expect, test } from 'vitest';
import { operate } from '../../src/store/operations.ts';
import { buildScriptsWithClock } from '../support/model-clock.ts';
import { countsOf } from '../support/moves.ts';
import { ERROR, ME, openOperatedQueue, type OperatedQueue, PLACE } from '../support/operated-queue.ts';
import { KEY, QUEUE } from '../support/scripted-queue.ts';
import { startStore } from '../support/store.ts';

const { client } = await startStore(buildScriptsWithClock);

let queue: OperatedQueue;
beforeEach(async () => {
  queue = await openOperatedQueue(client);
});

const CANARY = { action: 'retry', first: 4, stopAfterErrors: 2 } as const;

/** Ends what is ready. */
async function end(words: readonly ('succeeded' | 'dead' | 'cancelled')[]): Promise<void> {
  await queue.clock.advance(1);
  for (const word of words) await queue.finish(await queue.take(1), word, { payload: ERROR });
}

test('a canary is watched until all of it has ended, and the others stay dead', async () => {
  await queue.kill(10);
  const id = await queue.open(CANARY);
  expect(await queue.work(id)).toMatchObject({ state: 'watching', done: 4 });
  await end(['succeeded', 'dead', 'cancelled']);
  expect(await queue.work(id)).toMatchObject({
    state: 'watching',
    watched: { succeeded: 1, dead: 1, others: 1 },
  });
  await end(['succeeded']);
  expect(await queue.work(id)).toMatchObject({
    state: 'done',
    matched: 4,
    done: 4,
    watched: { succeeded: 2 },
  });
  expect(await countsOf(client, QUEUE)).toMatchObject({ dead: 7 });
  expect(await client.exists(`${KEY}:watched`)).toBe(0);
});

test('a canary of which too many die again stops the operation', async () => {
  await queue.kill(10);
  const id = await queue.open({ ...CANARY, thenRest: true });
  await queue.work(id);
  await end(['dead', 'succeeded', 'dead']);
  expect(await queue.work(id)).toMatchObject({
    state: 'stopped',
    done: 4,
    watched: { succeeded: 1, dead: 2 },
  });
  expect(await countsOf(client, QUEUE)).toMatchObject({ dead: 8, ready: 1 });
});

test('after a good canary the rest follows by itself when that was asked for, and is watched too', async () => {
  await queue.kill(10);
  const id = await queue.open({ ...CANARY, thenRest: true });
  await queue.work(id);
  await end(['dead', 'succeeded', 'succeeded', 'succeeded']);
  expect(await queue.work(id)).toMatchObject({ state: 'watching', done: 10, isWalked: true });
  await end(['dead']);
  expect(await queue.work(id)).toMatchObject({ state: 'stopped', watched: { dead: 2 } });
});

test('first without watching is a limit, also where a bucket has more', async () => {
  await queue.enqueue(50);
  expect(await queue.run({ action: 'cancel', first: 3 }, 20)).toMatchObject({
    state: 'done',
    matched: 3,
    done: 3,
  });
  expect(await countsOf(client, QUEUE)).toMatchObject({ cancelled: 3, ready: 47 });
});

test('without a canary a thousand are on their way at most', async () => {
  await queue.kill(1_200);
  const id = await queue.open({ action: 'retry', stopAfterErrors: 1 });
  for (let turn = await operate(client, PLACE, ME, 100); turn.word === 'worked' && turn.waitMs === 0; ) {
    turn = await operate(client, PLACE, ME, 100);
  }
  expect(await queue.look(id)).toMatchObject({ state: 'running', done: 1_000 });
  await end(Array.from({ length: 30 }, () => 'succeeded'));
  for (let count = 0; count < 11; count += 1) await operate(client, PLACE, ME, 100);
  expect((await queue.look(id)).done).toBeGreaterThanOrEqual(1_030);
  await end(['dead']);
  for (let count = 0; count < 11; count += 1) await operate(client, PLACE, ME, 100);
  expect(await queue.look(id)).toMatchObject({ state: 'stopped', watched: { dead: 1 } });
});
