// Waits for connections that come back by themselves.

import type { Redis } from 'ioredis';
import { delay } from '../lifecycle.ts';

/** A connection that was reset keeps its status until its close is emitted; nothing can be written to it any more. */
export function isUsable(client: Redis): boolean {
  return client.status === 'ready' && client.stream.writable;
}

/** Resolves once `isReady`, which is asked each time that the client says so, or when `ms` have passed; with the last answer. */
export async function waitUntilReady(
  client: Redis,
  ms: number,
  isReady: () => boolean = () => isUsable(client),
): Promise<boolean> {
  if (isReady()) return true;
  const waiting = new AbortController();
  const onReady = (): void => {
    if (isReady()) waiting.abort();
  };
  client.on('ready', onReady);
  await delay(ms, waiting.signal);
  client.off('ready', onReady);
  return isReady();
}
