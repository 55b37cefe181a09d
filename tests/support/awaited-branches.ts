// Drives the scripts through branches that tasks take for which somebody waits; declared-keys.test.ts looks at what they touch there.

import type { Redis } from 'ioredis';
import { createInspector } from '../../src/store/inspector.ts';
import { expectBalanced } from './moves.ts';
import { toOutcome } from './outcome.ts';
import { openScriptedQueue, QUEUE } from './scripted-queue.ts';

/** As `BRANCHES` of script-branches.ts. */
export const AWAITED_BRANCHES: Readonly<Record<string, (client: Redis) => Promise<void>>> = {
  'tasks that somebody waits for, which end alone and beside others': async (client) => {
    const { enqueue, worker } = await openScriptedQueue(client);
    const inspector = createInspector(client);
    for (const words of [['succeeded'], ['succeeded', 'dead']] as const) {
      for (const id of await enqueue(words.length)) await inspector.task(id, new Set([QUEUE]), true);
      const { tasks } = await worker.claim([], words.length);
      await worker.finish(
        tasks.map((task, at) => toOutcome(task, words[at] ?? 'dead', 0)),
        0,
      );
    }
    await expectBalanced(client, QUEUE);
  },
};
