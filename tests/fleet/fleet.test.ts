// `popfleet fleet` as an operator runs it: it scales, starts again what was killed, rolls on SIGHUP, and ends all with itself.

import { afterAll, expect, onTestFinished, test } from 'vitest';
import { openPopfleet } from '../../src/index.ts';
import { createAdd } from '../../src/tasks/add.ts';
import type { TaskDefinition } from '../../src/tasks/define.ts';
import { eventually } from '../support/eventually.ts';
import { endAll, type RoleProcess, spawnRole } from '../support/fleet.ts';
import { startRedis } from '../support/redis.ts';

const redis = await startRedis();
afterAll(() => redis.stop());

function startFleet(...args: readonly string[]): RoleProcess {
  const fleet = spawnRole('fleet', { REDIS_URL: redis.url }, undefined, args);
  onTestFinished(() => endAll([fleet]));
  return fleet;
}

/** Of the workers that have come up, in their order. */
function pidsOf(fleet: RoleProcess): number[] {
  return fleet.log().flatMap(({ msg, pid }) => (msg === 'worker started' ? Number(pid) : []));
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

test('it scales by what waits, starts anew what was killed, rolls on SIGHUP, and ends in order', async () => {
  const tasks = [createAdd(0) as TaskDefinition];
  const popfleet = await openPopfleet({ redisUrl: redis.url, tasks, logLevel: 'silent' });
  onTestFinished(() => popfleet.close());
  // They are due soon, which counts as if they waited, and stay so while the test looks.
  await popfleet.enqueueMany(
    Array.from({ length: 6 }, () => ({ type: 'add', input: { one: 1, two: 2 }, delayMs: 29_000 })),
  );

  const fleet = startFleet('--min', '1', '--max', '2');
  await eventually(() => pidsOf(fleet).length === 2);
  const [first = 0, second = 0] = pidsOf(fleet);

  process.kill(first, 'SIGKILL');
  await eventually(() => pidsOf(fleet).length === 3);
  expect(fleet.log().filter(({ msg }) => String(msg).includes('ended by itself'))).toHaveLength(1);

  fleet.signal('SIGHUP');
  await eventually(() => pidsOf(fleet).length === 5 && pidsOf(fleet).filter(isAlive).length === 2);
  expect(isAlive(second)).toBe(false);
  const { id } = await popfleet.enqueue('add', { one: 1, two: 2 });
  await eventually(async () => (await popfleet.get(id))?.state === 'succeeded');

  fleet.signal('SIGTERM');
  expect(await fleet.exited).toBe(0);
  expect(pidsOf(fleet).filter(isAlive)).toEqual([]);
});

test('task modules that cannot be loaded end it with 78', async () => {
  const fleet = startFleet('--min', '1', '--max', '1', '--tasks', './missing.mjs');
  expect(await fleet.exited).toBe(78);
  expect(fleet.errors()).toContain('missing.mjs');
});
