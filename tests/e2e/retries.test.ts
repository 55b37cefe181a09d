// Retries: how often, how long between, what is kept of each attempt, and a fresh start by hand.

import { join } from 'node:path';
import { beforeAll, afterAll, expect, test } from 'vitest';
import { expectBelow } from '../support/expect-below.ts';
import { call } from '../support/http.ts';
import { act, finished, LIFE_TASKS, look, millis, run, send } from '../support/life.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { type RoleHere, startHere, stopHere } from '../support/start-here.ts';

let redis: TestRedis;
let server: RoleHere;
let worker: RoleHere;

beforeAll(async () => {
  redis = await startRedis();
  const env = { ...LIFE_TASKS, REDIS_URL: redis.url, CONCURRENCY: '2' };
  [server, worker] = await Promise.all([startHere('server', env), startHere('worker', env)]);
});

afterAll(async () => {
  await stopHere(server, worker);
  await redis?.stop();
});

/** A retry may be late on a busy machine, but never early. */
const LATE_MS = 400;

test('exhausted retries end dead with every attempt, and a replay has a fresh budget', async () => {
  const backoff = { type: 'fixed', baseMs: 50, jitter: 'none' };
  const task = await run(server.url(), 'flaky', { failures: 4 }, { maxAttempts: 3, backoff });

  expect(task).toMatchObject({
    state: 'dead',
    attempt: 3,
    error: { name: 'RangeError', message: 'attempt 3 went wrong' },
  });
  expect(task.errors.map(({ claim, error }) => [claim, error.name, error.message])).toEqual([
    [1, 'RangeError', 'attempt 1 went wrong'],
    [2, 'RangeError', 'attempt 2 went wrong'],
    [3, 'RangeError', 'attempt 3 went wrong'],
  ]);
  for (const { worker: name, error, startedAt, endedAt } of task.errors) {
    expect(name).toBe(worker.worker());
    expect(error.stack).toContain('life.mjs');
    expect(millis(startedAt, endedAt)).toBeGreaterThanOrEqual(0);
  }
  expect(task.error?.fingerprint).toMatch(/^[0-9a-f]{16}$/);

  const listed = (await call(`${server.url()}/v1/tasks?state=dead`)).body['items'];
  expect(listed).toContainEqual(
    expect.objectContaining({ id: task.id, error: expect.objectContaining({ name: 'RangeError' }) }),
  );

  expect(await act(server.url(), task.id, 'retry')).toMatchObject({ status: 202 });
  const again = await finished(server.url(), task.id);
  // Three more attempts, counted from the first: it fails four times in all, were they counted on it would succeed.
  expect(again).toMatchObject({ state: 'dead', attempt: 3 });
  expect(again.errors).toHaveLength(6);
  const group = (await call(`${server.url()}/v1/errors/${task.error?.fingerprint}`)).body;
  expect(group).toMatchObject({
    dead: 1,
    total: 2,
    items: [{ type: 'flaky', name: 'RangeError', message: 'attempt 3 went wrong', sample: task.id }],
  });
  expect((await call(`${server.url()}/v1/tasks?state=dead`)).body['items']).toHaveLength(1);
});

test('only a dead task is replayed', async () => {
  const task = await run(server.url(), 'where');
  expect(await act(server.url(), task.id, 'retry')).toMatchObject({
    status: 409,
    body: { code: 'invalid-state' },
  });
  expect(await act(server.url(), '01a20000-0000-7000-8000-000000000000', 'retry')).toMatchObject({
    status: 404,
  });
});

test.each([
  [{ type: 'fixed', baseMs: 120, jitter: 'none' }, [120, 120, 120]],
  [{ type: 'exponential', baseMs: 60, factor: 3, capMs: 300, jitter: 'none' }, [60, 180, 300]],
])('the delays of %j follow the formula', async (backoff, delays) => {
  await expectBelow(LATE_MS, async () => {
    const task = await run(server.url(), 'flaky', { failures: 3 }, { maxAttempts: 4, backoff });

    expect(task).toMatchObject({ state: 'succeeded', attempt: 4, result: 4 });
    const starts = [...task.errors.slice(1).map(({ startedAt }) => startedAt), task.startedAt];
    return delays.map((delay, at) => {
      const waited = millis(String(task.errors[at]?.endedAt), String(starts[at]));
      expect(waited).toBeGreaterThanOrEqual(delay);
      return waited - delay;
    });
  });
});

test('full jitter stays within the formula, and differs from task to task', async () => {
  const backoff = { type: 'fixed', baseMs: 300, jitter: 'full' };
  const tasks = await Promise.all(
    Array.from({ length: 12 }, () => run(server.url(), 'flaky', { failures: 1 }, { backoff })),
  );

  const planned = tasks.map(({ errors, dueAt }) => millis(String(errors[0]?.endedAt), dueAt));
  for (const delay of planned) {
    expect(delay).toBeGreaterThanOrEqual(0);
    expect(delay).toBeLessThanOrEqual(300);
  }
  expect(Math.max(...planned) - Math.min(...planned)).toBeGreaterThan(50);
});

test('a definition has options of its own, and a call overrides them', async () => {
  const backoff = { type: 'fixed', baseMs: 60, factor: 2, capMs: 300_000, jitter: 'none' };
  const own = await run(server.url(), 'flaky-by-default');
  expect(own).toMatchObject({
    state: 'dead',
    attempt: 4,
    options: { maxAttempts: 4, timeoutMs: 5_000, backoff },
  });

  const called = await run(server.url(), 'flaky-by-default', {}, { maxAttempts: 1, timeoutMs: 4_000 });
  expect(called).toMatchObject({
    state: 'dead',
    attempt: 1,
    options: { maxAttempts: 1, timeoutMs: 4_000, backoff },
  });
});

test('PermanentError uses up no further attempt, RetryLater none at all', async () => {
  expect(await run(server.url(), 'hopeless')).toMatchObject({
    state: 'dead',
    attempt: 1,
    error: { name: 'PermanentError' },
  });

  const file = join(redis.dir, 'patient');
  const id = await send(server.url(), 'patient', { file, times: 5, delayMs: 40 }, { maxAttempts: 1 });
  const patient = await finished(server.url(), id);
  expect(patient).toMatchObject({ state: 'succeeded', attempt: 1, result: 1, errors: [] });
  expect(await look(server.url(), id)).not.toHaveProperty('error');
});
