// Drives the scripts of failures that are ignored through their branches; declared-keys.test.ts looks at what they touch there.

import type { Redis } from 'ioredis';
import { expect } from 'vitest';
import { createErrorGroups } from '../../src/store/error-groups.ts';
import { createInspector } from '../../src/store/inspector.ts';
import { GROUP } from './outcome.ts';
import { openScriptedQueue, QUEUE } from './scripted-queue.ts';

/** Each empties the Redis of its client, a connection of `openStore` with `buildScriptsWithClock`. */
export const IGNORED_BRANCHES: Readonly<Record<string, (client: Redis) => Promise<void>>> = {
  'failures that are ignored, and heeded again': async (client) => {
    const { enqueue, take, finish } = await openScriptedQueue(client);
    const { ignore, find } = createErrorGroups(client);
    const [fingerprint = ''] = GROUP.split(' ');
    await enqueue(1);
    await finish(await take(1), 'dead', { group: GROUP });
    for (const how of [{ until: undefined, moreDeaths: 9 }, undefined, { until: 9e12, moreDeaths: 9 }]) {
      await ignore([QUEUE], fingerprint, how);
    }
    expect(await find([QUEUE], fingerprint)).toMatchObject([{ ignored: { until: 9e12, untilTotal: 10 } }]);
    expect((await createInspector(client).queue(QUEUE)).deadIgnored).toBe(1);
  },
};
