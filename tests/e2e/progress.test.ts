// What a handler tells while it runs: seen live, coalesced, capped.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { finished, LIFE_TASKS, linesOf, look, run, send } from '../support/life.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { type RoleHere, startHere, stopHere } from '../support/start-here.ts';

const LAST_WORDS = fileURLToPath(new URL('../fixtures/last-words.mjs', import.meta.url));

let redis: TestRedis;
let server: RoleHere;
let worker: RoleHere;

beforeAll(async () => {
  redis = await startRedis();
  const env = { TASKS: `${LIFE_TASKS.TASKS},${LAST_WORDS}`, REDIS_URL: redis.url, CONCURRENCY: '2' };
  [server, worker] = await Promise.all([startHere('server', env), startHere('worker', env)]);
});

afterAll(async () => {
  await stopHere(server, worker);
  await redis?.stop();
});

test.each([true, false])(
  'progress and log are seen while the handler runs (it yields: %s)',
  async (yields) => {
    const until = join(redis.dir, `until-${yields}`);
    const id = await send(server.url(), 'speaking', { until, yields });

    await eventually(async () => {
      const task = await look(server.url(), id);
      expect(task).toMatchObject({ state: 'running', progress: { percent: 40, note: 'on the way' } });
      expect(await linesOf(server.url(), id)).toEqual(['the first line', 'the second line']);
      return true;
    });
    writeFileSync(until, '');

    expect(await finished(server.url(), id)).toMatchObject({ state: 'succeeded', progress: { percent: 90 } });
    expect(await linesOf(server.url(), id)).toEqual(['the first line', 'the second line', 'the last line']);
  },
);

test('a handler that speaks a million times hurts nobody', async () => {
  const before = Number(/evalsha:calls=(\d+)/.exec(await redis.client.info('commandstats'))?.[1] ?? 0);
  const task = await run(server.url(), 'talkative', { calls: 1_000_000 });
  const calls =
    Number(/evalsha:calls=(\d+)/.exec(await redis.client.info('commandstats'))?.[1] ?? 0) - before;

  expect(task).toMatchObject({ state: 'succeeded', progress: { percent: 100, note: 'call 1000000' } });
  // A few a second, however often it spoke.
  expect(calls).toBeLessThan(30 + 10 * (Number(task.result) / 1_000));
  const lines = await linesOf(server.url(), task.id);
  expect(lines.length).toBeLessThanOrEqual(1_000);
  expect(lines.at(-1)).toBe('999000 more lines were not kept');
});

test('what is no percentage fails the attempt with a clear error', async () => {
  expect(await run(server.url(), 'boasting', {}, { maxAttempts: 1 })).toMatchObject({
    state: 'dead',
    error: { name: 'RangeError', message: 'progress takes a percentage from 0 to 100' },
  });
});

test.each(['throws', 'hangs', 'exits', 'hogs'])(
  'case 40: a handler that %s: its last lines and progress are there as soon as its end is',
  async (ending) => {
    const task = await run(server.url(), 'speaks', { ending }, { maxAttempts: 1, timeoutMs: 3_000 });
    expect(task).toMatchObject({ state: 'dead', progress: { percent: 20, note: 'at 20' } });
    const lines = await linesOf(server.url(), task.id);
    expect(lines).toEqual(Array.from({ length: 20 }, (_, at) => `step ${at + 1}`));
    // Case 18: the log of the worker has what it printed and why it failed, with the id of the task.
    const entries = worker.log().filter((entry) => entry['task'] === task.id);
    expect(entries.map(({ msg }) => msg)).toEqual(
      expect.arrayContaining(['printed 1', 'printed 20', 'a warning', 'half a line']) as string[],
    );
    const failed = entries.find(({ msg }) => msg === 'an attempt failed, the task is dead');
    expect(failed).toMatchObject({ attempt: 1, maxAttempts: 1, error: { name: task.error?.name } });
  },
);
