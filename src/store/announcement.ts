// What a worker says of itself: kept in `pf:{q}:announced`, a hash from its name to CBOR, as long as it has a lease.

import type { Redis } from 'ioredis';
import * as v from 'valibot';
import { decodeStored, encodeCbor } from '../protocol/cbor.ts';
import { keyOf, placesOf } from './keys.ts';
import { registerQueues } from './queue-names.ts';

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

/**
 * Says what a worker is, and makes its queue known: foreign programs may push to one that no server ever wrote to. In this
 * order, so that a copy of Redis that has the announcement has the queue too.
 * @throws Error of ioredis
 */
export async function announce(
  client: Redis,
  queue: string,
  worker: string,
  announcement: Announcement,
): Promise<void> {
  await Promise.all([
    registerQueues(client, [queue]),
    ...placesOf(queue).flatMap((place) => [
      client.hset(keyOf(place, 'announced'), worker, encodeCbor(announcement)),
      client.hset(keyOf(place, 'queue'), 'slots', announcement.concurrency),
    ]),
  ]);
}

const whole = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const FIELDS = {
  host: v.string(),
  pid: whole,
  startedAt: whole,
  version: v.string(),
  concurrency: whole,
  threads: whole,
  types: v.array(v.string()),
} satisfies Record<keyof Announcement, v.GenericSchema>;

/** A worker of another release may have announced less, nothing, or in another way: what cannot be read is left out. */
export function readAnnouncement(worker: string, bytes: Buffer | undefined): AnnouncedWorker {
  const stored = (bytes && decodeStored(bytes)) ?? {};
  const known = Object.entries(FIELDS).flatMap(([name, schema]) => {
    const value = (stored as Readonly<Record<string, unknown>>)[name];
    return v.is(schema, value) ? [[name, value] as const] : [];
  });
  return { ...(Object.fromEntries(known) as Partial<Announcement>), worker };
}
