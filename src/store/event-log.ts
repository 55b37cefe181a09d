// Looks things up in the event streams: what came after a position, and what holds at one.

import type { Redis } from 'ioredis';
import { decodeStored } from '../protocol/cbor.ts';
import {
  type EventEntry,
  type EventPosition,
  isAfter,
  isUnbroken,
  readEntry,
  readPosition,
  STREAM_START,
} from './event-entry.ts';
import { homeOf, keyOf, placeOf } from './keys.ts';
import { readRecord, type TaskRecord } from './record.ts';
import { runScript } from './scripts.ts';
import { withStoreErrors } from './store-error.ts';

interface EventPage {
  /** Oldest first. */
  readonly entries: readonly EventEntry[];
  /** False when entries between the position and these are gone, or Redis knows of no such position. */
  readonly unbroken: boolean;
  /** The newest entry at that time. */
  readonly latest: EventPosition;
}

/** @throws PopfleetError `redis-unavailable` from every method when Redis does not answer */
export interface EventLog {
  after(queue: string, position: EventPosition, most: number): Promise<EventPage>;
  /** A task together with the position of the last entry that its record knows of. */
  task(
    queue: string,
    id: string,
  ): Promise<{ readonly record: TaskRecord | undefined; readonly position: EventPosition }>;
  /** The latest progress of running tasks, by id: `{percent, note?}`. Those without any are left out. */
  progress(queue: string, ids: readonly string[]): Promise<ReadonlyMap<string, unknown>>;
}

/** @param client a connection of `openCommandConnection` */
export function createEventLog(client: Redis): EventLog {
  return withStoreErrors<EventLog>({
    async after(queue, position, most) {
      const key = keyOf(homeOf(queue), 'events');
      // In this order: when nothing comes after the position, what was the newest entry before is still the newest.
      const [latest, rows] = await Promise.all([
        latestPosition(client, queue),
        client.xrange(key, `(${position.id}`, '+', 'COUNT', most),
      ]);
      const entries = rows.map((row) => readEntry(queue, row));
      const atEnd = latest.number === position.number && !isAfter(position, latest);
      const unbroken = entries.length > 0 ? isUnbroken(position, entries) : atEnd;
      return { entries, unbroken, latest };
    },

    async task(queue, id) {
      const reply = await runScript(client, 'snapshot', placeOf(queue, id), [id]);
      const [entry, number, ...row] = reply as (Buffer | null)[];
      return {
        record: readRecord(queue, id, row),
        position: { id: String(entry), number: Number(String(number)) },
      };
    },

    async progress(queue, ids) {
      const values = await client.hmgetBuffer(keyOf(homeOf(queue), 'progress'), ...ids);
      const latest = new Map<string, unknown>();
      for (const [at, id] of ids.entries()) {
        const value = values[at];
        const progress = value && decodeStored(value);
        if (progress !== undefined && progress !== null) latest.set(id, progress);
      }
      return latest;
    },
  });
}

/** @throws Error of ioredis */
export async function latestPosition(client: Redis, queue: string): Promise<EventPosition> {
  const [last] = await client.xrevrange(keyOf(homeOf(queue), 'events'), '+', '-', 'COUNT', 1);
  return last ? readPosition(last) : STREAM_START;
}
