// Deadlines: whatever a handler does, its thread ends, and nobody else feels it.
// POPFLEET_THREAD_KILLS sets how many threads are ended in a row; `npm run test:thread-kills` ends a hundred.

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { expectBelow } from '../support/expect-below.ts';
import { endAll, type RoleProcess, startRole } from '../support/fleet.ts';
import { post } from '../support/http.ts';
import { finished, LIFE_TASKS, linesOf, look, millis, run, send, type TaskAnswer } from '../support/life.ts';
import { recordOf } from '../support/records.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { type RoleHere, startHere, stopHere } from '../support/start-here.ts';
import { openStage } from '../support/stage.ts';

const ONCE = { maxAttempts: 1 };
const KILLS = Number(process.env['POPFLEET_THREAD_KILLS'] ?? 24);

let redis: TestRedis;
let url: string;
let server: RoleHere;
/** They serve queues of their own: `one` has one place; `several`, a process whose threads and memory are looked at, has four. */
let one: RoleHere;
let several: RoleProcess;

beforeAll(async () => {
  redis = await startRedis();
  const env = { ...LIFE_TASKS, REDIS_URL: redis.url };
  [server, one, several] = await Promise.all([
    startHere('server', env),
    startHere('worker', { ...env, QUEUES: 'one', CONCURRENCY: '1' }),
    startRole('worker', { ...env, QUEUES: 'several', CONCURRENCY: '4' }),
  ]);
  url = server.url();
});

afterAll(async () => {
  await endAll([several]);
  await stopHere(server, one);
  await redis?.stop();
});

/** For the worker with one place. */
const ALONE = { queue: 'one' };
/** For the worker with four. */
const TOGETHER = { queue: 'several' };

function whereOf(task: TaskAnswer): { pid: number; threadId: number; bornAt: number; deadline: number } {
  expect(task).toMatchObject({ state: 'succeeded' });
  return task.result as { pid: number; threadId: number; bornAt: number; deadline: number };
}

test('a task is ended and recorded within 1 s after its deadline, whatever it does', async () => {
  const [killLimitMs, limitMs] = [300, 1_500];
  const readings = async (type: string): Promise<number[]> => {
    const task = await run(url, type, {}, { ...ALONE, ...ONCE, timeoutMs: 500 });
    expect(task, type).toMatchObject({
      state: 'dead',
      attempt: 1,
      crashes: 0,
      error: {
        name: 'TimeoutError',
        message: 'it ran longer than 500 ms',
        killCause: 'timeout',
        killLatencyMs: expect.any(Number) as number,
      },
    });
    expect(task.errors.map(({ error }) => error)).toEqual([task.error]);
    const tookMs = millis(task.startedAt, task.finishedAt);
    expect(tookMs, type).toBeGreaterThanOrEqual(500);
    return [(task.error?.killLatencyMs ?? Number.NaN) / killLimitMs, tookMs / limitMs];
  };
  for (const type of ['spin', 'blocked', 'backtracking']) await expectBelow(1, () => readings(type));
});

test('the limit of the type holds, the call overrides it, and the handler knows its deadline', async () => {
  const byType = await run(url, 'spin-limited', {}, ALONE);
  const byCall = await run(url, 'spin-limited', {}, { ...ALONE, timeoutMs: 40 });
  expect(byType).toMatchObject({
    options: { timeoutMs: 300 },
    error: { message: 'it ran longer than 300 ms' },
  });
  expect(byCall).toMatchObject({
    options: { timeoutMs: 40 },
    error: { message: 'it ran longer than 40 ms' },
  });

  const limited = await run(url, 'where', {}, { ...ALONE, timeoutMs: 60_000 });
  const { deadline } = whereOf(limited);
  const untilMs = deadline - Date.parse(limited.startedAt);
  expect(untilMs).toBeGreaterThanOrEqual(59_990);
  expect(deadline - Date.parse(limited.finishedAt)).toBeLessThanOrEqual(60_010);
  expect(whereOf(await run(url, 'where', {}, ALONE)).deadline).toBeNull();
});

test('the longest limit is one: a task that has it runs to its end', async () => {
  const longestMs = 24 * 86_400_000;
  const task = await run(url, 'where', { ms: 400 }, { ...ALONE, ...ONCE, timeoutMs: longestMs });
  expect(whereOf(task).deadline - Date.parse(task.startedAt)).toBeGreaterThanOrEqual(longestMs - 10);
  const more = { type: 'where', input: {}, timeoutMs: longestMs + 1 };
  const refused = await post(`${url}/v1/tasks`, more);
  expect(refused.status).toBe(422);
  expect(refused.body['errors']).toMatchObject([{ pointer: '#/timeoutMs' }]);
});

