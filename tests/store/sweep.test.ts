// The sweep, step by step: what is due, expired or kept too long goes in slices, in order, and nothing else does.

import { homeOf } from '../../src/store/keys.ts';
import type { Redis } from 'ioredis';
import { expect, test } from 'vitest';
import { decodeTrusted, encodeCbor } from '../../src/protocol/cbor.ts';
import { encodeContent } from '../../src/protocol/message.ts';
import { createOperator } from '../../src/store/operator.ts';
import { createOutbox, writeFollower } from '../../src/store/outbox.ts';
import { createSweeper } from '../../src/store/sweeper.ts';
import { buildScriptsWithClock } from '../support/model-clock.ts';
import { countsOf, expectBalanced, largestSlice, movesOf } from '../support/moves.ts';
import { KEY, openScriptedQueue, QUEUE } from '../support/scripted-queue.ts';
import { startStore } from '../support/store.ts';

const SLICE = 10;

const { client } = await startStore(buildScriptsWithClock);

test('due tasks become ready in slices, in the order of their times, and none early', async () => {
  const { clock, enqueue, sweep, sweepAll, take } = await openScriptedQueue(client);
  const late = await enqueue(15, { delayMs: 300 });
  const early = await enqueue(15, { delayMs: 200 });
  const last = await enqueue(1, { delayMs: 301 });
  await clock.advance(199);
  const before = await sweep();
  expect(before.counts.due).toBe(0);
  // Exactly then somebody has to look again.
  expect(before.nextMs).toBe(1);

  await clock.advance(101);
  const sweeps = await sweepAll();

  expect(sweeps.map(({ counts }) => counts.due)).toEqual([SLICE, SLICE, SLICE]);
  expect(sweeps.map(({ nextMs }) => nextMs)).toEqual([0, 0, 1]);
  const order = (await take(100)).map(({ id }) => id);
  expect(order.slice(0, 15).toSorted()).toEqual(early.toSorted());
  expect(order.slice(15).toSorted()).toEqual(late.toSorted());
  expect(await client.zrange(`${KEY}:later`, '0', '-1')).toEqual(last);
  await expectBalanced(client, QUEUE);
});

test('tasks that were not started in time are dead, in slices, ready or scheduled; those that were are not', async () => {
  const { clock, enqueue, sweepAll, take, finish, task } = await openScriptedQueue(client);
  const started = await enqueue(2, { ttlMs: 100 });
  expect((await take(2)).map(({ id }) => id)).toEqual(started);
  const ready = await enqueue(12, { ttlMs: 100 });
  const scheduled = await enqueue(12, { ttlMs: 100, delayMs: 100_000 });
  const patient = await enqueue(1, { ttlMs: 101 });
  const endless = await enqueue(1);
  // One waits for a retry, one still runs: both were started.
  await finish([{ id: started[0] ?? '', claim: 1 }], 'failed', { delayMs: 5_000 });
  await clock.advance(100);

  const sweeps = await sweepAll();

  expect(sweeps.reduce((sum, { counts }) => sum + counts.expired, 0)).toBe(24);
  expect(await largestSlice(client, 'dead', QUEUE)).toBe(SLICE);
  for (const id of [...ready, ...scheduled]) {
    const record = await task(id);
    expect(record).toMatchObject({ state: 'dead', claims: 0, startedAt: undefined });
    expect(decodeTrusted(record?.error ?? Buffer.alloc(0))).toMatchObject({ name: 'Expired' });
  }
  const states = await Promise.all([...started, ...patient, ...endless].map(task));
  expect(states.map((record) => record?.state)).toEqual(['scheduled', 'running', 'ready', 'ready']);
  // What stood on the list for them is dropped by whoever takes it.
  expect((await take(100)).map(({ id }) => id)).toEqual([...patient, ...endless]);
  expect(await client.llen(`${KEY}:ready:normal`)).toBe(0);
  expect(await client.zrange(`${KEY}:later`, '0', '-1')).toEqual([started[0]]);
  await expectBalanced(client, QUEUE);
});

test('a task that expired since the last sweep is not started, whoever takes it, and the next one ends it', async () => {
  const { clock, enqueue, take, task, sweep } = await openScriptedQueue(client);
  const [expires = ''] = await enqueue(1, { ttlMs: 100 });
  const inTime = await enqueue(1, { ttlMs: 101 });
  await clock.advance(100);
  expect((await take(5)).map(({ id }) => id)).toEqual(inTime);
  expect(await task(expires)).toMatchObject({ state: 'ready', claims: 0 });
  expect((await sweep()).counts).toMatchObject({ expired: 1 });
  expect(await task(expires)).toMatchObject({ state: 'dead', claims: 0 });
  expect(await client.exists(`${KEY}:unstarted`)).toBe(0);
  await expectBalanced(client, QUEUE);
});

