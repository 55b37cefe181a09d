// Drives the scripts through branches for tasks that have not begun; declared-keys.test.ts looks at what they touch there.

import type { Redis } from 'ioredis';
import { createConsumer } from '../../src/store/consumer.ts';
import { homeOf } from '../../src/store/keys.ts';
import { expectBalanced } from './moves.ts';
import { KEY, openScriptedQueue, QUEUE } from './scripted-queue.ts';

/** As `BRANCHES` of script-branches.ts. */
export const BEGUN_BRANCHES: Readonly<Record<string, (client: Redis) => Promise<void>>> = {
  'tasks that have not begun': async (client) => {
    const { clock, enqueue, take, finish, sweepAll } = await openScriptedQueue(client);
    for (const end of ['unbegun', 'lost'] as const) {
      await enqueue(1, { ttlMs: 50_000 });
      await client.hset(`${KEY}:queue`, 'sweep_at', 1e12);
      if (end === 'unbegun') {
        await finish(await take(1), end, { payload: Buffer.alloc(0) });
        await finish(await take(1));
      } else {
        await createConsumer(client, homeOf(QUEUE), end, 1).claim([], 1, {}, 1);
        await clock.advance(10);
        await sweepAll();
      }
    }
    await expectBalanced(client, QUEUE);
  },
};
