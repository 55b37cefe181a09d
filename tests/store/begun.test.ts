// What a worker had not begun when it was lost: that says nothing against a task, and it still has to be started in time.

import { expect, test } from 'vitest';
import { encodeCbor } from '../../src/protocol/cbor.ts';
import { type BegunWord, type ClaimedTask, createConsumer } from '../../src/store/consumer.ts';
import { homeOf } from '../../src/store/keys.ts';
import { readHeader } from '../../src/store/record.ts';
import { buildScriptsWithClock } from '../support/model-clock.ts';
import { expectBalanced } from '../support/moves.ts';
import { toOutcome } from '../support/outcome.ts';
import { KEY, openScriptedQueue, QUEUE, type ScriptedQueue } from '../support/scripted-queue.ts';
import { startStore } from '../support/store.ts';

const LEASE_MS = 10_000;

const { client } = await startStore(buildScriptsWithClock);

const openQueue = (): Promise<ScriptedQueue> => openScriptedQueue(client, { leaseMs: LEASE_MS });
const workerNamed = (name: string) => createConsumer(client, homeOf(QUEUE), name, LEASE_MS);

function claimedAt({ token }: ClaimedTask): number {
  return readHeader(token).startedAt ?? 0;
}

/** The lease of a worker runs out while others sweep. */
async function loseLease(queue: ScriptedQueue): Promise<void> {
  for (let passed = 0; passed <= LEASE_MS; passed += 1_000) {
    await queue.clock.advance(1_000);
    await queue.sweep();
  }
}

/** Claims a task, and 5 ms later another one that is taken ahead. */
async function claimTwo(queue: ScriptedQueue, name: string): Promise<[ClaimedTask, ClaimedTask]> {
  const worker = workerNamed(name);
  const [first] = (await worker.claim([], 1)).tasks as [ClaimedTask];
  await queue.clock.advance(5);
  const [second] = (await worker.claim([], 1, {}, { begun: claimedAt(first) })).tasks as [ClaimedTask];
  return [first, second];
}

test('only what may have begun counts a crash; the other runs as if nothing had happened', async () => {
  const queue = await openQueue();
  await queue.enqueue(2);
  const [first, second] = await claimTwo(queue, 'lost');
  await loseLease(queue);
  expect(await queue.task(first.id)).toMatchObject({ state: 'ready', claims: 1, crashes: 1 });
  expect(await queue.task(second.id)).toMatchObject({ state: 'ready', claims: 1, crashes: 0, failures: 0 });
  expect((await queue.task(second.id))?.startedAt).toBeUndefined();
  expect(await client.hexists(`${KEY}:errors`, second.id)).toBe(0);
  expect(await client.exists(`${KEY}:begun`)).toBe(0);
  const { tasks } = await workerNamed('next').claim([], 2);
  expect(Object.fromEntries(tasks.map(({ id, crashes }) => [id, crashes]))).toEqual({
    [first.id]: 1,
    [second.id]: 0,
  });
  await expectBalanced(client, QUEUE);
});

test.each<[string, (second: ClaimedTask) => BegunWord]>([
  ['its time', claimedAt],
  ['everything', () => 'all'],
])('what the next call names by %s may have begun', async (_, word) => {
  const queue = await openQueue();
  await queue.enqueue(2);
  const [, second] = await claimTwo(queue, 'lost');
  await workerNamed('lost').beat([], { begun: word(second) });
  await loseLease(queue);
  expect(await queue.task(second.id)).toMatchObject({ crashes: 1 });
});

test('in doubt it has begun: a worker that says nothing, and claims in one millisecond', async () => {
  const queue = await openQueue();
  await queue.enqueue(2);
  const worker = workerNamed('lost');
  const [first] = (await worker.claim([], 1)).tasks as [ClaimedTask];
  await worker.claim([], 1, {}, { begun: claimedAt(first) });
  await loseLease(queue);
  expect((await workerNamed('next').claim([], 2)).tasks.map(({ crashes }) => crashes)).toEqual([1, 1]);
});

test('a task that kills each worker in its first microsecond is dead after three', async () => {
  const queue = await openQueue();
  const [id = ''] = await queue.enqueue(1);
  await workerNamed('first').claim([], 1);
  await loseLease(queue);
  for (const name of ['second', 'third']) {
    const worker = workerNamed(name);
    const { tasks } = await worker.claim([], 1);
    await worker.finish([toOutcome(tasks[0] as ClaimedTask, 'crashed', 0)], 0);
  }
  expect(await queue.task(id)).toMatchObject({ state: 'dead', crashes: 3 });
});

