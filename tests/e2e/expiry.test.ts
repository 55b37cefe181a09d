// Tasks that were not started in time: they never run, are dead, and say why.

import { fileURLToPath } from 'node:url';
import { setTimeout as pause } from 'node:timers/promises';
import { join } from 'node:path';
import { readFileSync, writeFileSync } from 'node:fs';
import { expect, type TestContext, test } from 'vitest';
import { call, post } from '../support/http.ts';
import { eventually } from '../support/eventually.ts';
import { expectBelow } from '../support/expect-below.ts';
import { act, finished, LIFE_TASKS, look, millis, send } from '../support/life.ts';
import { countsOf, expectBalanced, movesOf, redisNow } from '../support/moves.ts';
import type { TestRedis } from '../support/redis.ts';
import { openStage } from '../support/stage.ts';

const DEFAULTS = fileURLToPath(new URL('../fixtures/with-defaults.mjs', import.meta.url));
const EXPIRED = {
  state: 'dead',
  error: { name: 'Expired', message: 'it was not started before it expired' },
};

interface Fleet {
  readonly redis: TestRedis;
  readonly url: string;
  /** Written to by every run of "journal". */
  readonly journal: string;
}

/** One slot, and sweeps that come of themselves only rarely: an expiry has to wake them. */
async function openFleet(context: TestContext): Promise<Fleet> {
  const stage = openStage(context);
  const redis = await stage.redis();
  const journal = join(redis.dir, 'journal');
  writeFileSync(journal, '');
  const env = {
    TASKS: `${DEFAULTS},${LIFE_TASKS.TASKS}`,
    REDIS_URL: redis.url,
    CONCURRENCY: '1',
    HEARTBEAT_MS: '10000',
    LEASE_MS: '30000',
  };
  const [server] = await Promise.all([stage.here('server', env), stage.here('worker', env)]);
  await eventually(async () => (await redis.client.pubsub('CHANNELS', '*{default}:wake')).length === 1);
  return { redis, url: server.url(), journal };
}

/** Its states, in order. */
async function wayOf({ client }: TestRedis, id: string): Promise<string[]> {
  return (await movesOf(client)).filter((move) => move.id === id).map(({ state }) => state);
}

test.concurrent('in a paused queue, where nobody pops them, they are dead on time', async (context) => {
  const { redis, url, journal } = await openFleet(context);
  await finished(url, await send(url, 'add', { one: 1, two: 2 })); // The queue exists.
  await post(`${url}/v1/queues/default/pause`, {});
  const input = { file: journal, ms: 0 };
  const callOverType = await send(url, 'impatient', {}, { ttlMs: 60_000 });
  const patient = await send(url, 'journal', input);
  const dead: string[] = [];
  await expectBelow(2_000, async () => {
    const at = (await redisNow(redis.client)) + 500;
    const timed = [
      await send(url, 'journal', input, { ttlMs: 300 }),
      await send(url, 'journal', input, { expiresAt: new Date(at).toISOString() }),
      await send(url, 'impatient'),
    ];
    const past = await send(url, 'journal', input, { expiresAt: '2020-02-29T12:00:00Z' });
    dead.push(...timed, past);
    const late: number[] = [];
    for (const id of [...timed, past]) {
      const task = await finished(url, id);
      expect(task).toMatchObject({ ...EXPIRED, crashes: 0, errors: [] });
      expect(task.startedAt).toBeUndefined();
      expect(await wayOf(redis, id)).toEqual(['ready', 'dead']);
      const { expiresAt } = task as unknown as { expiresAt: string };
      late.push(millis(expiresAt, task.finishedAt));
    }
    for (const ms of late) expect(ms).toBeGreaterThanOrEqual(0);
    return late.slice(0, timed.length);
  });
  const { items } = (await call(`${url}/v1/tasks?state=dead`)).body as { items: { id: string }[] };
  expect(items.map(({ id }) => id).toSorted()).toEqual(dead.toSorted());
  expect((await look(url, callOverType)).state).toBe('ready');

  await post(`${url}/v1/queues/default/resume`, {});
  for (const id of [callOverType, patient])
    expect(await finished(url, id)).toMatchObject({ state: 'succeeded' });
  // Messages of the others still stood on the list; none of them has run.
  expect(readFileSync(journal, 'utf8').match(/began/g)).toHaveLength(1);
  await eventually(async () => (await redis.client.llen('pf:{default}:ready:normal')) === 0);
  expect(await redis.client.exists('pf:{default}:unstarted')).toBe(0);
  await expectBalanced(redis.client);
});

test.concurrent('behind a task that takes long, and before their delay is over, they are dead as well', async (context) => {
  const { redis, url, journal } = await openFleet(context);
  const blocker = await send(url, 'where', { ms: 3_000 });
  await eventually(async () => (await look(url, blocker)).state === 'running');
  const behind = await send(url, 'journal', { file: journal, ms: 0 }, { ttlMs: 400 });
  const delayed = await send(url, 'journal', { file: journal, ms: 0 }, { delayMs: 60_000, ttlMs: 400 });
  const inTime = await send(url, 'journal', { file: journal, ms: 0 }, { ttlMs: 60_000 });

  for (const id of [behind, delayed]) expect(await finished(url, id)).toMatchObject(EXPIRED);
  expect(await wayOf(redis, behind)).toEqual(['ready', 'dead']);
  expect(await wayOf(redis, delayed)).toEqual(['scheduled', 'dead']);
  expect(await redis.client.exists('pf:{default}:later')).toBe(0);
  expect(await finished(url, inTime)).toMatchObject({ state: 'succeeded' });
  expect(readFileSync(journal, 'utf8').match(/began/g)).toHaveLength(1);
  await expectBalanced(redis.client);
});

test.concurrent('a task that was started in time does not expire: not while it runs, nor while it waits for a retry', async (context) => {
  const { redis, url } = await openFleet(context);
  const fixed = { type: 'fixed', baseMs: 2_000, jitter: 'none' };
  const retried = await send(url, 'flaky', { failures: 1 }, { ttlMs: 1_500, backoff: fixed });
  const first = await eventually(async () => {
    const task = await look(url, retried);
    return task.errors.length === 1 ? task : undefined;
  });
  const { expiresAt } = first as unknown as { expiresAt: string };
  const done = await finished(url, retried);
  expect(done).toMatchObject({ state: 'succeeded', attempt: 2, result: 2 });
  expect(millis(expiresAt, done.startedAt)).toBeGreaterThan(0);

  const long = await send(url, 'where', { ms: 1_500 }, { ttlMs: 1_000 });
  expect(await finished(url, long)).toMatchObject({ state: 'succeeded', attempt: 1 });
  expect(await redis.client.exists('pf:{default}:unstarted')).toBe(0);
});

test.concurrent('replayed, an expired task runs: somebody wants it after all', async (context) => {
  const { redis, url, journal } = await openFleet(context);
  const id = await send(url, 'journal', { file: journal, ms: 0 }, { expiresAt: 1_000 });
  expect(await finished(url, id)).toMatchObject(EXPIRED);
  await pause(100);
  expect((await act(url, id, 'retry')).status).toBe(202);
  const task = await finished(url, id);
  expect(task).toMatchObject({ state: 'succeeded', attempt: 1 });
  expect(task.error).toBeUndefined();
  expect(await countsOf(redis.client)).toMatchObject({ accepted: 1, succeeded: 1 });
  await expectBalanced(redis.client);
});
