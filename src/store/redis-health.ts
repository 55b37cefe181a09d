// Looks at a Redis as `popfleet doctor` does: what it says of itself, and what it refuses.

import type { ConnectionSettings } from './client.ts';
import { FRONT_DOOR_TIMING, faultOfConnection, openCommandConnection, whenReady } from './connection.ts';
import { watchPermissions } from './permissions.ts';
import { lookAtRedis, type RedisFacts } from './redis-facts.ts';
import type { RedisFault } from './store-error.ts';

export interface RedisHealth extends RedisFacts {
  /** Names of commands that this user may not run. */
  readonly refused: readonly string[];
}

const READY_WITHIN_MS = 3_000;

/**
 * @returns a word for what keeps it from being used, when something does
 * @throws PopfleetError `bad-config` when the address cannot be read; an error of ioredis when Redis breaks off
 */
export async function readRedisHealth(settings: ConnectionSettings): Promise<RedisHealth | RedisFault> {
  const client = openCommandConnection(settings, 'doctor', FRONT_DOOR_TIMING);
  try {
    if (!(await whenReady(client, READY_WITHIN_MS))) return faultOfConnection(client) ?? 'unreachable';
    const refused = await watchPermissions(client, settings.log)();
    return { ...(await lookAtRedis(client)), refused };
  } finally {
    client.disconnect();
  }
}
