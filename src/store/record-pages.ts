// Pages of records that stand in their home queues, newest first: workflows and batches.

import type { Redis } from 'ioredis';
import { homeOf, type KeyName, keyOf, type Place } from './keys.ts';

/** What a page of records shall have. */
export interface RecordPage<State extends string> {
  /** Rows that it has at most. */
  readonly limit: number;
  /** Id behind which it begins. */
  readonly before?: string | undefined;
  /** In this state alone. */
  readonly state?: State | undefined;
  /** Those whose name begins so, whatever the case. */
  readonly name?: string | undefined;
}

export interface FoundRecords<Found> {
  readonly records: readonly Found[];
  /** Id behind which the next page begins; `undefined` when nothing is left. A page may end early: so many are looked at at most. */
  readonly next: string | undefined;
}

export interface Located {
  readonly id: string;
  readonly home: Place;
}

/** Records that one page looks at, at most. */
const LOOKED_AT = 1_000;
const LOOKED_AT_ONCE = 200;

/**
 * @param order key with the ids of all records of a queue
 * @param read reads records, and leaves out those that are not in the state, or not there
 * @throws Error of ioredis
 */
export async function readPage<
  State extends string,
  Found extends { readonly plan: { readonly id: string; readonly name?: string | undefined } },
>(
  client: Redis,
  order: KeyName,
  queues: readonly string[],
  { limit, before, state, name }: RecordPage<State>,
  read: (all: readonly Located[], state: State | undefined) => Promise<readonly (Found | undefined)[]>,
): Promise<FoundRecords<Found>> {
  const isFiltered = state !== undefined || name !== undefined;
  const atOnce = isFiltered ? LOOKED_AT_ONCE : limit;
  const records: Found[] = [];
  let last = before;
  for (let looked = 0; looked < LOOKED_AT; ) {
    const some = await idsBehind(client, order, queues, last, atOnce);
    for (const record of await read(some, state)) {
      if (!record || !isNamed(record.plan.name, name)) continue;
      records.push(record);
      if (records.length === limit) return { records, next: record.plan.id };
    }
    looked += some.length;
    last = some.at(-1)?.id;
    if (last === undefined || some.length < atOnce) return { records, next: undefined };
  }
  return { records, next: last };
}

/** Newest first. */
async function idsBehind(
  client: Redis,
  order: KeyName,
  queues: readonly string[],
  before: string | undefined,
  limit: number,
): Promise<readonly Located[]> {
  const range = before === undefined ? '+' : `(${before}`;
  const found = await Promise.all(
    queues.map(async (queue) => {
      const home = homeOf(queue);
      const ids = await client.zrevrangebylex(keyOf(home, order), range, '-', 'LIMIT', 0, limit);
      return ids.map((id) => ({ id, home }));
    }),
  );
  return found
    .flat()
    .sort((one, other) => (one.id < other.id ? 1 : -1))
    .slice(0, limit);
}

function isNamed(own: string | undefined, name: string | undefined): boolean {
  if (name === undefined) return true;
  return own?.toLowerCase().startsWith(name.toLowerCase()) ?? false;
}
