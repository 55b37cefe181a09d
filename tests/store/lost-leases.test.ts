// When the lease of a worker has run out, and what that says against the tasks it held.

import { homeOf } from '../../src/store/keys.ts';
import { describe, expect, test } from 'vitest';
import { announce } from '../../src/store/announcement.ts';
import { readLostWorkers } from '../../src/store/lost-workers.ts';
import { decodeTrusted } from '../../src/protocol/cbor.ts';
import type { ClaimedTask } from '../../src/store/consumer.ts';
import { createConsumer } from '../../src/store/consumer.ts';
import { createOperator } from '../../src/store/operator.ts';
import { OUTCOMES } from '../../src/store/scripts.ts';
import { buildScriptsWithClock } from '../support/model-clock.ts';
import { toOutcome } from '../support/outcome.ts';
import { KEY, openScriptedQueue, QUEUE, type ScriptedQueue } from '../support/scripted-queue.ts';
import { startStore } from '../support/store.ts';

const LEASE_MS = 10_000;
const PERIOD_MS = 2_500;

const { client } = await startStore(buildScriptsWithClock);

const openQueue = (): Promise<ScriptedQueue> =>
  openScriptedQueue(client, { leaseMs: LEASE_MS, periodMs: PERIOD_MS });

/** A worker that claims one task and is not heard of again. */
async function claimOne(name: string): Promise<ClaimedTask | undefined> {
  const { tasks } = await createConsumer(client, homeOf(QUEUE), name, LEASE_MS).claim([], 1);
  return tasks[0];
}

/** Time passes while other workers sweep as they should. */
async function sweepFor(queue: ScriptedQueue, ms: number): Promise<void> {
  for (let left = ms; left > 0; left -= PERIOD_MS) {
    await queue.sweep();
    await queue.clock.advance(Math.min(left, PERIOD_MS));
  }
  await queue.sweep();
}

async function loseLease(queue: ScriptedQueue, name: string): Promise<void> {
  expect(await claimOne(name), `${name} finds the task`).toBeDefined();
  await sweepFor(queue, LEASE_MS + 1);
}

describe('case 13: a lost lease says nothing against a task in a process of its own', () => {
  test('it is ready again each time, and succeeds at last', async () => {
    const queue = await openQueue();
    const [id = ''] = await queue.enqueue(1);
    await loseLease(queue, 'in-a-thread');
    for (let times = 1; times <= 10; times += 1) await loseLease(queue, `frozen-${times}`);

    expect(await queue.task(id)).toMatchObject({ state: 'ready', crashes: 1, failures: 0, claims: 11 });

    const last = createConsumer(client, homeOf(QUEUE), 'last', LEASE_MS);
    const { tasks } = await last.claim([], 1);
    await last.finish([toOutcome(tasks[0] as ClaimedTask, 'succeeded', 0)], 0);
    expect(await queue.task(id)).toMatchObject({ state: 'succeeded', crashes: 1 });
  });

  test('the end of its process counts as before: the third crash is poison', async () => {
    const queue = await openQueue();
    const [id = ''] = await queue.enqueue(1);
    await loseLease(queue, 'in-a-thread');
    await loseLease(queue, 'frozen');
    const worker = createConsumer(client, homeOf(QUEUE), 'lives', LEASE_MS);
    for (const crashes of [2, 3]) {
      const { tasks } = await worker.claim([], 1);
      await worker.finish([toOutcome(tasks[0] as ClaimedTask, 'crashed', 0)], 0);
      expect(await queue.task(id)).toMatchObject({ crashes, state: crashes === 3 ? 'dead' : 'ready' });
    }
  });

  test('twenty lost leases are the bound, and the error says so; a retry counts anew', async () => {
    const queue = await openQueue();
    const [id = ''] = await queue.enqueue(1);
    await loseLease(queue, 'in-a-thread');
    for (let times = 1; times < 20; times += 1) await loseLease(queue, `frozen-${times}`);
    expect(await queue.task(id)).toMatchObject({ state: 'ready', crashes: 1 });

    await loseLease(queue, 'frozen-20');
    const dead = await queue.task(id);
    expect(dead).toMatchObject({ state: 'dead', crashes: 1 });
    expect(decodeTrusted(dead?.error as Buffer)).toMatchObject({
      name: 'PoisonTask',
      message: expect.stringContaining('twenty workers lost their lease'),
    });

    await createOperator(client).replay(QUEUE, id);
    await loseLease(queue, 'in-a-thread-again');
    await loseLease(queue, 'frozen-21');
    expect(await queue.task(id)).toMatchObject({ state: 'ready', crashes: 1 });
  });

  test('one that shall be cancelled is cancelled, not run again', async () => {
    const queue = await openQueue();
    const [id = ''] = await queue.enqueue(1);
    await loseLease(queue, 'in-a-thread');
    expect(await claimOne('frozen')).toBeDefined();
    await createOperator(client).cancel(QUEUE, id);
    await sweepFor(queue, LEASE_MS + 1);
    expect(await queue.task(id)).toMatchObject({ state: 'cancelled' });
  });
});

