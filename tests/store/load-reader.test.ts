// The load of a queue: what arrives and how long runs take, from samples that the sweep keeps.

import { beforeEach, expect, test } from 'vitest';
import { announce } from '../../src/store/announcement.ts';
import { readLoad } from '../../src/store/load-reader.ts';
import { buildScriptsWithClock } from '../support/model-clock.ts';
import { KEY, openScriptedQueue, QUEUE, type ScriptedQueue } from '../support/scripted-queue.ts';
import { startStore } from '../support/store.ts';

const { client } = await startStore(buildScriptsWithClock);
let queue: ScriptedQueue;
beforeEach(async () => {
  queue = await openScriptedQueue(client, { periodMs: 5_000 });
});

/** Each second tasks arrive, are claimed, and end three seconds later; each fourth second the sweep comes. */
async function live(seconds: number, arrivals: number): Promise<void> {
  const running: (() => Promise<void>)[] = [];
  for (let second = 0; second < seconds; second += 1) {
    await queue.clock.advance(1_000);
    if (arrivals > 0) await queue.enqueue(arrivals);
    const taken = await queue.take(arrivals);
    running.push(() => queue.finish(taken));
    if (running.length > 3) await running.shift()?.();
    if (second % 4 === 0) await queue.sweep();
  }
  await queue.clock.advance(1_000);
  for (const finish of running) await finish();
}

test('arrivals and run times are those of the last minutes; a rate rises soon and falls slowly', async () => {
  await live(400, 2);
  const steady = await readLoad(client, QUEUE);
  expect(steady.arrivalsPerSecond).toBeCloseTo(2, 0);
  expect(steady.runSeconds).toBeGreaterThan(2.5);
  expect(steady.runSeconds).toBeLessThan(3.5);
  await live(60, 10);
  const risen = await readLoad(client, QUEUE);
  expect(risen.arrivalsPerSecond).toBeGreaterThan(8);
  await live(120, 0);
  const falling = await readLoad(client, QUEUE);
  expect(falling.arrivalsPerSecond).toBeGreaterThan(2);
  await live(400, 0);
  expect(await readLoad(client, QUEUE)).toMatchObject({ arrivalsPerSecond: 0, ready: 0, running: 0 });
});

test('tasks that wait or are tried again count as arrivals, those that are due within 30 s as due soon', async () => {
  await live(40, 1);
  await queue.clock.advance(10_000);
  await queue.sweep();
  await queue.clock.advance(240_000);
  await queue.enqueue(30);
  const [task] = await queue.take(1);
  if (task) await queue.finish([task], 'failed', { delayMs: 29_000 });
  await queue.enqueue(1, { delayMs: 20_000 });
  await queue.enqueue(1, { delayMs: 40_000 });
  const load = await readLoad(client, QUEUE);
  expect(load).toMatchObject({ ready: 29, running: 0, dueSoon: 2 });
  expect(load.arrivalsPerSecond).toBeCloseTo(30 / 60, 1);
  // A fleet without workers needs one for the ticks of its schedules.
  const now = queue.clock.now();
  await client.zadd(`${KEY}:ticks`, now - 1_000, 'late', now + 20_000, 'soon', now + 40_000, 'later');
  expect(await readLoad(client, QUEUE)).toMatchObject({ dueSoon: 4 });
});

test('the oldest ready task is that of any lane, and counts from when it was due or came back', async () => {
  expect((await readLoad(client, QUEUE)).oldestReadySeconds).toBe(0);
  await queue.enqueue(1, {}, 'low');
  await queue.clock.advance(30_000);
  await queue.enqueue(2, {}, 'high');
  await queue.clock.advance(12_500);
  const { oldestReadySeconds } = await readLoad(client, QUEUE);
  expect(oldestReadySeconds).toBeCloseTo(42.5, 0);
  const taken = await queue.take(3);
  expect((await readLoad(client, QUEUE)).oldestReadySeconds).toBe(0);
  for (const one of taken) await queue.finish([one], 'failed', { delayMs: 10 });
  await queue.clock.advance(10);
  await queue.sweep();
  await queue.clock.advance(7_000);
  const back = await readLoad(client, QUEUE);
  expect(back.oldestReadySeconds).toBeCloseTo(7, 0);
});

test('places of a worker: of those that are announced, else of the last one that was', async () => {
  expect(await readLoad(client, QUEUE)).toMatchObject({
    workers: 0,
    slots: 0,
    slotsPerWorker: 1,
    runSeconds: undefined,
  });
  const worker = { host: 'h', pid: 1, startedAt: 0, version: '1', threads: 2, types: [] };
  await announce(client, QUEUE, 'w1', { ...worker, concurrency: 8 });
  await announce(client, QUEUE, 'w2', { ...worker, concurrency: 4 });
  expect(await readLoad(client, QUEUE)).toMatchObject({ workers: 2, slots: 12, slotsPerWorker: 6 });
  await client.del(`${KEY}:announced`);
  expect(await readLoad(client, QUEUE)).toMatchObject({ workers: 0, slots: 0, slotsPerWorker: 4 });
});

test('there are samples of an hour, and one a minute of a day, and none while nothing changes', async () => {
  for (let count = 0; count < 1_500; count += 1) {
    await queue.clock.advance(60_000);
    await queue.enqueue(1);
    await queue.sweep();
  }
  expect(await client.llen(`${KEY}:series`)).toBe(360);
  expect(await client.llen(`${KEY}:series-minutes`)).toBe(1_440);
  await client.del(`${KEY}:series`, `${KEY}:series-minutes`);
  for (let count = 0; count < 10; count += 1) {
    await queue.clock.advance(5_000);
    await queue.sweep();
  }
  expect(await client.llen(`${KEY}:series`)).toBe(1);
});

test('a sample of a release that kept fewer numbers, and what another program has put there, are read as far as they go', async () => {
  await live(10, 1);
  await client.lpush(`${KEY}:series`, 'spoilt', '1 5 0');
  const load = await readLoad(client, QUEUE);
  expect(Number.isFinite(load.arrivalsPerSecond)).toBe(true);
});
