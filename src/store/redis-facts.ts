// What a Redis says of itself: what it is, how it is set up, how full it is and how fast it answers.

import type { Redis } from 'ioredis';
import { ClusterClient } from './cluster.ts';
import { throwStoreError } from './store-error.ts';

export interface RedisFacts {
  /** Which of them it is: `Redis`, or `Valkey`, which as `redis_version` names the Redis that it is like. */
  readonly name: string;
  /** Major, minor and patch; empty, as all that follows but the last two is empty or 0, when this user may not ask for it. */
  readonly version: string;
  readonly role: string;
  readonly uptimeSeconds: number;
  readonly maxmemoryPolicy: string;
  readonly usedMemoryBytes: number;
  /** 0 = without limit. */
  readonly maxmemoryBytes: number;
  readonly appendOnly: boolean;
  /** Whether the latest writes to disk went well. */
  readonly isSaved: boolean;
  readonly clients: number;
  readonly replicas: number;
  /** Commands that it runs in a second. */
  readonly commandsPerSecond: number;
  /** The median of a few commands. */
  readonly latencyMs: number;
  /** How far its clock is ahead of the clock here. */
  readonly clockAheadMs: number;
}

const LOOKS = 5;
/** Readers within this time share one look. */
const FRESH_MS = 2_000;

/** @returns in a cluster, of all primaries together, or of the worst of them. @throws an error of ioredis when Redis breaks off */
export async function lookAtRedis(client: Redis): Promise<RedisFacts> {
  if (!(client instanceof ClusterClient)) return lookAtServer(client);
  const all = await Promise.all(client.primaries().map(lookAtServer));
  const [first] = all;
  if (!first) return lookAtServer(client);
  const sum = (read: (one: RedisFacts) => number): number => all.reduce((total, one) => total + read(one), 0);
  const ahead = all.map(({ clockAheadMs }) => clockAheadMs);
  return {
    name: first.name,
    version: all.map(({ version }) => version).toSorted()[0] ?? '',
    role: 'cluster',
    uptimeSeconds: Math.min(...all.map(({ uptimeSeconds }) => uptimeSeconds)),
    maxmemoryPolicy: (all.find(({ maxmemoryPolicy }) => maxmemoryPolicy !== 'noeviction') ?? first)
      .maxmemoryPolicy,
    usedMemoryBytes: sum(({ usedMemoryBytes }) => usedMemoryBytes),
    maxmemoryBytes: all.some(({ maxmemoryBytes }) => maxmemoryBytes === 0)
      ? 0
      : sum(({ maxmemoryBytes }) => maxmemoryBytes),
    appendOnly: all.every(({ appendOnly }) => appendOnly),
    isSaved: all.every(({ isSaved }) => isSaved),
    clients: sum(({ clients }) => clients),
    replicas: sum(({ replicas }) => replicas),
    commandsPerSecond: sum(({ commandsPerSecond }) => commandsPerSecond),
    latencyMs: Math.max(...all.map(({ latencyMs }) => latencyMs)),
    clockAheadMs: ahead.toSorted((a, b) => Math.abs(b) - Math.abs(a))[0] ?? 0,
  };
}

async function lookAtServer(client: Redis): Promise<RedisFacts> {
  const info = await client.info().catch(() => '');
  const read = (name: string): string => new RegExp(`^${name}:(.*?)\\r?$`, 'm').exec(info)?.[1] ?? '';
  const count = (name: string): number => Number(read(name));
  const rounds: { readonly ms: number; readonly aheadMs: number }[] = [];
  for (let look = 0; look < LOOKS; look += 1) {
    const startedAt = performance.now();
    const [seconds, micros] = await client.time();
    const ms = performance.now() - startedAt;
    // Redis read its clock about half-way.
    rounds.push({ ms, aheadMs: Number(seconds) * 1_000 + Number(micros) / 1_000 - (Date.now() - ms / 2) });
  }
  const median = rounds.toSorted((a, b) => a.ms - b.ms)[Math.floor(LOOKS / 2)];
  const valkey = read('valkey_version');
  return {
    name: valkey === '' ? 'Redis' : 'Valkey',
    version: valkey || read('redis_version'),
    role: read('role'),
    uptimeSeconds: count('uptime_in_seconds'),
    maxmemoryPolicy: read('maxmemory_policy'),
    usedMemoryBytes: count('used_memory'),
    maxmemoryBytes: count('maxmemory'),
    appendOnly: read('aof_enabled') === '1',
    isSaved: ['aof_last_write_status', 'rdb_last_bgsave_status'].every((name) => read(name) !== 'err'),
    clients: count('connected_clients'),
    replicas: count('connected_slaves'),
    commandsPerSecond: count('instantaneous_ops_per_sec'),
    latencyMs: median?.ms ?? 0,
    clockAheadMs: Math.round(median?.aheadMs ?? 0),
  };
}

/** @throws PopfleetError `redis-unavailable` */
export type ReadRedisFacts = () => Promise<RedisFacts>;

/** @param client a connection of `openCommandConnection` */
export function createRedisFacts(client: Redis): ReadRedisFacts {
  let last: { readonly at: number; readonly facts: Promise<RedisFacts> } | undefined;
  return () => {
    if (last && performance.now() - last.at <= FRESH_MS) return last.facts;
    const one = { at: performance.now(), facts: lookAtRedis(client).catch(throwStoreError) };
    last = one;
    // A failure is nothing to share with those that come later.
    one.facts.catch(() => {
      if (last === one) last = undefined;
    });
    return one.facts;
  };
}
