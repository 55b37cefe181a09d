// Tasks that lost their worker: they run in a process of their own, which harms nobody, tells how it ended and goes with
// its worker.

import { join } from 'node:path';
import { expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { endAll, NO_SWEEPS, type RoleProcess, startRole } from '../support/fleet.ts';
import { finished, LIFE_TASKS, look, pidsIn, run, send } from '../support/life.ts';
import { isAlive } from '../support/processes.ts';
import { openQueueFacts } from '../support/queue-facts.ts';
import { openStage, type Stage } from '../support/stage.ts';

const SHORT_LEASE = { LEASE_MS: '2000', HEARTBEAT_MS: '500' };
const CONCURRENCY = 3;

test.concurrent('one that takes a full worker down costs nobody an attempt, and takes no second one down', async (context) => {
  const stage = openStage(context);
  const redis = await stage.redis();
  const facts = openQueueFacts(redis);
  const env = { ...LIFE_TASKS, ...SHORT_LEASE, REDIS_URL: redis.url, CONCURRENCY: String(CONCURRENCY) };
  const server = await stage.here('server', env);
  const url = server.url();
  const fleet = await supervise(stage, 2, env, redis.dir);

  const innocent = await facts.send(url, 2 * CONCURRENCY - 1, 1_200);
  // Whichever worker takes it: its other slots are full when it strikes.
  const file = join(redis.dir, 'default.journal');
  const guilty = await send(url, 'abort', { file, beside: innocent.length }, { maxAttempts: 1 });
  const behind = await facts.send(url, 6, 50);

  const dead = await finished(url, guilty);
  expect(dead).toMatchObject({ state: 'dead', attempt: 1, crashes: 3, error: { name: 'PoisonTask' } });
  expect(dead.errors.map(({ claim, error }) => [claim, error.name])).toEqual([
    [1, 'WorkerLost'],
    [2, 'ProcessLost'],
    [3, 'ProcessLost'],
  ]);
  for (const { error } of dead.errors.slice(1)) {
    expect(error.message).toMatch(/^its process was ended by SIGABRT/);
    expect(error.killCause).toBe('process-exit');
  }
  // One of those that were there at first, and no more: from then on it ran in processes of its own.
  expect(fleet.exits()).toEqual(['SIGABRT']);
  expect(fleet.names()).toContain(dead.errors[0]?.worker);

  const records = await facts.untilSucceeded([...innocent, ...behind]);
  for (const { id, failures, crashes, claims } of records) {
    expect({ id, failures, ownClaims: claims - crashes }).toEqual({ id, failures: 0, ownClaims: 1 });
    expect(crashes).toBeLessThanOrEqual(1);
  }
  expect(records.filter(({ crashes }) => crashes === 1)).toHaveLength(CONCURRENCY - 1);

  await eventually(async () => (await facts.workers()).length === 2);
  expect(await run(url, 'where')).toMatchObject({ state: 'succeeded', crashes: 0 });
  const sent = innocent.length + behind.length + 1;
  expect(await facts.counts()).toMatchObject({ accepted: sent + 1, succeeded: sent, dead: 1 });
});

test.concurrent('the last words of its process are kept', async (context) => {
  const stage = openStage(context);
  const redis = await stage.redis();
  const env = { ...LIFE_TASKS, ...SHORT_LEASE, REDIS_URL: redis.url, CONCURRENCY: '1' };
  const server = await stage.here('server', env);
  await supervise(stage, 1, env, redis.dir);

  const task = await run(server.url(), 'last-words');

  expect(task).toMatchObject({ state: 'dead', crashes: 3 });
  expect(task.errors.slice(1).map(({ error }) => error.message)).toEqual([
    'its process exited with code 9; last words: that was too much',
    'its process exited with code 9; last words: that was too much',
  ]);
});

test.concurrent('its process does not outlive its worker, whatever it does', async (context) => {
  const stage = openStage(context);
  const redis = await stage.redis();
  const env = { ...LIFE_TASKS, ...SHORT_LEASE, REDIS_URL: redis.url, CONCURRENCY: '1' };
  const server = await stage.here('server', { ...env, ...NO_SWEEPS });
  const url = server.url();
  const file = join(redis.dir, 'runs');
  const id = await send(url, 'spin', { file });
  for (const runs of [1, 2]) {
    const worker = await stage.role('worker', env);
    const pids = await eventually(() => pidsIn(file).length === runs && pidsIn(file));
    expect(pids.at(-1) === worker.pid).toBe(runs === 1);
    worker.signal('SIGKILL');
    await worker.exited;
    await eventually(() => pids.every((pid) => !isAlive(pid)));
  }
  expect(await look(url, id)).toMatchObject({ state: 'running', attempt: 1, crashes: 1 });
});

interface Fleet {
  /** How those ended that did not end with the test. */
  exits(): readonly (number | string)[];
  /** Of all workers there ever were. */
  names(): readonly string[];
}

/** Starts workers, and a new one whenever one is gone, as a supervisor would. */
async function supervise(
  stage: Stage,
  count: number,
  env: Record<string, string>,
  cwd: string,
): Promise<Fleet> {
  const workers: RoleProcess[] = [];
  const exits: (number | string)[] = [];
  let over = false;

  async function keepOne(): Promise<void> {
    const worker = await startRole('worker', env, cwd);
    workers.push(worker);
    void worker.exited.then(async (how) => {
      if (over) return;
      exits.push(how);
      await keepOne();
    });
  }

  stage.atEnd(() => {
    over = true;
    return endAll(workers);
  });
  await Promise.all(Array.from({ length: count }, keepOne));
  return { exits: () => exits, names: () => workers.map((worker) => worker.worker()) };
}
