// Cancel: whatever state a task is in, from any server, for any worker.

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { newTaskId } from '../../src/protocol/task-id.ts';
import { eventually } from '../support/eventually.ts';
import { expectBelow } from '../support/expect-below.ts';
import { act, finished, LIFE_TASKS, linesOf, look, millis, pidsIn, run, send } from '../support/life.ts';
import { isAlive } from '../support/processes.ts';
import { openQueueFacts } from '../support/queue-facts.ts';
import { openStage } from '../support/stage.ts';

const SHORT_LEASE = { LEASE_MS: '2000', HEARTBEAT_MS: '500' };

test('a task that waits is cancelled at once, and never runs', async (context) => {
  const stage = openStage(context);
  const redis = await stage.redis();
  const facts = openQueueFacts(redis);
  const env = { ...LIFE_TASKS, REDIS_URL: redis.url, CONCURRENCY: '1' };
  const [one, other] = [await stage.here('server', env), await stage.here('server', env)];
  const file = join(redis.dir, 'default.journal');
  const queued = await send(one.url(), 'journal', { file, ms: 0 });
  const scheduled = await send(one.url(), 'journal', { file, ms: 0 }, { delayMs: 600 });

  for (const id of [queued, scheduled]) {
    const { status, body } = await act(other.url(), id, 'cancel');
    expect({ status, body }).toMatchObject({ status: 200, body: { id, state: 'cancelled', attempt: 0 } });
    expect(body).toHaveProperty('finishedAt');
  }
  expect(await facts.counts()).toMatchObject({ accepted: 2, cancelled: 2 });

  await stage.here('worker', env);
  const failing = await send(
    one.url(),
    'flaky',
    { failures: 9 },
    { backoff: { type: 'fixed', baseMs: 600, jitter: 'none' } },
  );
  await eventually(async () => (await look(one.url(), failing)).errors.length === 1);
  expect(await act(one.url(), failing, 'cancel')).toMatchObject({
    status: 200,
    body: { state: 'cancelled' },
  });
  // Due behind all of them, in the same lane.
  const last = await send(one.url(), 'journal', { file, ms: 0 }, { delayMs: 900 });
  expect(await finished(one.url(), last)).toMatchObject({ state: 'succeeded' });
  expect([queued, scheduled, last].map((id) => facts.runs(id))).toEqual([0, 0, 1]);
  expect(await look(one.url(), failing)).toMatchObject({ state: 'cancelled', errors: [{ claim: 1 }] });
  expect(await facts.ready()).toBe(0);
});

test('what cannot be cancelled says so, and twice is as good as once', async (context) => {
  const stage = openStage(context);
  const redis = await stage.redis();
  const env = { ...LIFE_TASKS, REDIS_URL: redis.url, CONCURRENCY: '1' };
  const [server] = await Promise.all([stage.here('server', env), stage.here('worker', env)]);
  const url = server.url();
  for (const type of ['where', 'hopeless']) {
    const task = await run(url, type);
    expect(await act(url, task.id, 'cancel')).toMatchObject({
      status: 409,
      body: { code: 'invalid-state', detail: `The task is ${task.state} and cannot be cancelled.` },
    });
    expect(await look(url, task.id)).toEqual(task);
  }
  const waiting = await send(url, 'where', {}, { delayMs: 60_000 });
  const [first, second] = [await act(url, waiting, 'cancel'), await act(url, waiting, 'cancel')];
  expect([first.status, second.status]).toEqual([200, 200]);
  expect(second.body).toEqual(first.body);
  for (const id of [newTaskId(), 'nonsense']) expect((await act(url, id, 'cancel')).status).toBe(404);
});

