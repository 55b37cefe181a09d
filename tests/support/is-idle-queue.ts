// What a queue has when all is done.

import type { Redis } from 'ioredis';
import { LANES } from '../../src/protocol/lane.ts';

/** Whether nothing waits in a queue, nothing runs, and nothing is still to be accepted because of an end. */
export async function isIdleQueue(client: Redis, key: string): Promise<boolean> {
  const names = ['ready', 'ledger'].flatMap((kind) => LANES.map((lane) => `${key}:${kind}:${lane}`));
  const left = await client.exists(
    ...names,
    `${key}:later`,
    `${key}:suspects`,
    `${key}:unstarted`,
    `${key}:outbox`,
  );
  const counts = await client.hmget(`${key}:count`, 'scheduled', 'ready', 'running');
  return left === 0 && counts.every((count) => Number(count ?? 0) === 0);
}
