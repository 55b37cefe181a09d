// What workflows cost: a chain of steps beside as many tasks one after the other, and held steps where old tasks are removed.
// `npm run test:flow-costs` does it with a chain of 1,000 and with 10,000 held steps.

import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openPopfleet, type Popfleet } from '../../src/index.ts';
import { loadRegistry } from '../../src/tasks/registry.ts';
import { eventually } from '../support/eventually.ts';
import { costRatio, expectBelow, msOf } from '../support/expect-below.ts';
import { countsOf, expectBalanced } from '../support/moves.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { type RoleHere, startHere, stopHere } from '../support/start-here.ts';

const CHAIN = Number(process.env['POPFLEET_CHAIN'] ?? 40);
const HELD = Number(process.env['POPFLEET_HELD'] ?? 400);
const STEPS = Math.min(500, HELD);
const TASKS = fileURLToPath(new URL('../fixtures/noop.mjs', import.meta.url));
const TTL_MS = 1_000;
const OTHERS = 100;

let redis: TestRedis;
let library: Popfleet;
const workers: RoleHere[] = [];

async function startWorker(more: Record<string, string>): Promise<void> {
  workers.push(await startHere('worker', { REDIS_URL: redis.url, TASKS, CONCURRENCY: '4', ...more }));
}

beforeAll(async () => {
  redis = await startRedis();
  const registry = await loadRegistry({ taskDurationMs: 0, taskModules: [TASKS], baseDir: '/' });
  library = await openPopfleet({
    redisUrl: redis.url,
    tasks: [...registry.values()],
    logLevel: 'silent',
  });
});
afterAll(async () => {
  library?.close();
  await stopHere(...workers);
  await redis?.stop();
});

test(`a chain of ${CHAIN} steps takes at most twice as long as ${CHAIN} tasks one after the other`, {
  timeout: 180_000,
}, async () => {
  await startWorker({});
  const tasks = Object.fromEntries(
    Array.from({ length: CHAIN }, (_, at) => [
      `s${at}`,
      { task: 'noop', input: at, needs: at === 0 ? [] : [`s${at - 1}`] },
    ]),
  );
  const chain = (): Promise<number> =>
    msOf(async () => {
      const { id } = await library.workflows.start({ tasks });
      expect((await library.workflows.wait(id)).state).toBe('succeeded');
    });
  const singles = (): Promise<number> =>
    msOf(async () => {
      for (let at = 0; at < CHAIN; at += 1) await (await library.enqueue('noop', at)).result();
    });
  await singles();
  // A short one also pays for its start, and noise.
  await expectBelow(CHAIN < 1_000 ? 4 : 2, async () => {
    const ratio = await costRatio(chain, singles, 2);
    console.info('a chain', { steps: CHAIN, timesAsLongAsSingleTasks: Number(ratio.toFixed(2)) });
    return ratio;
  });
});

test(`${HELD} held steps stand in nobody's way: other tasks are removed when their time is over`, {
  timeout: 120_000,
}, async () => {
  await startWorker({
    QUEUES: 'held',
    RESULT_TTL_MS: String(TTL_MS),
    HEARTBEAT_MS: '200',
    LEASE_MS: '2000',
  });
  const step = { task: 'noop', input: 0, queue: 'held' };
  const steps = Array.from({ length: STEPS }, (_, at) => [`s${at}`, step] as const);
  const tasks = { ...Object.fromEntries(steps), last: { ...step, delayMs: 3_600_000 } };
  const ids: string[] = [];
  for (let held = 0; held < HELD; held += STEPS) ids.push((await library.workflows.start({ tasks })).id);
  const held = ids.length * STEPS;
  await eventually(async () => (await countsOf(redis.client, 'held'))['succeeded'] === held, 60_000);
  const options = { queue: 'held' };
  const sent = await library.enqueueMany(
    Array.from({ length: OTHERS }, () => ({ type: 'noop', input: 0, ...options })),
  );
  await Promise.all(sent.map((task) => task.result()));
  const ms = await msOf(() =>
    eventually(async () => (await countsOf(redis.client, 'held'))['removed'] === OTHERS),
  );
  console.info('held steps', { held, othersGoneAfterMs: Math.round(ms), theirTimeMs: TTL_MS });
  expect(await countsOf(redis.client, 'held')).toMatchObject({ succeeded: held, scheduled: ids.length });
  await expectBalanced(redis.client, 'held');
  // Once nothing holds them, they go as well.
  for (const id of ids) await library.workflows.cancel(id);
  await eventually(
    async () => (await countsOf(redis.client, 'held'))['removed'] === held + ids.length + OTHERS,
    60_000,
  );
});
