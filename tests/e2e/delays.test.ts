// Delayed tasks: on time from one timer that nobody polls, woken by what is due sooner, and many at once in small slices.

import { setTimeout as pause } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { encodeContent } from '../../src/protocol/message.ts';
import { newTaskId } from '../../src/protocol/task-id.ts';
import { createProducer } from '../../src/store/producer.ts';
import { eventually } from '../support/eventually.ts';
import { expectBelow } from '../support/expect-below.ts';
import { NO_SWEEPS } from '../support/fleet.ts';
import { post } from '../support/http.ts';
import { finished, look, millis, send, type TaskAnswer } from '../support/life.ts';
import {
  countsOf,
  expectBalanced,
  largestSliceOf,
  movesOf,
  openJournal,
  redisNow,
} from '../support/moves.ts';
import { openStage } from '../support/stage.ts';
import { openStore } from '../support/store.ts';

const ADD = { one: 1, two: 2 };
/** What the sweep handles of each kind in one call. */
const SLICE = 100;

/** By the clock of Redis. */
function lateness(task: TaskAnswer): number {
  return millis(task.dueAt, task.startedAt);
}

function percentile(sorted: readonly number[], percent: number): number {
  return sorted[Math.ceil((sorted.length * percent) / 100) - 1] ?? Number.NaN;
}

test('sixty delays from 50 ms to 3 s begin on time on an idle fleet, and never early', async (context) => {
  const stage = openStage(context);
  const redis = await stage.redis();
  const env = { REDIS_URL: redis.url, CONCURRENCY: '4' };
  const [server] = await Promise.all([stage.role('server', env), stage.role('worker', env)]);
  const url = server.url();
  await finished(url, await send(url, 'add', ADD, { delayMs: 20 })); // Everybody is there and warm.

  const delays = Array.from({ length: 60 }, (_, at) => 50 * (at + 1));
  /** Of each, in order. None may be early, and each has to succeed. */
  async function latenesses(): Promise<number[]> {
    const ids = await Promise.all(delays.map((delayMs) => send(url, 'add', ADD, { delayMs })));
    const tasks = await Promise.all(ids.map((id) => finished(url, id)));
    for (const [at, task] of tasks.entries()) {
      expect(task).toMatchObject({ state: 'succeeded', result: 3, attempt: 1 });
      expect(millis(task.acceptedAt, task.dueAt)).toBe(delays[at]);
    }
    const sorted = tasks.map(lateness).toSorted((one, other) => one - other);
    expect(sorted[0]).toBeGreaterThanOrEqual(0);
    return sorted;
  }

  // On an idle machine the last is below 20 as well.
  const [limit50, limit99] = [20, 250];
  await expectBelow(
    1,
    async () => {
      const sorted = await latenesses();
      const [p50 = 0, p90, p99 = 0] = [50, 90, 99].map((percent) => percentile(sorted, percent));
      console.info(`lateness of ${sorted.length} delays in ms: p50 ${p50}, p90 ${p90}, p99 ${p99}`);
      return [p50 / limit50, p99 / limit99];
    },
    10,
  );
  await expectBalanced(redis.client);
});

test.concurrent('a task that is due sooner wakes the timer, also that of a fleet that sleeps for long', async (context) => {
  const stage = openStage(context);
  const redis = await stage.redis();
  // Without being woken, nobody would look before the next heartbeat.
  const env = { REDIS_URL: redis.url, CONCURRENCY: '1', HEARTBEAT_MS: '20000', LEASE_MS: '60000' };
  const [server] = await Promise.all([
    stage.here('server', env),
    stage.here('worker', env),
    stage.here('worker', env),
  ]);
  const url = server.url();
  await eventually(async () => Number((await redis.client.pubsub('NUMSUB', 'pf:{default}:wake'))[1]) === 2);
  const far = await send(url, 'add', ADD, { delayMs: 60_000 });
  await pause(300);

  await expectBelow(1_000, async () => {
    const sooner = await send(url, 'add', ADD, { delayMs: 1_000 });
    const soonest = await send(url, 'add', ADD, { delayMs: 200 });
    const tasks = await Promise.all([soonest, sooner].map((id) => finished(url, id)));
    for (const { state } of tasks) expect(state).toBe('succeeded');
    return tasks.map(lateness);
  });
  expect(await look(url, far)).toMatchObject({ state: 'scheduled', attempt: 0 });
  // One that is cancelled does not come any more.
  const never = await send(url, 'add', ADD, { delayMs: 1_500 });
  expect((await post(`${url}/v1/tasks/${never}/cancel`, {})).body).toMatchObject({ state: 'cancelled' });
  await pause(1_700);
  expect((await movesOf(redis.client)).filter(({ id }) => id === never).map(({ state }) => state)).toEqual([
    'scheduled',
    'cancelled',
  ]);
  expect(await redis.client.zrange('pf:{default}:later', '0', '-1')).toEqual([far]);
});

