// The example of a training: it learns, and a run whose worker is killed goes on behind its last epoch.

import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { TaskDefinition } from '../../src/tasks/define.ts';
import { runTask } from '../../src/testing/testing.ts';
import { eventually } from '../support/eventually.ts';
import { endAll, type RoleProcess, startRole } from '../support/fleet.ts';
import { finished, linesOf, look, send } from '../support/life.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { type RoleHere, startHere, stopHere } from '../support/start-here.ts';

const TASKS = fileURLToPath(new URL('../../examples/training/training.mjs', import.meta.url));
const EPOCHS = 600;
/** How far the run has to be before it is killed. */
const KEPT_PERCENT = 3;

let redis: TestRedis;
let server: RoleHere;
let killed: RoleProcess;
let worker: RoleHere | undefined;
let url: string;

beforeAll(async () => {
  redis = await startRedis();
  const variables = { TASKS, REDIS_URL: redis.url, LEASE_MS: '2000', HEARTBEAT_MS: '500' };
  [server, killed] = await Promise.all([
    startHere('server', variables),
    startRole('worker', { ...variables, CONCURRENCY: '1' }),
  ]);
  url = server.url();
});
afterAll(async () => {
  await stopHere(worker);
  await endAll([killed]);
  await stopHere(server);
  await redis?.stop();
});

interface Result {
  readonly accuracy: number;
  readonly epochs: number;
  readonly wentOnBehind: number;
  readonly curve: readonly number[];
}

async function percentOf(id: string): Promise<number> {
  const { progress } = await look(url, id);
  return (progress as { readonly percent?: number } | undefined)?.percent ?? 0;
}

test('killed in the middle, it goes on from its checkpoint, and learns', async () => {
  // One that a busy machine has seen too late to kill it in the middle is left to its end.
  const { id, percent } = await eventually(async () => {
    const sent = await send(url, 'train', { epochs: EPOCHS, points: 400 });
    const now = await eventually(async () => (await percentOf(sent)) >= KEPT_PERCENT && percentOf(sent));
    return now < 50 && { id: sent, percent: now };
  });
  await endAll([killed]);
  const variables = { TASKS, REDIS_URL: redis.url, LEASE_MS: '2000', HEARTBEAT_MS: '500' };
  worker = await startHere('worker', variables);
  const task = await finished(url, id);
  const { wentOnBehind, epochs, accuracy, curve } = task.result as Result;
  expect(task).toMatchObject({ state: 'succeeded', attempt: 1, crashes: 1, progress: { percent: 100 } });
  // What is reported comes after what is kept.
  expect(wentOnBehind).toBeGreaterThanOrEqual(Math.floor((percent / 100) * EPOCHS));
  expect(wentOnBehind).toBeLessThan(EPOCHS);
  const lines = await linesOf(url, id);
  expect(lines.filter((line) => /begins|goes on/.test(line))).toEqual([
    'begins with 400 points',
    `goes on behind epoch ${wentOnBehind}`,
  ]);
  expect([epochs, curve.length]).toEqual([EPOCHS, 20]);
  expect(accuracy).toBeGreaterThan(0.95);
  expect(curve.at(-1)).toBeLessThan((curve[0] ?? 0) / 2);
});

test('a run that goes on behind the last epoch has its accuracy', async () => {
  const { train } = (await import(TASKS)) as { train: TaskDefinition };
  const input = { epochs: 3, points: 20 };
  const first = await runTask(train, input);
  const again = await runTask(train, input, { lastCheckpoint: first.checkpoints.at(-1) });
  expect(again.result).toEqual({ ...(first.result as Result), wentOnBehind: 3 });
  expect((again.result as Result).accuracy).toBeGreaterThan(0);
});
