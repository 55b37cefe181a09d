// Names of all keys. Those of one queue share a hash tag, so a queue lives in one slot of a Redis Cluster.

import type { Lane } from '../protocol/lane.ts';

/** Set of queue names. It has no hash tag: only commands of their own touch it, never a script. */
export const QUEUES_KEY = 'pf:queues';

/** Where the probe tries what this user of Redis may do; no queue can have this name. */
export const PROBE_KEY = 'pf:{-}';

/** The prefix of every key of a queue; scripts get it as their only declared key and build the rest. */
export function queueKey(queue: string): string {
  return `pf:{${queue}}`;
}

export function readyKey(queue: string, lane: Lane): string {
  return `${queueKey(queue)}:ready:${lane}`;
}

/** An idempotency key: the id of its task, then the digest of the request. */
export function idempotencyKey(queue: string, name: string): string {
  return `${queueKey(queue)}:key:${name}`;
}
