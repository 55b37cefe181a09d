// Reads a whole hash or set step by step. A hash not by HGETALL of ioredis: that answers an object, in which names such as
// `constructor` are there already, and turns names into text.

import type { Redis } from 'ioredis';

const FIELDS_AT_ONCE = 200;

/**
 * The fields of a hash by their names, which are bytes in a `latin1` text. A field that is there all the time is there for
 * certain, one that comes or goes meanwhile may be.
 * @throws Error of ioredis
 */
export async function readHash(client: Redis, key: string): Promise<ReadonlyMap<string, Buffer>> {
  const fields = new Map<string, Buffer>();
  let cursor = '0';
  do {
    const [next, flat] = await client.hscanBuffer(key, cursor, 'COUNT', FIELDS_AT_ONCE);
    for (let at = 0; at + 1 < flat.length; at += 2) {
      fields.set((flat[at] as Buffer).toString('latin1'), flat[at + 1] as Buffer);
    }
    cursor = String(next);
  } while (cursor !== '0');
  return fields;
}

/**
 * The members of a set, which are text. One that is there all the time is there for certain, and once.
 * @throws Error of ioredis
 */
export async function readSet(client: Redis, key: string): Promise<string[]> {
  const members = new Set<string>();
  let cursor = '0';
  do {
    const [next, some] = await client.sscan(key, cursor, 'COUNT', FIELDS_AT_ONCE);
    for (const member of some) members.add(member);
    cursor = next;
  } while (cursor !== '0');
  return [...members];
}
