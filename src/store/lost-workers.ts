// Reads which workers were lost of late, as the sweep notes them (sweep/lost-workers.lua).

import type { Redis } from 'ioredis';
import { compact } from '../protocol/compact.ts';
import { type AnnouncedWorker, readAnnouncement } from './announcement.ts';
import { keyOf, type Place, placesOf } from './keys.ts';
import { readHash } from './read-whole.ts';
import { throwStoreError } from './store-error.ts';

/** A worker that was not heard of any more. */
export interface LostWorker extends Pick<AnnouncedWorker, 'worker' | 'host' | 'pid' | 'version'> {
  readonly queue: string;
  /** When its lease ran out, in milliseconds of the clock of its queue. */
  readonly leaseUntil: number;
  /** Tasks that it held then: they have gone back to their queue. */
  readonly held: number;
}

/** As in sweep/lost-workers.lua. */
const TOLD_MS = 300_000;
/** When the lease ran out, how many tasks it held, and what it had announced. */
const ENTRY = /^(\d+) (-?\d+) (.*)$/s;

/**
 * Those of the last five minutes, the latest first. One that has come back since is there too.
 * @param client a connection of `openCommandConnection`
 * @throws PopfleetError `redis-unavailable`
 */
export async function readLostWorkers(client: Redis, queue: string): Promise<readonly LostWorker[]> {
  const places = await Promise.all(placesOf(queue).map((place) => readPlace(client, place))).catch(
    throwStoreError,
  );
  const found = new Map<string, LostWorker>();
  for (const one of places.flat()) {
    const before = found.get(one.worker);
    found.set(one.worker, before ? { ...one, held: before.held + one.held } : one);
  }
  return [...found.values()].sort((one, other) => other.leaseUntil - one.leaseUntil);
}

async function readPlace(client: Redis, place: Place): Promise<readonly LostWorker[]> {
  const lost = await readHash(client, keyOf(place, 'lost'));
  // Nearly always.
  if (lost.size === 0) return [];
  // The queue's own clock, as it was at the latest call: sweeps come all the time.
  const [wall, skew] = await client.hmget(keyOf(place, 'queue'), 'wall', 'skew');
  const since = Number(wall ?? 0) + Number(skew ?? 0) - TOLD_MS;
  return [...lost].flatMap(([field, entry]) => {
    // What another program has put there is left out.
    const [, leaseUntil = '0', held = '0', announced = ''] = ENTRY.exec(entry.toString('latin1')) ?? [];
    if (Number(leaseUntil) < since) return [];
    const worker = Buffer.from(field, 'latin1').toString();
    const { host, pid, version } = readAnnouncement(worker, Buffer.from(announced, 'latin1'));
    const times = { leaseUntil: Number(leaseUntil), held: Math.max(0, Number(held)) };
    return [compact<LostWorker>({ worker, queue: place.queue, ...times, host, pid, version })];
  });
}
