// How full Redis is, as it counts against `maxmemory` itself: what it owes its replicas and its append-only file does not.

import type { Redis } from 'ioredis';
import { ClusterClient } from './cluster.ts';
import { nodeName } from './cluster-slots.ts';

export interface RedisMemory {
  readonly usedBytes: number;
  /** `maxmemory`; 0 = without limit. */
  readonly limitBytes: number;
}

/** @param client a connection to one server */
async function memoryOf(client: Redis): Promise<RedisMemory> {
  const info = await client.info('memory');
  const read = (name: string): number => Number(new RegExp(`^${name}:(\\d+)`, 'm').exec(info)?.[1] ?? 0);
  return {
    usedBytes: read('used_memory') - read('mem_not_counted_for_evict'),
    limitBytes: read('maxmemory'),
  };
}

/** Of one server. @param server its name, as `serverOf` has it */
export function memoryOn(client: Redis, server: string): Promise<RedisMemory> {
  return memoryOf((client instanceof ClusterClient && client.nodeNamed(server)) || client);
}

/** Of all primaries together. One without a limit makes the whole so. @param client a connection of `openCommandConnection` */
export async function memoryOfAll(client: Redis): Promise<RedisMemory> {
  if (!(client instanceof ClusterClient)) return memoryOf(client);
  const all = await Promise.all(client.primaries().map(memoryOf));
  return {
    usedBytes: all.reduce((sum, { usedBytes }) => sum + usedBytes, 0),
    limitBytes: all.some(({ limitBytes }) => limitBytes === 0)
      ? 0
      : all.reduce((sum, { limitBytes }) => sum + limitBytes, 0),
  };
}

/** Names the server that has a key; all keys of a plain Redis have the same. @param client a connection of `openCommandConnection` */
export function serverOf(client: Redis, key: string): string {
  const node = client instanceof ClusterClient ? client.nodeOf(key) : undefined;
  return node ? nodeName(node.address) : '';
}
