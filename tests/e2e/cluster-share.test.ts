// How the work of Redis is shared: three queues on three primaries against the same tasks on one. Part of `npm run test:cluster`.

import { expect, test, type TestContext } from 'vitest';
import { openClusterFleet } from '../support/cluster-fleet.ts';
import { costRatio, expectBelow } from '../support/expect-below.ts';
import type { TestRedis } from '../support/redis.ts';

const TASKS_A_QUEUE = 2_000;
const IS_LONG = Number(process.env['POPFLEET_CLUSTER_KILLS'] ?? 1) > 1;

/** Microseconds that a server has spent in scripts since its statistics were reset. */
async function scriptTime({ client }: TestRedis): Promise<number> {
  const stats = await client.info('commandstats');
  const times = Array.from(stats.matchAll(/^cmdstat_eval(?:sha)?:.*?usec=(\d+)/gm), ([, usec]) =>
    Number(usec),
  );
  return times.reduce((sum, one) => sum + one, 0);
}

/** @returns runs tasks in all queues, and answers the script time of the busiest primary */
async function openMeasured(context: TestContext, primaries: number): Promise<() => Promise<number>> {
  const { cluster, client, queues, factsOf } = await openClusterFleet(context, {}, primaries);
  return async () => {
    for (const node of cluster.nodes) await node.client.config('RESETSTAT');
    const tasks = Array.from({ length: 3 * TASKS_A_QUEUE }, (_, at) => ({
      type: 'add',
      queue: queues[at % 3],
      input: { one: at, two: 1 },
    }));
    for await (const item of client.enqueueMany(tasks)) expect(item).toHaveProperty('id');
    for (const queue of queues) await factsOf(queue).whenQuiet(120_000);
    return Math.max(...(await Promise.all(cluster.nodes.map(scriptTime))));
  };
}

test.runIf(IS_LONG)(
  'the busiest of three primaries spends at most 0.4 of the script time of one',
  { timeout: 600_000 },
  async (context) => {
    const one = await openMeasured(context, 1);
    const three = await openMeasured(context, 3);
    await expectBelow(0.4, async () => {
      const ratio = await costRatio(three, one);
      process.stdout.write(
        `the busiest of three primaries has ${ratio.toFixed(2)} of the script time of one\n`,
      );
      return ratio;
    });
  },
);
