// The servers behind a connection of the store: one, or the primaries of a cluster.

import type { Redis } from 'ioredis';
import { ClusterClient } from '../../src/store/cluster.ts';

function serversOf(client: Redis): readonly Redis[] {
  return client instanceof ClusterClient ? client.primaries() : [client];
}

/** Sets `maxmemory` everywhere. */
export async function limitMemory(client: Redis, maxmemory: string): Promise<void> {
  await Promise.all(serversOf(client).map((server) => server.config('SET', 'maxmemory', maxmemory)));
}

/** Keys that fit a pattern, wherever they are. */
export async function keysLike(client: Redis, pattern: string): Promise<string[]> {
  const found = await Promise.all(serversOf(client).map((server) => server.keys(pattern)));
  return found.flat();
}