test('a task that has lost workers before loses none by a lease that ends before it began', async () => {
  const queue = await openQueue();
  const [id = ''] = await queue.enqueue(1);
  await workerNamed('lost').claim([], 1);
  await loseLease(queue);
  await queue.enqueue(1, {}, 'high');
  const [, again] = await claimTwo(queue, 'frozen');
  expect(again).toMatchObject({ id, crashes: 1 });
  await loseLease(queue);
  expect(await queue.task(id)).toMatchObject({ state: 'ready', crashes: 1 });
  expect(await client.hexists(`${KEY}:lost-leases`, id)).toBe(0);
});

/** How a task comes back that had not begun. */
const WAYS_BACK: readonly [string, (queue: ScriptedQueue, held: ClaimedTask) => Promise<unknown>][] = [
  ['its worker is lost', loseLease],
  [
    'its worker finds no place',
    async (_queue, held) => workerNamed('lost').finish([toOutcome(held, 'unbegun', 0)], 0),
  ],
];

test.each(WAYS_BACK)('when %s it still has to be started in time, also the second time', async (_, back) => {
  const queue = await openQueue();
  const start = queue.clock.now();
  const [id = ''] = await queue.enqueue(1, { ttlMs: 100_000 });
  for (let times = 1; times <= 2; times += 1) {
    await queue.enqueue(1, {}, 'high');
    const [first, second] = await claimTwo(queue, 'lost');
    expect(second).toMatchObject({ id, claim: times });
    expect(await client.zcard(`${KEY}:unstarted`)).toBe(0);
    await workerNamed('lost').finish([toOutcome(first, 'succeeded', 0)], 0);
    await back(queue, second);
    expect(await queue.task(id)).toMatchObject({ state: 'ready', expiresAt: start + 100_000 });
  }
  await queue.clock.advance(100_000);
  await queue.sweepAll();
  expect(await queue.task(id)).toMatchObject({ state: 'dead', claims: 2 });
  await expectBalanced(client, QUEUE);
});

test('one that was started, and is given back, does not expire any more', async () => {
  const queue = await openQueue();
  const [id = ''] = await queue.enqueue(1, { ttlMs: 1_000 });
  await queue.finish(await queue.take(1), 'released', { payload: Buffer.alloc(0) });
  await queue.finish(await queue.take(1), 'unbegun', { payload: Buffer.alloc(0) });
  await queue.clock.advance(2_000);
  await queue.sweepAll();
  expect(await queue.task(id)).toMatchObject({ state: 'ready', claims: 2 });
  await queue.finish(await queue.take(1), 'failed', { payload: encodeCbor({ name: 'E', message: 'm' }) });
  expect(await queue.task(id)).toMatchObject({ state: 'scheduled', failures: 1 });
  await expectBalanced(client, QUEUE);
});

test('one that is given back by the call that claims it again is started in time by that, or is too late', async () => {
  const queue = await openQueue();
  const worker = workerNamed('own');
  const giveBackAndClaim = async (): Promise<readonly ClaimedTask[]> => {
    const [first] = (await worker.claim([], 1)).tasks as [ClaimedTask];
    if (first.id === late) await queue.clock.advance(1_000);
    return (await worker.finish([toOutcome(first, 'unbegun', 0)], 1)).tasks;
  };
  const [inTime = ''] = await queue.enqueue(1, { ttlMs: 1_000 });
  let late = '';
  const [again] = (await giveBackAndClaim()) as [ClaimedTask];
  expect(again).toMatchObject({ id: inTime, claim: 2 });
  await worker.finish([toOutcome(again, 'released', 0)], 0);
  await queue.clock.advance(1_000);
  await queue.sweepAll();
  expect(await queue.task(inTime)).toMatchObject({ state: 'ready', claims: 2 });
  await worker.finish([toOutcome((await worker.claim([], 1)).tasks[0] as ClaimedTask, 'succeeded', 0)], 0);

  [late = ''] = await queue.enqueue(1, { ttlMs: 1_000 });
  expect(await giveBackAndClaim()).toEqual([]);
  await queue.sweepAll();
  expect(await queue.task(late)).toMatchObject({ state: 'dead', claims: 1 });
  await expectBalanced(client, QUEUE);
});

test('one that shall be cancelled is cancelled, begun or not', async () => {
  const queue = await openQueue();
  await queue.enqueue(2);
  const [, second] = await claimTwo(queue, 'lost');
  await client.hset(`${KEY}:cancels`, second.id, queue.clock.now());
  await loseLease(queue);
  expect(await queue.task(second.id)).toMatchObject({ state: 'cancelled', crashes: 0 });
});
