// What is remembered of failed attempts, and what a replay keeps of it; due times to the millisecond.

import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { post } from '../support/http.ts';
import { act, finished, LIFE_TASKS, millis, run } from '../support/life.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { type RoleHere, startHere, stopHere } from '../support/start-here.ts';

let redis: TestRedis;
let server: RoleHere;
let worker: RoleHere;
let url: string;

beforeAll(async () => {
  redis = await startRedis();
  const env = { ...LIFE_TASKS, REDIS_URL: redis.url, CONCURRENCY: '4' };
  [server, worker] = await Promise.all([startHere('server', env), startHere('worker', env)]);
  url = server.url();
});

afterAll(async () => {
  await stopHere(server, worker);
  await redis?.stop();
});

const AT_ONCE = { backoff: { type: 'fixed', baseMs: 0 } };

test('a replay sets the budget back, and keeps what is known of the attempts before', async () => {
  const dead = await run(url, 'flaky', { failures: 9 }, { maxAttempts: 2, ...AT_ONCE });
  expect(dead).toMatchObject({ state: 'dead', attempt: 2 });

  await post(`${url}/v1/queues/default/pause`, {});
  const { status, body } = await act(url, dead.id, 'retry');
  expect({ status, body }).toMatchObject({
    status: 202,
    body: { id: dead.id, state: 'ready', attempt: 0, errors: dead.errors },
  });
  expect(body).not.toHaveProperty('finishedAt');
  expect(body).not.toHaveProperty('error');
  await post(`${url}/v1/queues/default/resume`, {});

  const again = await finished(url, dead.id);
  expect(again).toMatchObject({ state: 'dead', attempt: 2, error: { message: 'attempt 2 went wrong' } });
  expect(again.errors.map(({ claim }) => claim)).toEqual([1, 2, 3, 4]);
  expect(again.errors.slice(0, 2)).toEqual(dead.errors);
});

test('a replayed task that succeeds still tells how it had failed', async () => {
  const folder = join(redis.dir, 'not-there-yet');
  const input = { file: join(folder, 'runs'), times: 0, delayMs: 0 };
  const dead = await run(url, 'patient', input, { maxAttempts: 1 });
  expect(dead).toMatchObject({
    state: 'dead',
    error: { message: expect.stringMatching(/ENOENT/) as string },
  });
  mkdirSync(folder);

  expect((await act(url, dead.id, 'retry')).status).toBe(202);

  const cured = await finished(url, dead.id);
  expect(cured).toMatchObject({ state: 'succeeded', attempt: 1, result: 1 });
  expect(cured.errors).toEqual(dead.errors);
  expect(cured).not.toHaveProperty('error');
});

test('only the latest twenty failures are remembered', async () => {
  const task = await run(url, 'flaky', { failures: 99 }, { maxAttempts: 24, ...AT_ONCE });
  expect(task).toMatchObject({ state: 'dead', attempt: 24 });
  expect(task.errors.map(({ claim }) => claim)).toEqual(Array.from({ length: 20 }, (_, at) => at + 5));
  expect(task.error).toEqual(task.errors.at(-1)?.error);
});

// Due time and end of the attempt before are written in the same step: their difference is the delay itself.
test.each([
  ['fixed', { type: 'fixed', baseMs: 120, factor: 3, capMs: 10_000, jitter: 'none' }, [120, 120, 120, 120]],
  ['exponential', { type: 'exponential', baseMs: 50, factor: 3, capMs: 400, jitter: 'none' }, [50, 150, 400]],
])('the delays of the %s backoff are exactly those of the formula', async (_, backoff, delays) => {
  // The record has the latest due time only, so one task for each number of attempts.
  const tasks = await Promise.all(
    delays.map((_delay, at) => run(url, 'flaky', { failures: 99 }, { maxAttempts: at + 2, backoff })),
  );
  for (const [at, task] of tasks.entries()) {
    expect(task).toMatchObject({ state: 'dead', attempt: at + 2, options: { backoff } });
    expect(millis(String(task.errors.at(-2)?.endedAt), task.dueAt)).toBe(delays[at]);
    for (const [nth, { startedAt }] of task.errors.slice(1).entries()) {
      expect(millis(String(task.errors[nth]?.endedAt), startedAt)).toBeGreaterThanOrEqual(delays[nth] ?? 0);
    }
  }
});

test('RetryLater runs it again as often as it takes, always at the same attempt', async () => {
  const file = join(redis.dir, 'patient');
  const task = await run(url, 'patient', { file, times: 3, delayMs: 30 }, { maxAttempts: 1 });
  expect(task).toMatchObject({ state: 'succeeded', attempt: 1, errors: [], crashes: 0 });
  const runs = readFileSync(file, 'utf8').trim().split('\n');
  expect(runs.map((line) => line.split(' ').slice(0, 2))).toEqual(
    Array.from({ length: 4 }, () => [task.id, '1']),
  );
  expect(millis(task.acceptedAt, task.startedAt)).toBeGreaterThanOrEqual(90);
});
