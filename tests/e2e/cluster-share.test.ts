// How the work of Redis is shared: three queues on three primaries against the same tasks on one. Part of `npm run test:cluster`.

import { expect, test, type TestContext } from 'vitest';
import { openClusterFleet } from '../support/cluster-fleet.ts';
import { costRatio, expectBelow } from '../support/expect-below.ts';
import type { TestRedis } from '../support/redis.ts';

const TASKS_A_QUEUE = 2_000;
const IS_LONG = Number(process.env['POPFLEET_CLUSTER_KILLS'] ?? 1) > 1;

/**
 * Microseconds of processor time that the main thread of a server has taken so far. `INFO commandstats` would measure by the clock how long
 * scripts take, which grows while a server waits for a core: three primaries and their replicas share this machine's.
 */
async function mainThreadUs({ client }: TestRedis): Promise<number> {
  const info = await client.info('cpu');
  const times = Array.from(info.matchAll(/^used_cpu_(?:user|sys)_main_thread:([\d.]+)/gm), ([, seconds]) =>
    Number(seconds),
  );
  return times.reduce((sum, one) => sum + one, 0) * 1e6;
}

/** @returns runs tasks in all queues, and answers the processor time that the busiest primary has taken for them */
async function openMeasured(context: TestContext, primaries: number): Promise<() => Promise<number>> {
  const { cluster, client, queues, factsOf } = await openClusterFleet(context, {}, primaries);
  return async () => {
    const before = await Promise.all(cluster.nodes.map(mainThreadUs));
    const tasks = Array.from({ length: 3 * TASKS_A_QUEUE }, (_, at) => ({
      type: 'add',
      queue: queues[at % 3],
      input: { one: at, two: 1 },
    }));
    for await (const item of client.enqueueMany(tasks)) expect(item).toHaveProperty('id');
    for (const queue of queues) await factsOf(queue).whenQuiet(120_000);
    const after = await Promise.all(cluster.nodes.map(mainThreadUs));
    return Math.max(...after.map((us, at) => us - (before[at] ?? 0)));
  };
}

test.runIf(IS_LONG)(
  'the busiest of three primaries takes at most 0.4 of the processor time of one',
  { timeout: 600_000 },
  async (context) => {
    const one = await openMeasured(context, 1);
    const three = await openMeasured(context, 3);
    await expectBelow(0.4, async () => {
      const ratio = await costRatio(three, one);
      process.stdout.write(
        `the busiest of three primaries takes ${ratio.toFixed(2)} of the processor time of one\n`,
      );
      return ratio;
    });
  },
);