describe('case 15: the tasks of a fleet that dies again and again', () => {
  // Of a fleet of one worker: how long each lives, and how long it is away until the next one starts.
  test.each([
    [8_000, 6_000],
    [3_000, 6_000],
    [2_000, 6_000],
    [9_000, 9_000],
  ])(
    'alive %i ms, away %i ms: they are ready again after two leases, as soon as a worker lives',
    async (aliveMs, awayMs) => {
      const queue = await openQueue();
      const [id = ''] = await queue.enqueue(1);
      expect(await claimOne('first')).toBeDefined();
      await sweepFor(queue, aliveMs);
      const diedAt = queue.clock.now();
      for (;;) {
        await queue.clock.advance(awayMs);
        await queue.sweep();
        if ((await queue.task(id))?.state === 'ready') break;
        await sweepFor(queue, aliveMs);
        if ((await queue.task(id))?.state === 'ready') break;
        expect(queue.clock.now() - diedAt).toBeLessThan(2 * LEASE_MS);
      }
    },
  );

  test('the worker that lives loses nothing, however often Redis stands still', async () => {
    const queue = await openQueue();
    await queue.enqueue(1);
    const worker = createConsumer(client, homeOf(QUEUE), 'lives', LEASE_MS);
    const { tasks } = await worker.claim([], 1);
    await queue.sweep();
    for (const stillMs of [60_000, 7_000, 30_000, 6_000]) {
      await queue.clock.advance(stillMs);
      // Another worker may sweep before this one is heard of again.
      await queue.sweep();
      expect((await worker.beat(tasks)).lost, `after ${stillMs} ms`).toEqual([]);
      await sweepFor(queue, PERIOD_MS);
    }
  });

  test('Redis that stands still again before a worker could be heard takes no lease', async () => {
    const queue = await openQueue();
    await queue.enqueue(1);
    const worker = createConsumer(client, homeOf(QUEUE), 'lives', LEASE_MS);
    const { tasks } = await worker.claim([], 1);
    await queue.sweep();
    await queue.clock.advance(30_000);
    await queue.sweep();
    await queue.clock.advance(30_000);
    await queue.sweep();
    expect((await worker.beat(tasks)).lost).toEqual([]);
  });
});

test('people are told of a lost worker for five minutes, with what it held when it was lost', async () => {
  const queue = await openQueue();
  await queue.enqueue(3);
  const announcement = {
    host: 'h',
    pid: 7,
    startedAt: 0,
    version: '1',
    concurrency: 4,
    threads: 2,
    types: [],
  };
  await announce(client, QUEUE, 'gone', announcement);
  // A slice of the sweep is 10: it gives these back in more than one.
  await queue.enqueue(20);
  await createConsumer(client, homeOf(QUEUE), 'gone', LEASE_MS).claim([], 23);
  await sweepFor(queue, LEASE_MS + 1);
  expect(await readLostWorkers(client, QUEUE)).toMatchObject([
    { worker: 'gone', queue: QUEUE, held: 23, host: 'h', pid: 7, version: '1' },
  ]);
  expect(await client.pttl(`${KEY}:lost`)).toBeGreaterThan(200_000);
  await sweepFor(queue, 300_000);
  // The next that is lost takes away what is old.
  await loseLease(queue, 'another');
  const lost = await readLostWorkers(client, QUEUE);
  expect(lost.map(({ worker, held }) => [worker, held])).toEqual([['another', 1]]);
  expect(await client.hlen(`${KEY}:lost`)).toBe(1);
  // Of one that is lost again the latest time counts.
  await loseLease(queue, 'another');
  const [again] = await readLostWorkers(client, QUEUE);
  expect(again?.leaseUntil).toBeGreaterThan(lost[0]?.leaseUntil ?? 0);
});

describe('an outcome of a task that was given back meanwhile', () => {
  const payload = Buffer.from(JSON.stringify({ sources: [], timeoutMs: 5 }));

  // A crash is one, whoever says so.
  test.each(OUTCOMES.filter((word) => word !== 'crashed'))('%s: it came too late', async (word) => {
    const queue = await openQueue();
    const [id = ''] = await queue.enqueue(1);
    const task = await claimOne('frozen');
    await sweepFor(queue, LEASE_MS + 1);
    const frozen = createConsumer(client, homeOf(QUEUE), 'frozen', LEASE_MS);
    const outcome = toOutcome(task as ClaimedTask, word, 5, payload);
    expect((await frozen.finish([outcome], 0)).stale).toEqual([outcome]);
    expect(await queue.task(id)).toMatchObject({ state: 'ready', crashes: 1 });
    expect(await client.hget(`${KEY}:count`, 'stale')).toBe('1');
  });

  test.each(OUTCOMES)('%s: said again it is a repeat', async (word) => {
    const queue = await openQueue();
    const [id = ''] = await queue.enqueue(1);
    const outcome = toOutcome((await claimOne('doubtful')) as ClaimedTask, word, 5, payload);
    const doubtful = createConsumer(client, homeOf(QUEUE), 'doubtful', LEASE_MS);
    for (let times = 0; times < 2; times += 1) {
      expect((await doubtful.finish([outcome], 0)).stale).toEqual([]);
    }
    // Asked to be cancelled, it ends whatever its worker says.
    await createOperator(client).remove(QUEUE, id);
    await queue.enqueue(1);
    const asked = toOutcome((await claimOne('doubtful')) as ClaimedTask, word, 5, payload);
    await createOperator(client).cancel(QUEUE, asked.id);
    for (let times = 0; times < 2; times += 1) {
      expect((await doubtful.finish([asked], 0)).stale).toEqual([]);
    }
  });
});