test('by age finished tasks go in slices, those with a time of their own when it is over', async () => {
  const { clock, enqueue, take, finish, sweepAll, task } = await openScriptedQueue(client, {
    retentionMs: 5_000,
  });
  const many = await enqueue(25);
  await finish(await take(25));
  const short = await enqueue(12);
  await finish(await take(12), 'succeeded', { resultTtlMs: 100 });
  const dead = await enqueue(12);
  await finish(await take(12), 'dead', { payload: encodeCbor({ name: 'Error', message: 'm' }) });
  const long = await enqueue(2);
  await finish(await take(2), 'succeeded', { resultTtlMs: 60_000 });
  const gone = async (ids: readonly string[]): Promise<boolean[]> =>
    Promise.all(ids.map(async (id) => (await task(id)) === undefined));

  await clock.advance(99);
  expect((await sweepAll()).map(({ counts }) => counts.removed)).toEqual([0]);
  await clock.advance(1);
  expect((await sweepAll()).reduce((sum, { counts }) => sum + counts.removed, 0)).toBe(12);
  expect(await gone(short)).not.toContain(false);
  expect(await gone([...many, ...dead, ...long])).not.toContain(true);

  await clock.advance(4_899);
  expect((await sweepAll()).map(({ counts }) => counts.removed)).toEqual([0]);
  await clock.advance(1);
  expect((await sweepAll()).reduce((sum, { counts }) => sum + counts.removed, 0)).toBe(37);
  expect(await gone([...many, ...dead])).not.toContain(false);
  // No longer listed, but still there.
  expect(await client.exists(`${KEY}:done`, `${KEY}:dead`)).toBe(0);
  expect(await gone(long)).not.toContain(true);

  await clock.advance(55_000);
  await sweepAll();
  expect(await gone(long)).not.toContain(false);
  expect(await countsOf(client, QUEUE)).toEqual({ accepted: 51, removed: 51 });
  // Each part of a sweep keeps to its slice; done and dead tasks are two parts, and those with their own time a third.
  expect(await largestSlice(client, 'removed', QUEUE)).toBeLessThanOrEqual(3 * SLICE);
  const left = (await client.keys('pf:{*')).map((key) => key.replace(`${KEY}:`, '')).toSorted();
  expect(left).toEqual([
    'control',
    'count',
    'events',
    'holds',
    'queue',
    'series',
    'series-minutes',
    'workers',
  ]);
});

test('by size the oldest go first, in slices, as few as will do; dead ones only when nothing else is left', async () => {
  const kilobyte = encodeCbor('x'.repeat(1_000));
  const settings = { retentionBytes: 25_000 };
  const { clock, enqueue, take, finish, sweep, sweepAll, task } = await openScriptedQueue(client, settings);
  const dead = await enqueue(5);
  await finish(await take(5), 'dead', { payload: encodeCbor({ name: 'Error', message: 'x'.repeat(1_000) }) });
  const done: string[] = [];
  for (let count = 0; count < 30; count += 1) {
    await clock.advance(1);
    done.push(...(await enqueue(1)));
    await finish(await take(1), 'succeeded', { payload: kilobyte });
  }
  const waiting = await enqueue(2);
  const later = await enqueue(2, { delayMs: 500_000 });
  const running = await enqueue(2, undefined, 'high');
  await take(2);
  const { bytes: before = 0 } = await countsOf(client, QUEUE);

  const first = await sweep();
  expect(first).toMatchObject({ counts: { removed: SLICE }, nextMs: 0 });
  await sweepAll();

  const { bytes = 0 } = await countsOf(client, QUEUE);
  expect(bytes).toBeLessThanOrEqual(settings.retentionBytes);
  const each =
    (before - bytes) / (await movesOf(client, QUEUE)).filter(({ state }) => state === 'removed').length;
  expect(bytes).toBeGreaterThan(settings.retentionBytes - each);
  const there = await Promise.all(done.map(async (id) => (await task(id)) !== undefined));
  expect(there.indexOf(true)).toBeGreaterThan(2 * SLICE);
  expect(there.slice(there.indexOf(true))).not.toContain(false);
  const untouched = [...dead, ...waiting, ...later, ...running];
  for (const id of untouched) expect(await task(id)).toBeDefined();
  await expectBalanced(client, QUEUE);

  // Less than the dead ones take alone.
  await sweepsWith(client, 2 * 3_500)();
  expect(await Promise.all(done.map(task))).toEqual(done.map(() => undefined));
  expect((await Promise.all(dead.map(task))).filter((record) => record !== undefined)).toHaveLength(2);
  for (const id of [...waiting, ...later, ...running]) expect(await task(id)).toBeDefined();
  await expectBalanced(client, QUEUE);
});

