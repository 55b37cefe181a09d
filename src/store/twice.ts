// Calls that may be repeated, because doing them twice does no more than once.

import type { Redis } from 'ioredis';
import { whenReady } from './connection.ts';
import { isOutage } from './store-error.ts';

/** How long a repeat waits for its connection, in milliseconds. */
const REPEAT_WITHIN_MS = 500;

/**
 * Makes a call again after an outage, once.
 * @param client its connection, of `openCommandConnection`
 * @throws what the call throws
 */
export async function twice<Result>(client: Redis, call: () => Promise<Result>): Promise<Result> {
  try {
    return await call();
  } catch (error) {
    if (!isOutage(error) || !(await whenReady(client, REPEAT_WITHIN_MS))) throw error;
    return call();
  }
}
