// What a queue says has happened in all, step by step. tests/store/interleaving.test.ts compares it in random worlds.

import { expect, test } from 'vitest';
import { createCensus } from '../../src/store/census.ts';
import { createOperator } from '../../src/store/operator.ts';
import { addTotals, type QueueTotals, totalsOf } from '../../src/store/totals.ts';
import { buildScriptsWithClock } from '../support/model-clock.ts';
import { readyKey } from '../support/queue-key.ts';
import { KEY, openScriptedQueue, QUEUE } from '../support/scripted-queue.ts';
import { startStore } from '../support/store.ts';

const { client } = await startStore(buildScriptsWithClock);
const operator = createOperator(client);

async function totals(): Promise<QueueTotals> {
  const [wall, skew] = await client.hmget(`${KEY}:queue`, 'wall', 'skew');
  return totalsOf(await client.hgetall(`${KEY}:count`), Number(wall) + Number(skew));
}

/** Those that are not 0. */
async function known(): Promise<Record<string, number>> {
  return Object.fromEntries(Object.entries(await totals()).filter(([, value]) => value !== 0));
}

test('times in a state add up, also of tasks that are still in it', async () => {
  const { clock, enqueue, take, finish, sweep } = await openScriptedQueue(client);
  await enqueue(3);
  await clock.advance(1_000);
  const [first, second] = await take(2);
  await clock.advance(500);
  if (first) await finish([first]);
  await clock.advance(200);
  if (second) await finish([second], 'failed', { delayMs: 60_000 });
  await clock.advance(40);
  await sweep();
  expect(await known()).toEqual({
    accepted: 3,
    started: 2,
    endedSucceeded: 1,
    failed: 1,
    readyMs: 3 * 1_000 + 500 + 200 + 40,
    runningMs: 500 + 500 + 200,
  });
});

test('each way out of a run has its number', async () => {
  const { clock, enqueue, take, finish, sweep } = await openScriptedQueue(client, {
    leaseMs: 1_000,
    periodMs: 400,
  });
  const words = ['succeeded', 'failed', 'snoozed', 'released', 'dead', 'cancelled', 'crashed'] as const;
  for (const word of words) {
    const [id = ''] = await enqueue(1);
    await finish(await take(1), word, { delayMs: 1e9 });
    // What is ready again is out of the way of those that follow.
    await operator.remove(QUEUE, id);
  }
  expect(await known()).toMatchObject({
    started: words.length,
    endedSucceeded: 1,
    failed: 1,
    snoozed: 1,
    released: 1,
    endedDead: 1,
    // Those that had not ended, as they were removed.
    endedCancelled: 1 + 4,
    endedUnstarted: 4,
    returned: 1,
    removed: words.length,
  });

  const [id = ''] = await enqueue(1);
  for (let crashes = 0; crashes < 3; crashes += 1) await finish(await take(1), 'crashed');
  expect(await totals()).toMatchObject({ poisoned: 1, returned: 3, endedDead: 2 });
  await operator.replay(QUEUE, id);
  expect(await totals()).toMatchObject({ replayed: 1, endedDead: 2 });
  await operator.cancel(QUEUE, id);
  await enqueue(1, { ttlMs: 10 });
  await clock.advance(20);
  await sweep();
  expect(await totals()).toMatchObject({ endedDead: 3, endedCancelled: 6, endedUnstarted: 6, imbalance: 0 });
});

test('late outcomes and lost pops are counted', async () => {
  const { clock, enqueue, take, finish, sweep } = await openScriptedQueue(client, { popGraceMs: 100 });
  await enqueue(1);
  await finish([{ id: (await take(1))[0]?.id ?? '', claim: 7 }]);
  expect(await totals()).toMatchObject({ stale: 1, endedSucceeded: 0 });
  await enqueue(1);
  await client.rpop(readyKey(QUEUE, 'normal'));
  for (let sweeps = 0; sweeps < 2; sweeps += 1) {
    await sweep();
    await clock.advance(200);
  }
  await sweep();
  expect(await totals()).toMatchObject({ repaired: 1, started: 1 });
});

test('sums beyond what a number holds exactly are exact, and spoilt ones are 0', () => {
  const counts = { ready: '2000000', 'ready-ms': '-90000000000000001', running: 'x', 'running-ms': '1.5' };
  expect(totalsOf(counts, 1_795_000_000_001)).toMatchObject({ readyMs: 1_999_999, runningMs: 0 });
  expect(addTotals([])).toEqual(totalsOf({}, 0));
  const one = totalsOf({ accepted: '2', ready: '1' }, 0);
  expect(addTotals([one, one])).toMatchObject({ accepted: 4, imbalance: 2 });
});

test('the census says how long the next task of a lane has been ready', async () => {
  const { clock, enqueue, take, finish, sweep } = await openScriptedQueue(client);
  await client.sadd('pf:queues', QUEUE);
  let now = 0;
  const census = createCensus(client, () => (now += 10_000));
  const oldest = async (): Promise<unknown> => (await census()).queues[0]?.oldestReadyMs;
  // The census asks Redis for the time of day, and the clock of the scripts is elsewhere: their difference is the same throughout.
  const [wall] = await client.time();
  await clock.advance(Number(wall) * 1_000 - clock.now());
  const long = 3_600_000;
  await clock.advance(-long);
  await enqueue(1, { delayMs: 1_000 }, 'low');
  const [gone = ''] = await enqueue(2);
  expect(await oldest()).toMatchObject({ high: 0, low: 0 });
  await clock.advance(long / 2);
  await sweep();
  await operator.remove(QUEUE, gone);
  const found = (await oldest()) as { normal: number; low: number };
  // The delay does not count, and one that is gone is not looked at.
  expect(found.low).toBeGreaterThan(long - 2_000);
  expect(found.low).toBeLessThan(found.normal);

  // While nothing happens no lane is looked at, and they grow older.
  await client.config('RESETSTAT');
  const again = (await oldest()) as { normal: number; low: number };
  expect(again.normal).toBeGreaterThanOrEqual(found.normal);
  expect(await client.info('commandstats')).not.toContain('cmdstat_lindex');

  // Where tasks only came behind the next one, this is the one that is known: its row is not looked at.
  await enqueue(1);
  await client.config('RESETSTAT');
  expect(((await oldest()) as { normal: number }).normal).toBeGreaterThanOrEqual(again.normal);
  const stats = await client.info('commandstats');
  expect(stats).toContain('cmdstat_lindex:calls=3,');
  expect(stats).toContain('cmdstat_hmget:calls=1,');
  expect(stats).not.toContain('cmdstat_hexists');

  // An entry says nothing once its task may have been cancelled: the next one came two minutes later.
  const [cancelled = ''] = await enqueue(1, undefined, 'high');
  const before = (await oldest()) as { high: number };
  await clock.advance(120_000);
  await enqueue(1, undefined, 'high');
  await operator.cancel(QUEUE, cancelled);
  expect(((await oldest()) as { high: number }).high).toBeLessThan(before.high - 60_000);

  // One that came back is ready since it was claimed, at the earliest.
  await finish(await take(2), 'released');
  expect(((await oldest()) as { normal: number }).normal).toBeLessThan(long / 2 + 60_000);
});

test('readers at the same time, and within a second, share one census', async () => {
  await openScriptedQueue(client);
  await client.sadd('pf:queues', QUEUE);
  let now = 0;
  const take = createCensus(client, () => now);
  const [one, other] = await Promise.all([take(), take()]);
  expect(other).toBe(one);
  now = 999;
  expect(await take()).toBe(one);
  now = 1_001;
  expect(await take()).not.toBe(one);
});