test.concurrent('a time in the past is now, an RFC 3339 time is kept, and what came due while nobody was there runs', async (context) => {
  const stage = openStage(context);
  const redis = await stage.redis();
  const env = { REDIS_URL: redis.url, CONCURRENCY: '2' };
  const server = await stage.here('server', { ...env, ...NO_SWEEPS });
  const url = server.url();
  for (const past of [{ runAt: '2001-09-09T01:46:40Z' }, { runAt: 5 }, { delayMs: 0 }]) {
    const { body } = await post(`${url}/v1/tasks`, { type: 'add', input: ADD, ...past });
    expect(body).toMatchObject({ state: 'ready' });
    const task = await look(url, String(body['id']));
    expect(task.state).toBe('ready');
    expect(task.dueAt).toBeUndefined();
  }
  const missed = await send(url, 'add', ADD, { delayMs: 100 });
  const soon = (await redisNow(redis.client)) + 3_000;
  // The same instant, an hour east of Greenwich.
  const inBerlin = new Date(soon + 3_600_000).toISOString().replace('Z', '+01:00');
  const { body } = await post(`${url}/v1/tasks`, { type: 'add', input: ADD, runAt: inBerlin });
  expect(body).toMatchObject({ state: 'scheduled' });
  await pause(200);
  expect(await countsOf(redis.client)).toEqual({ accepted: 5, ready: 3, scheduled: 2 });

  await stage.here('worker', env);

  expect(await finished(url, missed)).toMatchObject({ state: 'succeeded' });
  const onTime = await finished(url, String(body['id']));
  expect(onTime).toMatchObject({ state: 'succeeded', dueAt: new Date(soon).toISOString() });
  expect(lateness(onTime)).toBeGreaterThanOrEqual(0);
  await eventually(async () => (await countsOf(redis.client))['succeeded'] === 5);
  await expectBalanced(redis.client);
});

test('three thousand due at the same moment all run, moved in slices that keep nobody waiting', async (context) => {
  const many = 3_000;
  const stage = openStage(context);
  const redis = await stage.redis({ 'slowlog-log-slower-than': '5000', 'slowlog-max-len': '128' });
  const client = await openStore(redis.url);
  stage.atEnd(async () => client.disconnect());
  const producer = createProducer(client);
  const env = { REDIS_URL: redis.url, CONCURRENCY: '2' };
  await Promise.all([stage.here('worker', env), stage.here('worker', env)]);
  const runAt = (await redisNow(redis.client)) + 2_000;
  const ids = Array.from({ length: many }, newTaskId);
  for (let from = 0; from < many; from += 500) {
    const tasks = ids.slice(from, from + 500).map((id) => ({
      id,
      content: encodeContent('add', ADD),
      lane: 'normal' as const,
      extras: { runAt },
    }));
    await producer.enqueue('default', tasks);
  }
  expect(await countsOf(redis.client)).toEqual({ accepted: many, scheduled: many });
  await redis.client.slowlog('RESET');

  const { moves, read } = openJournal(redis.client);
  await eventually(async () => {
    const { succeeded } = await countsOf(redis.client);
    await read();
    return succeeded === many;
  }, 60_000);

  const became = (state: string): string[] =>
    moves.filter((move) => move.state === state).map(({ id }) => id);
  expect(new Set(became('ready'))).toEqual(new Set(ids));
  expect(became('succeeded')).toHaveLength(many);
  // All of them were due, and yet no call moved more than its slice.
  const wasReady = new Set<string>();
  // A worker that is not scheduled for long loses its lease, and gives back what it held in the same call: no slice of these.
  const due = moves.filter(({ id, state }) => state === 'ready' && !wasReady.has(id) && wasReady.add(id));
  expect(largestSliceOf(due, 'ready')).toBe(SLICE);
  const moved = due.map(({ call }) => Number(call.split('-')[0]));
  expect(Math.min(...moved)).toBeGreaterThanOrEqual(runAt);
  // The next slice follows at once: thirty slices, one a heartbeat, would take 75 s.
  expect(Math.max(...moved) - Math.min(...moved)).toBeLessThan(20_000);
  const slow = (await redis.client.slowlog('GET', 128)) as [number, number, number, string[]][];
  const slowest = Math.max(0, ...slow.map(([, , micros]) => micros / 1_000));
  // For a person: a machine that does other things stretches it.
  console.info(
    `${many} due at once: moved within ${Math.max(...moved) - runAt} ms, slowest call ${slowest} ms`,
  );
  await expectBalanced(redis.client);
});