test('a dead task that was replayed keeps nothing of its death, and is not removed in its old place', async () => {
  const { clock, enqueue, take, finish, sweepAll, task } = await openScriptedQueue(client, {
    retentionMs: 1_000,
  });

  const operator = createOperator(client);
  const [id = ''] = await enqueue(1, { ttlMs: 100 });
  await finish(await take(1), 'dead', {
    payload: encodeCbor({ name: 'Error', message: 'm' }),
    resultTtlMs: 500,
  });
  expect(await operator.replay(QUEUE, id)).toBe('replayed');
  await clock.advance(10_000);
  await sweepAll();
  expect(await task(id)).toMatchObject({
    state: 'ready',
    failures: 0,
    error: undefined,
    finishedAt: undefined,
  });
  expect((await countsOf(client, QUEUE))['bytes']).toBeUndefined();
  await finish(await take(1));
  expect(await task(id)).toMatchObject({ state: 'succeeded', claims: 2 });
  await expectBalanced(client, QUEUE);
});

test('who is still to be told that a task was dead is told why, also when it runs again by then', async () => {
  const { clock, enqueue, take, finish, task } = await openScriptedQueue(client);
  const next = { queue: QUEUE, lane: 'normal', content: encodeContent('add', {}) } as const;
  const [id = ''] = await enqueue(1, { follower: writeFollower(next) });
  const error = encodeCbor({ name: 'Error', message: 'm' });
  await finish(await take(1), 'dead', { payload: error });
  const operator = createOperator(client);
  const outbox = createOutbox(client);
  const place = homeOf(QUEUE);
  expect(await operator.replay(QUEUE, id)).toBe('replayed');
  await clock.advance(1);
  expect(await outbox.take(place, 9)).toMatchObject([{ id, state: 'dead', error }]);
  // Once they are told, the next retry keeps nothing of it.
  await outbox.note(place, [{ name: `${id}:1`, done: 'all' }]);
  await finish(await take(1), 'dead', { payload: error });
  const entries = await outbox.take(place, 9);
  await outbox.note(
    place,
    entries.map(({ name }) => ({ name, done: 'all' })),
  );
  expect(await operator.replay(QUEUE, id)).toBe('replayed');
  expect(await task(id)).toMatchObject({ state: 'ready', error: undefined });
});

/** The sweep of the same queue with another retention by size. */
function sweepsWith(connection: Redis, retentionBytes: number): () => Promise<void> {
  const sweep = createSweeper(connection, {
    leaseMs: 1_000_000,
    slice: SLICE,
    popGraceMs: 2_000,
    retentionMs: 1e12,
    retentionBytes,
    periodMs: 1_000,
  });
  return async () => {
    do await connection.hdel(`${KEY}:queue`, 'sweep_at');
    while ((await sweep(homeOf(QUEUE))).nextMs === 0);
  };
}

test('what is not ready any more leaves the lists of a queue that nobody pops, in slices; the rest stays', async () => {
  const { clock, enqueue, sweepAll, take, task } = await openScriptedQueue(client);
  const operator = createOperator(client);
  const sizes = (): Promise<number[]> =>
    Promise.all(['ready:normal', 'ledger:normal', 'ready:high'].map((name) => client.llen(`${KEY}:${name}`)));
  const gone = await enqueue(25, { ttlMs: 100 });
  const removed = await enqueue(3);
  const cancelled = await enqueue(3, {}, 'high');
  for (const id of removed) expect(await operator.remove(QUEUE, id)).toBe('removed');
  for (const id of cancelled) await operator.cancel(QUEUE, id);
  await clock.advance(100);
  await sweepAll();
  await sweepAll();
  expect(await sizes()).toEqual([0, 0, 0]);

  // One is popped and on its way to its worker; one waits, and what stands behind it stays with it.
  const [popped = '', , waits = '', behind = ''] = await enqueue(4);
  const message = await client.rpopBuffer(`${KEY}:ready:normal`);
  for (const id of (await client.lrange(`${KEY}:ledger:normal`, 2, 2)).concat(behind))
    await operator.cancel(QUEUE, id);
  await sweepAll();
  expect(await sizes()).toEqual([2, 3, 0]);
  await client.rpush(`${KEY}:ready:normal`, message ?? '');
  // A message of another program is not looked at.
  await client.rpush(`${KEY}:ready:high`, 'x');
  expect(await operator.replay(QUEUE, gone[0] ?? '')).toBe('replayed');
  await sweepAll();
  expect(await sizes()).toEqual([4, 4, 1]);
  expect(new Set((await take(9)).map(({ id }) => id))).toEqual(new Set([popped, waits, gone[0]]));
  await sweepAll();
  expect(await sizes()).toEqual([0, 0, 0]);
  expect(await task(behind)).toMatchObject({ state: 'cancelled' });
  await expectBalanced(client, QUEUE);
});
