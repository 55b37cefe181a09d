// What a worker says of itself: kept in `pf:{q}:announced`, a hash from its name to CBOR, as long as it has a lease.

import type { Redis } from 'ioredis';
import { decodeTrusted, encodeCbor } from '../protocol/cbor.ts';
import { queueKey } from './keys.ts';

export interface Announcement {
  readonly host: string;
  readonly pid: number;
  /** Milliseconds since 1970, of the worker's own clock. */
  readonly startedAt: number;
  readonly version: string;
  /** Tasks at the same time. */
  readonly concurrency: number;
  readonly threads: number;
  /** Task types it has handlers for. */
  readonly types: readonly string[];
}

export interface AnnouncedWorker extends Partial<Announcement> {
  readonly worker: string;
}

/** @throws Error of ioredis */
export async function announce(
  client: Redis,
  queue: string,
  worker: string,
  announcement: Announcement,
): Promise<void> {
  await client.hset(`${queueKey(queue)}:announced`, worker, encodeCbor(announcement));
}

/** A worker of another release may have announced less, or nothing; what cannot be read is nothing. */
export function readAnnouncement(worker: string, bytes: Buffer | undefined): AnnouncedWorker {
  if (!bytes) return { worker };
  try {
    return { ...(decodeTrusted(bytes) as Partial<Announcement>), worker };
  } catch {
    return { worker };
  }
}
