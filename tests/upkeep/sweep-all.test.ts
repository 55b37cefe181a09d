// How a server looks at all queues: one that cannot be swept does not stand in the way of others.

import { ReplyError } from 'ioredis';
import { onTestFinished, test } from 'vitest';
import type { Swept } from '../../src/store/sweeper.ts';
import { createSweepAll } from '../../src/upkeep/sweep-all.ts';
import { silentLog } from '../support/store.ts';
import { eventually } from '../support/eventually.ts';

test.each([
  ['that another release keeps', new ReplyError('UPGRADE this one')],
  ['whose node is away', new Error('Connection is closed.')],
  ['with a key of another kind', new ReplyError('WRONGTYPE Operation against a key')],
])('a queue %s is asked again with each look, and the queues behind it are swept', async (_, fault) => {
  const sweeps: Record<string, number> = { a: 0, b: 0 };
  const sweepAll = createSweepAll({
    queues: async () => ['a', 'b'],
    sweepOf:
      ({ queue }) =>
      async () => {
        sweeps[queue] = (sweeps[queue] ?? 0) + 1;
        if (queue === 'a') throw fault;
        return { nextMs: 5 } as Swept;
      },
    log: silentLog,
    everyMs: 5,
  });
  await sweepAll.start();
  onTestFinished(() => sweepAll.stop());
  await eventually(() => (sweeps['a'] ?? 0) > 1 && (sweeps['b'] ?? 0) > 1);
});
