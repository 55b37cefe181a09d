// Since when the next task of a lane has been ready.

import type { Redis } from 'ioredis';
import { LANES, type Lane } from '../protocol/lane.ts';
import { TASK_ID_CHARS } from '../protocol/names.ts';
import { timeOfTaskId } from '../protocol/task-id.ts';
import { toRecord } from '../protocol/to-record.ts';
import { keyOf, ledgerKey, type Place } from './keys.ts';
import { type Command, sendAll } from './pipeline.ts';
import { COLUMNS, readHeader, type TaskHeader } from './record.ts';

/** Milliseconds of the clock of Redis; `undefined`: it cannot be said. */
type Since = number | 'empty' | undefined;
export type LaneSince = Readonly<Record<Lane, Since>>;

/**
 * Entries of tasks that were cancelled or removed stay in their lane until a worker pops them. Behind one so many others are looked
 * at, in so many lanes.
 */
const ENTRIES = 50;
const MOST_LANES = 10;

/** A place, and what was found there before, when that still says something of the entries that it names. */
export interface AskedPlace {
  readonly place: Place;
  readonly before?: LaneLook | undefined;
}

/** What stands at the end of each lane, and since when it has been ready. */
export interface LaneLook {
  readonly entries: readonly (string | null)[];
  readonly since: LaneSince;
}

/**
 * For each place. A task is ready since it was accepted, was due, or came back, which was after its last claim.
 * One look costs a command a lane, and two or three more a place where the end of a lane is not what it was before.
 * @throws Error of ioredis
 */
export async function readySince(client: Redis, places: readonly AskedPlace[]): Promise<readonly LaneLook[]> {
  const tails = await sendAll(
    client,
    places.flatMap(({ place }) => LANES.map((lane): Command => ['lindex', ledgerKey(place, lane), -1])),
  );
  const all = places.map((asked, at) => {
    const entries = tails.slice(at * LANES.length, (at + 1) * LANES.length) as (string | null)[];
    return { entries, ...nextOf(asked, entries) };
  });
  const asked = all.filter(({ ids }) => ids.length > 0);
  const headers = (await sendAll(
    client,
    asked.map(({ place, ids }): Command => ['hmget', keyOf(place, COLUMNS.header), ...ids]),
  )) as (string | null)[][];
  for (const [at, one] of asked.entries()) one.headers = headers[at] ?? [];
  await readRest(client, asked);
  const behind = asked
    .flatMap((one) => one.lanes.map((lane) => ({ ...one, lane })))
    .filter(({ since, lane }) => since[lane] === undefined)
    .slice(0, MOST_LANES);
  const late = await Promise.all(behind.map((one) => lookBehind(client, one)));
  for (const [at, { since, lane }] of behind.entries()) since[lane] = late[at];
  return all.map(({ entries, since }) => ({ entries, since }));
}

/** The next tasks of a place of which nothing is known. */
interface Next {
  readonly place: Place;
  readonly lanes: readonly Lane[];
  readonly ids: readonly string[];
  headers: readonly (string | null)[];
  readonly since: Record<Lane, Since>;
}

/** @param entries at the end of each lane */
function nextOf({ place, before }: AskedPlace, entries: readonly (string | null)[]): Next {
  const since = toRecord(LANES, (lane): Since => {
    const at = LANES.indexOf(lane);
    if (entries[at] === null) return 'empty';
    return before?.entries[at] === entries[at] ? before?.since[lane] : undefined;
  });
  const lanes = LANES.filter((lane) => since[lane] === undefined);
  const ids = lanes.map((lane) => idOf(entries[LANES.indexOf(lane)] ?? ''));
  return { place, lanes, ids, headers: [], since };
}

/** One without a header is ready for the first time, and had no due time; but it may be gone. */
async function readRest(client: Redis, places: readonly Next[]): Promise<void> {
  const commands = places.flatMap(({ place, ids, headers }): Command[] => {
    const later = ids.filter((_, at) => headers[at]);
    const plain = ids.filter((_, at) => !headers[at]);
    const exist = plain.map((id): Command => ['hexists', keyOf(place, COLUMNS.content), id]);
    if (later.length > 0) exist.push(['hmget', keyOf(place, COLUMNS.due), ...later]);
    return exist;
  });
  const replies = await sendAll(client, commands);
  let at = 0;
  for (const { ids, headers, lanes, since } of places) {
    const plain = ids.filter((_, index) => !headers[index]);
    const exist = replies.slice(at, at + plain.length);
    at += plain.length;
    const dues = plain.length < ids.length ? [...(replies[at++] as (string | null)[])] : [];
    for (const [index, lane] of lanes.entries()) {
      const [id = '', text] = [ids[index], headers[index]];
      since[lane] = text
        ? sinceOf(id, readHeader(text), dues.shift() ?? null)
        : sinceOf(id, undefined, null, exist.shift() === 1);
    }
  }
}

async function lookBehind(
  client: Redis,
  { place, lane }: { readonly place: Place; readonly lane: Lane },
): Promise<Since> {
  const entries = await client.lrange(ledgerKey(place, lane), -ENTRIES, -1);
  const ids = entries.map(idOf).toReversed();
  if (ids.length === 0) return 'empty';
  const [headers, dues, ...exist] = (await sendAll(client, [
    ['hmget', keyOf(place, COLUMNS.header), ...ids],
    ['hmget', keyOf(place, COLUMNS.due), ...ids],
    ...ids.map((id): Command => ['hexists', keyOf(place, COLUMNS.content), id]),
  ])) as [(string | null)[], (string | null)[], ...number[]];
  for (const [at, id] of ids.entries()) {
    const text = headers[at];
    const since = sinceOf(id, text ? readHeader(text) : undefined, dues[at] ?? null, exist[at] === 1);
    if (since !== undefined) return since;
  }
  return undefined;
}

/** `undefined` when the task is not ready. */
function sinceOf(
  id: string,
  header: TaskHeader | undefined,
  due: string | null,
  exists = true,
): number | undefined {
  if (!exists || (header && header.state !== 'ready')) return undefined;
  return Math.max(header?.acceptedAt ?? timeOfTaskId(id), Number(due ?? 0), header?.startedAt ?? 0);
}

/** An entry of a ledger is the id, or the id and the claims. */
function idOf(entry: string): string {
  return entry.slice(0, TASK_ID_CHARS);
}
