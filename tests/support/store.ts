// Opens the store's connections for tests that call it directly.

import { pino } from 'pino';
import type { Redis } from 'ioredis';
import { afterAll } from 'vitest';
import { openCommandConnection } from '../../src/store/connection.ts';
import type { buildScripts } from '../../src/store/scripts.ts';
import { eventually } from './eventually.ts';
import { startRedis, type TestRedis } from './redis.ts';

export const silentLog = pino({ level: 'silent' });

/** A ready command connection. */
export async function openStore(url: string, build?: typeof buildScripts): Promise<Redis> {
  const settings = { url, log: silentLog, ...(build ? { buildScripts: build } : {}) };
  const client = openCommandConnection(settings, 'test', { socketTimeoutMs: 10_000 });
  await eventually(() => client.status === 'ready');
  return client;
}

/** Opens a store with other scripts for one use. */
export async function withStore<T>(
  url: string,
  build: typeof buildScripts,
  use: (client: Redis) => Promise<T>,
): Promise<T> {
  const client = await openStore(url, build);
  try {
    return await use(client);
  } finally {
    client.disconnect();
  }
}

/** A Redis for one test file, with a ready command connection; both go after its tests. */
export async function startStore(
  build?: typeof buildScripts,
): Promise<{ readonly redis: TestRedis; readonly client: Redis }> {
  const redis = await startRedis({ appendonly: 'no' });
  afterAll(() => redis.stop());
  const client = await openStore(redis.url, build);
  afterAll(() => client.disconnect());
  return { redis, client };
}
