// Opens the store's connections for tests that call it directly.

import { pino } from 'pino';
import type { Redis } from 'ioredis';
import { openCommandConnection } from '../../src/store/connection.ts';
import type { buildScripts } from '../../src/store/scripts.ts';
import { eventually } from './eventually.ts';

export const silentLog = pino({ level: 'silent' });

/** A ready command connection. */
export async function openStore(url: string, build?: typeof buildScripts): Promise<Redis> {
  const settings = { url, log: silentLog, ...(build ? { buildScripts: build } : {}) };
  const client = openCommandConnection(settings, 'test', { socketTimeoutMs: 10_000 });
  await eventually(() => client.status === 'ready');
  return client;
}
