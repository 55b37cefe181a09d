// Drives the scripts through branches for tasks that have not begun, for workers that are lost, and what shows that a queue is whole; declared-keys.test.ts looks at what they touch there.

import type { Redis } from 'ioredis';
import { expect } from 'vitest';
import { createConsumer } from '../../src/store/consumer.ts';
import { homeOf } from '../../src/store/keys.ts';
import { readLedger } from '../../src/store/ledger-reader.ts';
import { expectBalanced } from './moves.ts';
import { readyKey } from './queue-key.ts';
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
        await createConsumer(client, homeOf(QUEUE), end, 1).claim([], 1, {}, { begun: 1 });
        await clock.advance(10);
        await sweepAll();
      }
    }
    await expectBalanced(client, QUEUE);
  },

  'workers that are lost, one long after the other': async (client) => {
    const { clock, enqueue, sweep } = await openScriptedQueue(client);
    await enqueue(2);
    for (const name of ['one', 'other']) {
      await createConsumer(client, homeOf(QUEUE), name, 1_000).claim([], 1);
      for (let step = 0; step < 30; step += 1) {
        await clock.advance(100);
        await sweep();
      }
      expect(await client.hkeys(`${KEY}:lost`)).toEqual([name]);
      await clock.advance(400_000);
      await sweep();
    }
  },

  'what shows that a queue is whole, while a popped message is missed': async (client) => {
    const { clock, enqueue, sweep } = await openScriptedQueue(client);
    const [id = ''] = await enqueue(1);
    await client.rpop(readyKey(QUEUE, 'normal'));
    await sweep();
    expect(await readLedger(client, QUEUE)).toMatchObject({
      lanes: { normal: { messages: 0, copies: 1 } },
      unclaimed: 1,
      unclaimedTasks: [{ id, since: clock.now() }],
      sweptAt: clock.now(),
    });
  },
};
