// A rolling deploy under load: workers end, restart and are killed, and no task pays for it.

import { expect, test } from 'vitest';
import { endAll, type RoleProcess, startRole } from '../support/fleet.ts';
import { openJournalStage } from '../support/stage.ts';

const WORKERS = 2;
/** More than the fleet can run between two restarts. */
const AHEAD = 60;
const LONG = { timeout: 180_000 };

test(
  'every worker restarts twice and is killed once: all tasks succeed, at their first attempt',
  LONG,
  async (context) => {
    const { stage, facts, env } = await openJournalStage(context, {
      CONCURRENCY: '2',
      LEASE_MS: '2000',
      HEARTBEAT_MS: '500',
      // Shorter than a task: some end in time, the others are given back.
      SHUTDOWN_GRACE_MS: '150',
    });
    const server = await stage.here('server', env);
    const fleet: RoleProcess[] = [];
    stage.atEnd(() => endAll(fleet));
    const startWorker = async (): Promise<RoleProcess> => {
      const worker = await startRole('worker', env);
      fleet.push(worker);
      return worker;
    };
    const running = await Promise.all(Array.from({ length: WORKERS }, startWorker));
    const ids = await facts.send(server.url(), 2 * AHEAD, 300);

    for (const signal of ['SIGTERM', 'SIGKILL', 'SIGTERM'] as const) {
      for (const [at, worker] of running.entries()) {
        const { succeeded: before = 0 } = await facts.counts();
        // However slow the restarts are, there is work until the last one.
        if (ids.length - before < AHEAD) ids.push(...(await facts.send(server.url(), AHEAD, 300)));
        worker.signal(signal);
        expect(await worker.exited).toBe(signal === 'SIGTERM' ? 0 : 'SIGKILL');
        running[at] = await startWorker();
        // The fleet works between two restarts, as it does between the batches of a deploy.
        await expect.poll(async () => (await facts.counts())['succeeded'] ?? 0).toBeGreaterThan(before);
      }
    }

    await facts.expectAllDone(ids, { withinMs: 60_000 });
    const records = await Promise.all(ids.map((id) => facts.task(id)));
    expect(records.filter(({ failures }) => failures > 0)).toEqual([]);
    // The deploy was felt: some tasks ran again, without having paid for it.
    expect(records.some(({ claims }) => claims > 1)).toBe(true);
    expect(records.some(({ crashes }) => crashes > 0)).toBe(true);
  },
);