test('each attempt has the whole time, and a timeout uses one up', async () => {
  const backoff = { type: 'fixed', baseMs: 10, jitter: 'none' };
  const task = await run(url, 'spin', {}, { ...ALONE, maxAttempts: 2, timeoutMs: 150, backoff });
  expect(task).toMatchObject({ state: 'dead', attempt: 2, error: { name: 'TimeoutError' } });
  expect(task.errors).toHaveLength(2);
  for (const { startedAt, endedAt, error } of task.errors) {
    expect(error.killCause).toBe('timeout');
    expect(millis(startedAt, endedAt)).toBeGreaterThanOrEqual(150);
  }
});

test('a handler that listens to its signal ends by itself, and keeps its thread', async (context) => {
  // A worker that has lost no thread: one that has might run the next task in a thread that has come since.
  const queue = 'unharmed';
  await openStage(context).here('worker', {
    ...LIFE_TASKS,
    REDIS_URL: redis.url,
    QUEUES: queue,
    CONCURRENCY: '1',
  });
  const task = await run(url, 'listening', {}, { queue, ...ONCE, timeoutMs: 200 });
  expect(task).toMatchObject({ state: 'dead', error: { name: 'TimeoutError', killCause: 'timeout' } });
  expect(await linesOf(url, task.id)).toEqual(['listening', 'cleaned up: the task was stopped: timed-out']);
  expect(await run(url, 'recall', {}, { queue })).toMatchObject({ state: 'succeeded', result: [task.id] });

  // Told that time is up, it may still have something to answer.
  expect(await run(url, 'listening', { answer: 'partly' }, { queue, ...ONCE, timeoutMs: 200 })).toMatchObject(
    {
      state: 'succeeded',
      result: 'partly',
    },
  );
});

test('neighbours in the same worker do not notice', async () => {
  const until = join(redis.dir, 'enough');
  const neighbours = await Promise.all(
    [true, false].map((yields) => send(url, 'speaking', { until, yields }, TOGETHER)),
  );
  for (const id of neighbours) await eventually(async () => (await look(url, id)).progress !== undefined);

  const killed = await Promise.all(
    ['spin', 'blocked'].map((type) => run(url, type, {}, { ...TOGETHER, ...ONCE, timeoutMs: 100 })),
  );
  expect(killed.map(({ error }) => error?.killCause)).toEqual(['timeout', 'timeout']);
  writeFileSync(until, '');

  for (const id of neighbours) {
    const unharmed = { state: 'succeeded', attempt: 1, crashes: 0, errors: [], result: several.pid };
    expect(await finished(url, id)).toMatchObject(unharmed);
    expect((await recordOf(redis.client, 'several', id))?.claims).toBe(1);
  }
});

test('the next task does not wait for a new thread: one stands by', async () => {
  const first = await send(url, 'spin', {}, { ...ALONE, ...ONCE, timeoutMs: 300 });
  const next = await send(url, 'where', {}, ALONE);
  const killed = await finished(url, first);
  const task = await finished(url, next);
  expect(killed).toMatchObject({ state: 'dead', error: { killCause: 'timeout' } });
  expect(whereOf(task).pid).toBe(one.pid);
  // Claimed by the call that recorded the end of the first, and run by a thread that was there long before.
  expect(task.startedAt).toBe(killed.finishedAt);
  expect(whereOf(task).bornAt).toBeLessThan(Date.parse(killed.startedAt));
});

test(`${KILLS} kills in a row leave no thread and no memory behind`, async () => {
  const kill = async (count: number): Promise<void> => {
    // Those that compute slow each other down.
    const types = Array.from({ length: count }, (_, index) => (index % 4 === 0 ? 'spin' : 'blocked'));
    const ids = await Promise.all(
      types.map((type) => send(url, type, {}, { ...TOGETHER, ...ONCE, timeoutMs: 50 })),
    );
    for (const id of ids) expect(await finished(url, id)).toMatchObject({ error: { killCause: 'timeout' } });
  };
  await kill(12);
  const before = await calm(several.pid);

  await kill(KILLS);

  await eventually(() => {
    const after = usageOf(several.pid);
    expect(after.threads).toBe(before.threads);
    expect(after.rssKib).toBeLessThan(before.rssKib * 1.2);
    return true;
  });
  expect((await run(url, 'where', {}, TOGETHER)).result).toMatchObject({ pid: several.pid });
});

interface Usage {
  readonly threads: number;
  readonly rssKib: number;
}

function usageOf(pid: number): Usage {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const numberOf = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(status)?.[1]);
  return { threads: numberOf('Threads'), rssKib: numberOf('VmRSS') };
}

/** Once the threads that replace the ended ones have started, their number stays the same. */
async function calm(pid: number): Promise<Usage> {
  let before = usageOf(pid);
  let same = 0;
  return eventually(
    () => {
      const now = usageOf(pid);
      same = now.threads === before.threads ? same + 1 : 0;
      before = now;
      return same === 10 && now;
    },
    10_000,
    100,
  );
}
