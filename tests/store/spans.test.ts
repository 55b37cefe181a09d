// Percentiles of counts a step of time, and what is kept of the runs of each type.

import { expect, test } from 'vitest';
import { createTypeTally } from '../../src/metrics/type-tally.ts';
import { fieldsOf, percentileMs, SPAN_FIELDS, SPAN_SECONDS } from '../../src/store/spans.ts';
import { readTypeRuns } from '../../src/store/type-runs.ts';
import { buildScriptsWithClock } from '../support/model-clock.ts';
import { KEY, openScriptedQueue, QUEUE } from '../support/scripted-queue.ts';
import { startStore } from '../support/store.ts';

const HOUR_MS = 3_600_000;
const { client } = await startStore(buildScriptsWithClock);

const counts = (...some: readonly (readonly [step: number, count: number])[]): number[] => {
  const all = SPAN_SECONDS.map(() => 0).concat(0);
  for (const [step, count] of some) all[step] = count;
  return all;
};

test('within a step times are spread evenly; nothing is known of none, and of what is longer than all only that', () => {
  expect(percentileMs(counts(), 0.5)).toBeUndefined();
  expect(percentileMs(counts([0, 4]), 0.5)).toBe(2.5);
  expect(percentileMs(counts([0, 4]), 1)).toBe(5);
  expect(percentileMs(counts([0, 50], [7, 50]), 0.75)).toBe(750);
  expect(percentileMs(counts([0, 0.5], [7, 0.5]), 0.75)).toBe(750);
  expect(percentileMs(counts([0, 1], [16, 9]), 0.5)).toBe(3_600_000);
});

test('a field for each step of waits and of runs', () => {
  expect(SPAN_FIELDS).toHaveLength(34);
  expect([SPAN_FIELDS[0], fieldsOf('wait')[16], fieldsOf('run')[0], SPAN_FIELDS.at(-1)]).toEqual([
    'wait-0',
    'wait-16',
    'run-0',
    'run-16',
  ]);
});

test('the runs of each type of a day are kept by the hour, whatever else stands there', async () => {
  const { clock, worker } = await openScriptedQueue(client);
  const tally = createTypeTally();
  const beat = (): Promise<unknown> => worker.beat([], {}, undefined, tally.take(QUEUE));
  const run = (type: string, ...seconds: readonly number[]): void => {
    for (const one of seconds) tally.ran({ queue: QUEUE, type }, one * 1_000);
  };
  // In the middle of an hour, a day and two hours ago.
  await clock.advance(Math.floor(Date.now() / HOUR_MS) * HOUR_MS - 25.5 * HOUR_MS - clock.now());
  run('old', 1);
  await beat();
  await clock.advance(3 * HOUR_MS);
  run('mail', 0.001, 0.3);
  run('video', 7_200);
  await beat();
  run('mail', 0.3);
  tally.failed(QUEUE, 'mail');
  await beat();
  await beat();
  await clock.advance(23 * HOUR_MS);
  run('mail', 0.001);
  await beat();

  const { types, latestAt } = await readTypeRuns(client, [QUEUE, 'empty']);
  const hours = (...some: readonly (readonly [at: number, count: number])[]): number[] =>
    Array.from({ length: 24 }, (_, at) => some.find(([one]) => one === at)?.[1] ?? 0);
  expect(latestAt % HOUR_MS).toBe(0);
  expect(types).toEqual([
    { type: 'mail', failed: 1, spans: counts([0, 2], [6, 2]), hours: hours([0, 3], [23, 1]) },
    { type: 'video', failed: 0, spans: counts([16, 1]), hours: hours([0, 1]) },
  ]);
  const kept = await client.hgetall(`${KEY}:count`);
  expect([kept['run-0'], kept['run-6'], kept['run-7'], kept['run-16']]).toEqual(['2', '2', '1', '1']);

  // What another program has written over it does not keep a worker from its beat.
  for (const spoilt of ['{"mail":7}', '{', '[]']) {
    await client.lpop(`${KEY}:type-hours`);
    await client.lpush(`${KEY}:type-hours`, `${Math.floor(clock.now() / HOUR_MS)} ${spoilt}`);
    run('mail', 1);
    await beat();
    expect((await readTypeRuns(client, [QUEUE])).types[0]?.hours[23]).toBe(1);
  }
  await client.lpush(`${KEY}:type-hours`, 'none', `${Math.floor(clock.now() / HOUR_MS)} {"mail":7}`);
  expect((await readTypeRuns(client, [QUEUE])).types[0]?.hours[23]).toBe(1);
});

test('no more than a day of hours and some kilobytes of types are kept', async () => {
  const { clock, worker } = await openScriptedQueue(client);
  const tally = createTypeTally();
  for (let hour = 0; hour < 26; hour += 1) {
    await clock.advance(HOUR_MS);
    tally.ran({ queue: QUEUE, type: 'mail' }, 1);
    await worker.beat([], {}, undefined, tally.take(QUEUE));
  }
  expect(await client.llen(`${KEY}:type-hours`)).toBe(24);
  for (let round = 0; round < 4; round += 1) {
    for (let nth = 0; nth < 500; nth += 1) {
      tally.ran({ queue: QUEUE, type: `${'x'.repeat(60)}-${round}-${nth}` }, 1);
    }
    tally.ran({ queue: QUEUE, type: 'mail' }, 1);
    await worker.beat([], {}, undefined, tally.take(QUEUE));
  }
  const newest = (await client.lindex(`${KEY}:type-hours`, 0)) ?? '';
  expect(newest.length).toBeLessThan(150_000);
  expect(newest).toContain('"mail":[5,');
});
