// A task that takes down whatever runs it is found, and those that ran beside it are not blamed.

import { join } from 'node:path';
import { expect, test } from 'vitest';
import { endAll, type RoleProcess, startRole } from '../support/fleet.ts';
import { finished, LIFE_TASKS, look, send } from '../support/life.ts';
import { openStage } from '../support/stage.ts';

const LONG = { timeout: 90_000 };

test(
  'a task that aborts its process is dead after three times; its neighbours succeed unharmed',
  LONG,
  async (context) => {
    const stage = openStage(context);
    const redis = await stage.redis();
    const env = {
      ...LIFE_TASKS,
      REDIS_URL: redis.url,
      CONCURRENCY: '4',
      LEASE_MS: '1500',
      HEARTBEAT_MS: '400',
    };
    const server = await stage.role('server', env);
    const url = server.url();
    const file = join(redis.dir, 'abort');
    // `file` counts the runs: the first abort waits for nobody, so it is sent when its neighbours run.
    const neighbours = await Promise.all(Array.from({ length: 3 }, () => send(url, 'where', { ms: 1_500 })));

    // A supervisor: what ends is started again.
    const started: RoleProcess[] = [];
    let supervising = true;
    stage.atEnd(async () => {
      supervising = false;
      await endAll(started);
    });
    const supervise = async (): Promise<void> => {
      while (supervising) {
        const worker = await startRole('worker', env);
        started.push(worker);
        await worker.exited;
      }
    };
    void supervise();
    for (const id of neighbours) {
      await expect.poll(async () => (await look(url, id)).state, { timeout: 15_000 }).toBe('running');
    }
    const guilty = await send(url, 'abort', { file, beside: 0 });

    const dead = await finished(url, guilty);
    expect(dead).toMatchObject({ state: 'dead', crashes: 3, error: { name: 'PoisonTask' } });
    // What is known of each: the first took its worker with it, the others ran in a process of their own.
    expect(dead.errors.map(({ error }) => error.name)).toEqual(['WorkerLost', 'ProcessLost', 'ProcessLost']);
    expect(dead.errors[1]?.error).toMatchObject({
      killCause: 'process-exit',
      message: expect.stringContaining('SIGABRT'),
    });

    for (const id of neighbours) {
      expect(await finished(url, id)).toMatchObject({ state: 'succeeded', attempt: 1, crashes: 1 });
    }
    // Only the first crash took a worker down, and the one that is there now goes on.
    expect(started).toHaveLength(2);
    expect(await finished(url, await send(url, 'where'))).toMatchObject({ state: 'succeeded', crashes: 0 });
  },
);
