// The index of a queue beside what stands in its rows.

import type { Redis } from 'ioredis';
import { expect } from 'vitest';
import { queueKey } from './queue-key.ts';

/** Expects that tasks are found by exactly the terms that their rows have, and by those of dead letters only when they are dead. */
export async function expectIndexed(client: Redis, queue = 'default'): Promise<void> {
  const key = queueKey(queue);
  const [found, own, ofDead, contents, headers] = await Promise.all([
    client.zrange(`${key}:search`, '0', '-1'),
    client.hgetall(`${key}:terms`),
    client.hgetall(`${key}:dead-terms`),
    client.hkeys(`${key}:contents`),
    client.hgetall(`${key}:headers`),
  ]);
  const members = [...Object.entries(own), ...Object.entries(ofDead)].flatMap(([id, terms]) =>
    terms.split(' ').map((term) => `${term} ${id}`),
  );
  expect(found.toSorted()).toEqual(members.toSorted());
  const rows = new Set(contents);
  expect(Object.keys(own).filter((id) => !rows.has(id))).toEqual([]);
  expect(Object.keys(ofDead).filter((id) => !rows.has(id) || !headers[id]?.startsWith('dead '))).toEqual([]);
}
