// Looks at a Redis as `popfleet doctor` does: what it is, how it is set up, how fast it answers, and what it refuses.

import type { Log } from '../log.ts';
import { FRONT_DOOR_TIMING, faultOfConnection, openCommandConnection, whenReady } from './connection.ts';
import { watchPermissions } from './permissions.ts';
import type { RedisFault } from './store-error.ts';

export interface RedisHealth {
  /** Major, minor and patch; empty, as all that follows is empty or 0, when this user may not ask for it. */
  readonly version: string;
  readonly maxmemoryPolicy: string;
  readonly usedMemoryBytes: number;
  /** 0 = without limit. */
  readonly maxmemoryBytes: number;
  readonly appendOnly: boolean;
  /** The median of a few commands. */
  readonly latencyMs: number;
  /** How far its clock is ahead of the clock here. */
  readonly clockAheadMs: number;
  /** Names of commands that this user may not run. */
  readonly refused: readonly string[];
}

const READY_WITHIN_MS = 3_000;
const LOOKS = 5;

/**
 * @param url as `REDIS_URL` takes it
 * @returns a word for what keeps it from being used, when something does
 * @throws PopfleetError `bad-config` when the address cannot be read; an error of ioredis when Redis breaks off
 */
export async function readRedisHealth(url: string, log: Log): Promise<RedisHealth | RedisFault> {
  const client = openCommandConnection({ url, log }, 'doctor', FRONT_DOOR_TIMING);
  try {
    if (!(await whenReady(client, READY_WITHIN_MS))) return faultOfConnection(client) ?? 'unreachable';
    const refused = await watchPermissions(client, log)();
    const info = await client.info().catch(() => '');
    const read = (name: string): string => new RegExp(`^${name}:(.*?)\\r?$`, 'm').exec(info)?.[1] ?? '';
    const rounds: { readonly ms: number; readonly aheadMs: number }[] = [];
    for (let look = 0; look < LOOKS; look += 1) {
      const startedAt = performance.now();
      const [seconds, micros] = await client.time();
      const ms = performance.now() - startedAt;
      // Redis read its clock about half-way.
      rounds.push({ ms, aheadMs: Number(seconds) * 1_000 + Number(micros) / 1_000 - (Date.now() - ms / 2) });
    }
    const median = rounds.toSorted((a, b) => a.ms - b.ms)[Math.floor(LOOKS / 2)];
    return {
      version: read('redis_version'),
      maxmemoryPolicy: read('maxmemory_policy'),
      usedMemoryBytes: Number(read('used_memory')),
      maxmemoryBytes: Number(read('maxmemory')),
      appendOnly: read('aof_enabled') === '1',
      latencyMs: median?.ms ?? 0,
      clockAheadMs: Math.round(median?.aheadMs ?? 0),
      refused,
    };
  } finally {
    client.disconnect();
  }
}
