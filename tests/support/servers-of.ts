// The servers behind a connection of the store: one, or the primaries of a cluster. What one server says of itself is asked of all of them.

import type { Redis } from 'ioredis';
import { ClusterClient } from '../../src/store/cluster.ts';
import { queueKey } from './queue-key.ts';
import type { TestRedis } from './redis.ts';

function serversOf(client: Redis): readonly Redis[] {
  return client instanceof ClusterClient ? client.primaries() : [client];
}

/** What has a queue, as one server: the node of a cluster, or all there is. */
export async function nodeOf(redis: TestRedis, queue: string): Promise<TestRedis> {
  return (await redis.nodeOf?.(queue)) ?? redis;
}

/** Connections that wait in a blocking command. */
export async function blockedClients(client: Redis): Promise<number> {
  const infos = await Promise.all(serversOf(client).map((server) => server.info('clients')));
  return infos.reduce((sum, info) => sum + Number(/^blocked_clients:(\d+)/m.exec(info)?.[1]), 0);
}

/** Workers that would have a task of a queue at once. A cluster hands none over: there they wait in a pop, and nobody else may. */
export async function idleWorkers(client: Redis, queue = 'default'): Promise<number> {
  return client instanceof ClusterClient ? blockedClients(client) : client.zcard(`${queueKey(queue)}:idle`);
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
