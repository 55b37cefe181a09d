// The index of a queue beside what stands in its rows.

import type { Redis } from 'ioredis';
import { expect } from 'vitest';
import { createOperator } from '../../src/store/operator.ts';
import { sendAll } from '../../src/store/pipeline.ts';
import { queueKey } from './queue-key.ts';

/** A hash of a queue, by task. */
type Columns = Readonly<Record<string, string>>;

/** Expects that tasks are found by exactly the terms that their rows have, and by those of dead letters only when they are dead. */
export async function expectIndexed(client: Redis, queue = 'default'): Promise<void> {
  const key = queueKey(queue);
  // One write for all: it is asked for at every step of every world.
  const [found, own, ofDead, contents, headers] = (await sendAll(client, [
    ['zrange', `${key}:search`, '0', '-1'],
    ['hgetall', `${key}:terms`],
    ['hgetall', `${key}:dead-terms`],
    ['hkeys', `${key}:contents`],
    ['hgetall', `${key}:headers`],
  ])) as [string[], Columns, Columns, string[], Columns];
  const members = [...Object.entries(own), ...Object.entries(ofDead)].flatMap(([id, terms]) =>
    terms.split(' ').map((term) => `${term} ${id}`),
  );
  expect(found.toSorted()).toEqual(members.toSorted());
  const rows = new Set(contents);
  const ofNoRow = Object.keys(own).filter((id) => !rows.has(id));
  const ofNoDead = Object.keys(ofDead).filter((id) => !rows.has(id) || !headers[id]?.startsWith('dead '));
  expect({ ofNoRow, ofNoDead }).toEqual({ ofNoRow: [], ofNoDead: [] });
}

/**
 * Expects that every task is found by what it came with, and by its error when it is dead; then removes all, and expects that nothing is
 * left of it.
 * @param terms what each task came with, of those that had any
 */
export async function removeAllIndexed(
  client: Redis,
  queue: string,
  terms: ReadonlyMap<string, string>,
  ids: readonly string[],
): Promise<void> {
  const key = queueKey(queue);
  const [contents, own, ofDead, headers] = await Promise.all([
    client.hkeys(`${key}:contents`),
    client.hgetall(`${key}:terms`),
    client.hkeys(`${key}:dead-terms`),
    client.hgetall(`${key}:headers`),
  ]);
  const rows = new Set(contents);
  expect(own).toEqual(Object.fromEntries([...terms].filter(([id]) => rows.has(id))));
  // One that is pinned while it is deleted leaves the list of dead letters before its row goes.
  const dead = Object.keys(headers).filter((id) => headers[id]?.startsWith('dead '));
  expect(ofDead.toSorted()).toEqual(dead.toSorted());
  const operator = createOperator(client);
  for (const id of ids) await operator.remove(queue, id);
  expect(await client.exists(`${key}:search`, `${key}:terms`, `${key}:dead-terms`)).toBe(0);
}