test('a running one is stopped within 1 s, for a worker that another server knows nothing of', async (context) => {
  const stage = openStage(context);
  const redis = await stage.redis();
  const env = { ...LIFE_TASKS, REDIS_URL: redis.url, CONCURRENCY: '2' };
  const [one, other] = [await stage.here('server', env), await stage.here('server', env)];
  const workers = [await stage.here('worker', env), await stage.here('worker', env)];
  for (const type of ['spin', 'blocked']) {
    await expectBelow(1_000, async () => {
      const id = await send(one.url(), type);
      await eventually(async () => (await look(one.url(), id)).state === 'running');

      const { status, body } = await act(other.url(), id, 'cancel');

      expect({ status, body }).toMatchObject({ status: 202, body: { state: 'running' } });
      expect(body).toHaveProperty('cancelRequestedAt');
      const task = await finished(one.url(), id);
      expect(task).toMatchObject({
        state: 'cancelled',
        attempt: 1,
        errors: [],
        error: { name: 'Cancelled', killCause: 'cancel', killLatencyMs: expect.any(Number) as number },
      });
      expect(workers.map((worker) => worker.worker())).toContain(task.worker);
      expect(await act(other.url(), id, 'cancel')).toMatchObject({
        status: 200,
        body: { state: 'cancelled' },
      });
      return millis(task.cancelRequestedAt, task.finishedAt);
    });
  }
});

test('a handler that listens cleans up, and one that has an answer all the same has succeeded', async (context) => {
  const stage = openStage(context);
  const redis = await stage.redis();
  const env = { ...LIFE_TASKS, REDIS_URL: redis.url, CONCURRENCY: '1' };
  const [server] = await Promise.all([stage.here('server', env), stage.here('worker', env)]);
  const url = server.url();
  const stopped = async (input: object): Promise<string> => {
    const id = await send(url, 'listening', input);
    await eventually(async () => (await linesOf(url, id)).includes('listening'));
    expect((await act(url, id, 'cancel')).status).toBe(202);
    return id;
  };
  const first = await finished(url, await stopped({}));
  expect(first).toMatchObject({ state: 'cancelled', error: { name: 'Cancelled', killCause: 'cancel' } });
  expect(await linesOf(url, first.id)).toEqual(['listening', 'cleaned up: the task was stopped: cancelled']);
  const second = await finished(url, await stopped({ answer: 'almost all of it' }));
  expect(second).toMatchObject({ state: 'succeeded', result: 'almost all of it' });
});

test('if its worker is dead, the sweep completes the cancel', async (context) => {
  const stage = openStage(context);
  const redis = await stage.redis();
  const env = { ...LIFE_TASKS, ...SHORT_LEASE, REDIS_URL: redis.url, CONCURRENCY: '1' };
  const [server, victim] = await Promise.all([stage.here('server', env), stage.role('worker', env)]);
  const url = server.url();
  const file = join(redis.dir, 'runs');
  const id = await send(url, 'spin', { file });
  await eventually(() => existsSync(file));
  victim.signal('SIGKILL');
  await victim.exited;
  // Before its lease ends: then another worker would run it.
  expect((await act(url, id, 'cancel')).status).toBe(202);
  await stage.here('worker', env);

  const task = await finished(url, id);
  expect(task).toMatchObject({ state: 'cancelled', attempt: 1, crashes: 1, worker: victim.worker() });
  expect(readFileSync(file, 'utf8').split('\n')).toHaveLength(2);
  expect(await run(url, 'where')).toMatchObject({ state: 'succeeded' });
  expect(await redis.client.smembers('pf:{default}:running')).toEqual([]);
});

test('one that runs in a process of its own is stopped as well, and so is its process', async (context) => {
  const stage = openStage(context);
  const redis = await stage.redis();
  const env = { ...LIFE_TASKS, ...SHORT_LEASE, REDIS_URL: redis.url, CONCURRENCY: '1' };
  const [server, victim] = await Promise.all([stage.here('server', env), stage.role('worker', env)]);
  const url = server.url();
  const file = join(redis.dir, 'runs');
  const id = await send(url, 'spin', { file });
  await eventually(() => pidsIn(file).length === 1);
  victim.signal('SIGKILL');
  await victim.exited;
  const worker = await stage.here('worker', env);
  const [, pid = 0] = await eventually(() => pidsIn(file).length === 2 && pidsIn(file));
  expect(pid).not.toBe(worker.pid);
  expect(isAlive(pid)).toBe(true);

  expect((await act(url, id, 'cancel')).status).toBe(202);

  const task = await finished(url, id);
  expect(task).toMatchObject({ state: 'cancelled', crashes: 1, error: { killCause: 'cancel' } });
  await eventually(() => !isAlive(pid));
});
