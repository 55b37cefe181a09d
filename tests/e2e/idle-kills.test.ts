// Idle workers are killed at random while single tasks are sent, which are handed to them: each task runs all the same, and soon.
// POPFLEET_IDLE_KILLS sets how often; `npm run test:idle-kills` does it five hundred times.

import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { openPopfleet } from '../../src/library.ts';
import { createAdd } from '../../src/tasks/add.ts';
import { eventually } from '../support/eventually.ts';
import { countsOf, expectBalanced } from '../support/moves.ts';
import { recordOf } from '../support/records.ts';
import { idleWorkers } from '../support/servers-of.ts';
import { openStage } from '../support/stage.ts';

const KILLS = Number(process.env['POPFLEET_IDLE_KILLS'] ?? 3);
const WORKERS = 2;
const TASKS_A_KILL = 10;
/** Between two tasks, on average: most of the time nothing runs. */
const EVERY_MS = 50;
/** With fewer kills one of them decides about the slowest tasks. */
const KILLS_FOR_P99 = 200;
/** As by default; a few kills must not take long. */
const LEASE_MS = KILLS < KILLS_FOR_P99 ? 4_000 : 10_000;
/** The grace of a lost pop: what a killed worker costs without a hand-over. */
const GRACE_MS = 2_000;

test(`${KILLS} idle workers killed while tasks are sent: all of them run, and none waits for longer than a lease`, {
  timeout: 180_000 + KILLS * 10_000,
}, async (context) => {
  const stage = openStage(context);
  const redis = await stage.redis();
  const timing = { LEASE_MS: String(LEASE_MS), HEARTBEAT_MS: String(LEASE_MS / 4) };
  const env = { REDIS_URL: redis.url, TASK_DURATION_MS: '0', ...timing };
  const workers = await Promise.all(Array.from({ length: WORKERS }, () => stage.role('worker', env)));
  const fleet = await openPopfleet({ redisUrl: redis.url, tasks: [createAdd(0)] });
  stage.atEnd(async () => fleet.close());
  const ids: string[] = [];

  for (let kill = 0; kill < KILLS; kill += 1) {
    // Nothing runs: what a killed worker has swallowed comes back when its lease has run out.
    await eventually(
      async () => kill === 0 || (await countsOf(redis.client))['succeeded'] === ids.length,
      LEASE_MS * 6,
    );
    await eventually(async () => (await idleWorkers(redis.client)) === WORKERS);
    const victim = workers.shift();
    const killing = sleep(Math.random() * TASKS_A_KILL * EVERY_MS).then(() => victim?.signal('SIGKILL'));
    for (let at = 0; at < TASKS_A_KILL; at += 1) {
      ids.push((await fleet.enqueue('add', { one: at, two: 1 })).id);
      await sleep(Math.random() * 2 * EVERY_MS);
    }
    await killing;
    await victim?.exited;
    workers.push(await stage.role('worker', env));
  }

  const counts = { accepted: ids.length, succeeded: ids.length };
  await eventually(
    async () => expect(await countsOf(redis.client)).toMatchObject(counts) ?? true,
    LEASE_MS * 6,
  );
  await expectBalanced(redis.client);
  const tasks = await Promise.all(ids.map((id) => recordOf(redis.client, 'default', id)));
  const waits = tasks.map((task) => (task?.finishedAt ?? Infinity) - (task?.acceptedAt ?? 0));
  waits.sort((one, other) => one - other);
  const [half = 0, p99 = 0, longest = 0] = [0.5, 0.99, 1].map(
    (share) => waits[Math.ceil(waits.length * share) - 1],
  );
  // Those that a killed worker had: of which it had said nothing, and which it had begun.
  const [unbegun, begun] = [0, 1].map(
    (crashes) => tasks.filter((task) => task?.claims === 2 && task.crashes === crashes).length,
  );
  console.info('idle workers killed', {
    kills: KILLS,
    tasks: tasks.length,
    unbegun,
    begun,
    half,
    p99,
    longest,
  });
  // Each has waited for one lease at most.
  expect(tasks.filter((task) => (task?.claims ?? 0) > 2)).toEqual([]);
  if (KILLS >= KILLS_FOR_P99) expect(p99).toBeLessThanOrEqual(GRACE_MS);
});
