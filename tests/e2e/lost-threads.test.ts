// Handlers that take their thread down: it costs them an attempt, and nobody else anything.

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { finished, LIFE_TASKS, look, run, send } from '../support/life.ts';
import { openStage } from '../support/stage.ts';

const SLOW_TASKS = { TASKS: fileURLToPath(new URL('../fixtures/slow-to-load.mjs', import.meta.url)) };

test('case 35: out of memory: the task fails, its worker lives and its neighbour does not notice', async (context) => {
  const stage = openStage(context);
  const redis = await stage.redis();
  const env = { ...LIFE_TASKS, REDIS_URL: redis.url, CONCURRENCY: '2' };
  const server = await stage.here('server', env);
  const worker = await stage.role('worker', { ...env, THREAD_MEMORY_MB: '48' });
  const url = server.url();
  const until = join(redis.dir, 'enough');
  const neighbour = await send(url, 'speaking', { until, yields: true });
  await eventually(async () => (await look(url, neighbour)).state === 'running');

  const task = await run(url, 'hog', {}, { maxAttempts: 2, backoff: { type: 'fixed', baseMs: 1 } });

  expect(task).toMatchObject({
    state: 'dead',
    attempt: 2,
    crashes: 0,
    worker: worker.worker(),
    error: { killCause: 'out-of-memory', fingerprint: expect.any(String) as string },
  });
  expect(task.errors.map(({ error }) => error.killCause)).toEqual(['out-of-memory', 'out-of-memory']);
  writeFileSync(until, '');
  const unharmed = { state: 'succeeded', attempt: 1, crashes: 0, result: worker.pid };
  expect(await finished(url, neighbour)).toMatchObject(unharmed);
  expect(await run(url, 'where')).toMatchObject({ state: 'succeeded', result: { pid: worker.pid } });
});

test('process.exit: the thread ends, the worker does not, and the next attempt runs in it', async (context) => {
  const stage = openStage(context);
  const redis = await stage.redis();
  const env = { ...LIFE_TASKS, REDIS_URL: redis.url, CONCURRENCY: '1' };
  const [server, worker] = await Promise.all([stage.here('server', env), stage.here('worker', env)]);
  const url = server.url();

  const backoff = { type: 'fixed', baseMs: 1 };
  const task = await run(url, 'exit', { code: 7 }, { maxAttempts: 3, backoff });

  expect(task).toMatchObject({ state: 'dead', attempt: 3, crashes: 0, error: { killCause: 'thread-exit' } });
  expect(task.errors.map(({ claim, error }) => [claim, error.killCause])).toEqual(
    [1, 2, 3].map((claim) => [claim, 'thread-exit']),
  );
  expect(task.error?.message).toMatch(/exited with code 7/);
  expect(await run(url, 'where')).toMatchObject({ state: 'succeeded', result: { pid: worker.pid } });
});

// Node aborts the whole process when a thread ends while it loads modules.
test('no thread is ended before it has loaded, neither by a deadline nor by a shutdown', async (context) => {
  const stage = openStage(context);
  const redis = await stage.redis();
  const journal = join(redis.dir, 'loads');
  const env = { ...SLOW_TASKS, REDIS_URL: redis.url, CONCURRENCY: '2' };
  const server = await stage.here('server', env);
  const worker = await stage.role('worker', { ...env, LOAD_JOURNAL: journal });
  // The first three run in the threads that are there; the last one is offered one that loads longer than it may run.
  const ids: string[] = [];
  for (const timeoutMs of [1, 1, 1, 1_000]) {
    ids.push(await send(server.url(), 'spin-slowly', {}, { timeoutMs }));
  }
  for (const id of ids) {
    expect(await finished(server.url(), id)).toMatchObject({
      state: 'dead',
      error: { killCause: 'timeout' },
    });
  }

  worker.signal('SIGTERM');

  expect(await worker.exited).toBe(0);
  const lines = readFileSync(journal, 'utf8').trim().split('\n');
  const threadsThat = (did: string): string[] =>
    lines.filter((line) => line.endsWith(` ${did}`)).map((line) => line.split(' ')[0] ?? '');
  expect(threadsThat('loads').length).toBeGreaterThanOrEqual(4);
  expect(threadsThat('has loaded').toSorted()).toEqual(threadsThat('loads').toSorted());
  expect(threadsThat('has loaded')).toEqual(expect.arrayContaining(threadsThat('spins')));
});
