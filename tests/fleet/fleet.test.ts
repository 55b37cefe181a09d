// `popfleet fleet` as an operator runs it: it scales, starts again what was killed, rolls on SIGHUP, and ends all with itself. How it
// shrinks is seen at its supervisor, which is told to at once.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, onTestFinished, test } from 'vitest';
import { startRoleProcess } from '../../dist/role-process.js';
import { Supervisor } from '../../src/fleet/supervisor.ts';
import { openPopfleet } from '../../src/index.ts';
import { createAdd } from '../../src/tasks/add.ts';
import type { TaskDefinition } from '../../src/tasks/define.ts';
import { BARE_ENV } from '../support/bare-env.ts';
import { eventually } from '../support/eventually.ts';
import { endAll, type RoleProcess, spawnRole } from '../support/fleet.ts';
import { startRedis } from '../support/redis.ts';
import { silentLog } from '../support/store.ts';

const LIFE = fileURLToPath(new URL('../fixtures/life.mjs', import.meta.url));
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

test('a fleet that shrinks lets a task run on, also on its newest worker', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'popfleet-fleet-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const { speaking } = (await import(LIFE)) as { readonly speaking: TaskDefinition };
  const popfleet = await openPopfleet({ redisUrl: redis.url, tasks: [speaking], logLevel: 'silent' });
  onTestFinished(() => popfleet.close());
  const workers: ReturnType<typeof startRoleProcess>[] = [];
  const settings = { TASKS: LIFE, QUEUES: 'shrinking', CONCURRENCY: '1', SHUTDOWN_GRACE_MS: '0' };
  const env = { ...BARE_ENV, APP_TYPE: 'worker', REDIS_URL: redis.url, LOG_LEVEL: 'silent', ...settings };
  const supervisor = new Supervisor({
    start: () => workers[workers.push(startRoleProcess(env)) - 1] as (typeof workers)[0],
    log: silentLog,
    onUseless: () => undefined,
    memoryBytes: Number.POSITIVE_INFINITY,
  });
  onTestFinished(() => supervisor.stop());

  const files = ['first', 'second'].map((name) => join(folder, name));
  const ids: string[] = [];
  for (const [at, until] of files.entries()) {
    supervisor.want(at + 1);
    ids.push((await popfleet.enqueue('speaking', { until, yields: true }, { queue: 'shrinking' })).id);
    await eventually(() => workers[at]?.isBusy());
  }
  const [first, second] = files.map((file) => () => writeFileSync(file, ''));
  first?.();
  await eventually(() => workers[0]?.isBusy() === false);
  supervisor.want(1);
  expect(await Promise.race(workers.map(({ ended }, at) => ended.then(() => at)))).toBe(0);
  second?.();
  const task = await eventually(async () => {
    const record = await popfleet.get(ids[1] ?? '');
    return record?.state === 'succeeded' && record;
  });
  expect(task).toMatchObject({ attempt: 1, result: workers[1]?.pid });
});

test('task modules that cannot be loaded end it with 78', async () => {
  const fleet = startFleet('--min', '1', '--max', '1', '--tasks', './missing.mjs');
  expect(await fleet.exited).toBe(78);
  expect(fleet.errors()).toContain('missing.mjs');
});
