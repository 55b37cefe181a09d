// Members of batches that nobody has confirmed in time.

import type { Redis } from 'ioredis';
import { countOf, memberId, memberMark } from './batches.ts';
import { homeOf, type Place, placeOf, placesOf, QUEUES_KEY } from './keys.ts';
import { readRows } from './read-tasks.ts';
import { runScript } from './scripts.ts';
import type { UnconfirmedMembers } from './sweeper.ts';

/**
 * Looks for members that were to be accepted a while ago: those that are there are counted, the others are never accepted, and count as
 * cancelled in a batch whose tasks came with it.
 * @returns how many entries were appended to the outbox of the home queue
 * @throws Error of ioredis
 */
export async function confirmMembers(
  client: Redis,
  home: string,
  reservations: readonly UnconfirmedMembers[],
): Promise<number> {
  let appended = 0;
  for (const { batch, from, queues } of reservations) {
    /** Numbers of members that are not in their queues, by their ids. */
    const missing = new Map<string, number>();
    let number = from;
    for (const [queue, count] of queues) {
      const ids = Array.from({ length: count }, (_, at) => memberId(batch, number + at));
      const args = [memberMark(home, batch), ...ids];
      const found = (await runScript(client, 'void', placeOf(queue, ids[0] ?? ''), args)) as number[];
      for (const [at, id] of ids.entries()) if (found[at] !== 1) missing.set(id, number + at);
      number += count;
    }
    for (const id of await elsewhere(client, [...missing.keys()])) missing.delete(id);
    const args = ['give-up', batch, from, countOf(queues), ...missing.values()];
    const reply = (await runScript(client, 'batch', homeOf(home), args)) as [Buffer, number];
    appended += reply[1];
  }
  return appended;
}

/** Those of `ids`, at most some thousands, that have gone to other queues meanwhile. */
async function elsewhere(client: Redis, ids: readonly string[]): Promise<readonly string[]> {
  if (ids.length === 0) return [];
  const places = (await client.smembers(QUEUES_KEY)).flatMap(placesOf);
  return (await Promise.all(places.map((place) => idsIn(client, place, ids)))).flat();
}

/** Those of `ids` that are there: one call, as long as their contents are small. */
async function idsIn(client: Redis, place: Place, ids: readonly string[]): Promise<readonly string[]> {
  const found: string[] = [];
  for (let at = 0; at < ids.length; ) {
    const { lookedAt, records } = await readRows(client, place, ids.slice(at), undefined);
    found.push(...records.map(({ id }) => id));
    at += lookedAt;
  }
  return found;
}
