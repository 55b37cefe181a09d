// How a server looks at all queues: one that it may not sweep does not stand in the way of others.

import { ReplyError } from 'ioredis';
import { onTestFinished, test } from 'vitest';
import type { Swept } from '../../src/store/sweeper.ts';
import { createSweepAll } from '../../src/upkeep/sweep-all.ts';
import { eventually } from '../support/eventually.ts';

test('a queue that another release keeps is asked again with each look, and the queues behind it are swept', async () => {
  const sweeps: Record<string, number> = { a: 0, b: 0 };
  const sweepAll = createSweepAll({
    queues: async () => ['a', 'b'],
    sweepOf:
      ({ queue }) =>
      async () => {
        sweeps[queue] = (sweeps[queue] ?? 0) + 1;
        if (queue === 'a') throw new ReplyError('UPGRADE this one');
        return { nextMs: 5 } as Swept;
      },
    everyMs: 5,
  });
  await sweepAll.start();
  onTestFinished(() => sweepAll.stop());
  await eventually(() => (sweeps['a'] ?? 0) > 1 && (sweeps['b'] ?? 0) > 1);
});
