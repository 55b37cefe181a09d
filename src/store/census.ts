// One look at all queues and at the memory of Redis, for metrics: a few pipelines of cheap commands, however many tasks there are.

import { isDeepStrictEqual } from 'node:util';
import type { Redis } from 'ioredis';
import { LANES, type Lane } from '../protocol/lane.ts';
import { TASK_STATES, type TaskState } from '../protocol/task-state.ts';
import { toRecord } from '../protocol/to-record.ts';
import { keyOf, nameOf, type Place, placesOf, QUEUES_KEY } from './keys.ts';
import { type Command, sendAll } from './pipeline.ts';
import { type LaneLook, type LaneSince, readySince } from './ready-since.ts';
import { memoryOfAll, type RedisMemory } from './redis-memory.ts';
import { throwStoreError } from './store-error.ts';
import { addTotals, haveOnlyGoneOn, type QueueTotals, totalsOf } from './totals.ts';

/** What stands in a queue now. Times are milliseconds. */
export interface QueueCensus {
  readonly queue: string;
  readonly isPaused: boolean;
  readonly tasks: Readonly<Record<TaskState, number>>;
  readonly totals: QueueTotals;
  /** Bytes of Redis that finished tasks take, about. */
  readonly bytes: number;
  /** Workers whose lease has not run out at the last sweep. */
  readonly workers: number;
  /** How long the task at the end of each lane has been ready; `undefined` when that cannot be said, 0 when the lane is empty. */
  readonly oldestReadyMs: Readonly<Record<Lane, number | undefined>>;
  /** Ends that wait to be followed, and how long the oldest has. */
  readonly outbox: { readonly length: number; readonly oldestMs: number };
}

export interface Census {
  /** By name; beyond `MOST_QUEUES` the last ones are left out. */
  readonly queues: readonly QueueCensus[];
  /** How many there are. */
  readonly queueCount: number;
  readonly memory: RedisMemory;
}

/** Each has some forty lines of metrics. */
export const MOST_QUEUES = 1_000;
/** Readers within this time share one look. */
const FRESH_MS = 1_000;
/** Others that wait for Redis get their turn in between. */
const PLACES_A_PIPELINE = 50;

/**
 * @param client a connection of `openCommandConnection`
 * @returns takes the census; rejects with PopfleetError `redis-unavailable`
 */
export function createCensus(
  client: Redis,
  now: () => number = () => performance.now(),
): () => Promise<Census> {
  let last: { readonly at: number; readonly census: Promise<Census> } | undefined;
  const known: KnownSince = new Map();
  return async () => {
    if (!last || now() - last.at > FRESH_MS) {
      const one = { at: now(), census: takeCensus(client, known).catch(throwStoreError) };
      last = one;
      // A failure is nothing to share with those that come later.
      one.census.catch(() => {
        if (last === one) last = undefined;
      });
    }
    return last.census;
  };
}

async function takeCensus(client: Redis, known: KnownSince): Promise<Census> {
  const [names, memory, time] = await Promise.all([
    client.smembers(QUEUES_KEY),
    memoryOfAll(client),
    client.time(),
  ]);
  const wall = Math.floor(Number(time[0]) * 1_000 + Number(time[1]) / 1_000);
  const listed = names.sort().slice(0, MOST_QUEUES);
  const places = listed.flatMap(placesOf);
  const found = new Map<string, PlaceCensus[]>(listed.map((queue) => [queue, []]));
  for (let at = 0; at < places.length; at += PLACES_A_PIPELINE) {
    const some = places.slice(at, at + PLACES_A_PIPELINE);
    const looks = await lookAt(client, some, wall, known);
    for (const [index, { queue }] of some.entries()) found.get(queue)?.push(looks[index] as PlaceCensus);
  }
  return {
    queues: listed.map((queue) => sumOf(queue, found.get(queue) ?? [])),
    queueCount: names.length,
    memory,
  };
}

type PlaceCensus = Omit<QueueCensus, 'queue'>;

/** What one place answers to `commandsFor`. */
type PlaceReplies = readonly [
  counts: Record<string, string>,
  queue: readonly [wall: string | null, skew: string | null, paused: string | null, followed: string | null],
  workers: number,
];

function commandsFor(place: Place): readonly Command[] {
  return [
    ['hgetall', keyOf(place, 'count')],
    ['hmget', keyOf(place, 'queue'), 'wall', 'skew', 'paused', 'followed'],
    ['zcard', keyOf(place, 'workers')],
  ];
}

/** By the name of a place: what stood at the ends of its lanes, and its counts at that time. */
type KnownSince = Map<string, { readonly counts: Record<string, string>; readonly look: LaneLook }>;

/**
 * Since when the next tasks of each place have been ready; `undefined` where nothing waits. What was read is as it was while the
 * counts of its place are the same, because each move changes some of them: then nothing is asked. While none of its tasks has left a
 * lane but by a claim, nor come back to the end of one, it is as it was of each lane that ends with the same entry.
 */
async function sinceOf(
  client: Redis,
  places: readonly Place[],
  replies: readonly PlaceReplies[],
  known: KnownSince,
): Promise<(LaneSince | undefined)[]> {
  const waiting = places
    .map((place, at) => ({ place, counts: replies[at]?.[0] ?? {}, before: known.get(nameOf(place)) }))
    .filter(({ counts }) => Number(counts['ready'] ?? 0) > 0);
  const changed = waiting.filter(
    ({ counts, before }) => !before || !isDeepStrictEqual(counts, before.counts),
  );
  const looks = await readySince(
    client,
    changed.map(({ place, counts, before }) => ({
      place,
      before: before && haveOnlyGoneOn(before.counts, counts) ? before.look : undefined,
    })),
  );
  const found = new Map(waiting.map(({ place, before }) => [place, before?.look.since]));
  for (const [at, { place, counts }] of changed.entries()) {
    const look = looks[at] as LaneLook;
    found.set(place, look.since);
    // What could not be said now is looked for again.
    if (LANES.every((lane) => look.since[lane] !== undefined)) known.set(nameOf(place), { counts, look });
    else known.delete(nameOf(place));
  }
  return places.map((place) => found.get(place));
}

/** @param wall the time of day in Redis */
async function lookAt(
  client: Redis,
  places: readonly Place[],
  wall: number,
  known: KnownSince,
): Promise<PlaceCensus[]> {
  const commands = places.map(commandsFor);
  const flat = await sendAll(client, commands.flat());
  let from = 0;
  const replies = commands.map(({ length }) => {
    from += length;
    return flat.slice(from - length, from) as unknown as PlaceReplies;
  });
  // Nothing more is asked of places where nothing waits, nor where nothing has ever followed a task and none goes to another queue.
  const since = await sinceOf(client, places, replies, known);
  const following = places.filter((_, at) => {
    const [counts, [, , , followed]] = replies[at] as PlaceReplies;
    return followed !== null || Number(counts['moved'] ?? 0) > 0;
  });
  const outboxes = await readOutboxes(client, following);
  return replies.map(([counts, [seen, skew, paused], workers], at) => {
    const [length, oldestEnd] = outboxes[following.indexOf(places[at] as Place)] ?? [0, undefined];
    const ageOf = (time: number): number => Math.max(0, wall + Number(skew) - time);
    return {
      isPaused: paused !== null,
      tasks: toRecord(TASK_STATES, (state) => Number(counts[state] ?? 0)),
      // As of the latest call.
      totals: totalsOf(counts, Number(seen) + Number(skew)),
      bytes: Number(counts['bytes'] ?? 0),
      workers,
      oldestReadyMs: toRecord(LANES, (lane) => {
        const found = since[at]?.[lane] ?? (since[at] ? undefined : 'empty');
        return found === 'empty' ? 0 : found && ageOf(found);
      }),
      outbox: {
        length,
        oldestMs: oldestEnd === undefined ? 0 : ageOf(oldestEnd),
      },
    };
  });
}

/** Of each place how many ends wait to be followed, and when the oldest was. */
async function readOutboxes(
  client: Redis,
  places: readonly Place[],
): Promise<(readonly [length: number, oldestAt: number | undefined])[]> {
  const replies = await sendAll(
    client,
    places.flatMap((place): Command[] => [
      ['zcard', keyOf(place, 'outbox-ages')],
      ['zrange', keyOf(place, 'outbox-ages'), 0, 0, 'WITHSCORES'],
    ]),
  );
  return places.map((_, at) => {
    const [, score] = replies[2 * at + 1] as readonly string[];
    return [Number(replies[2 * at]), score === undefined ? undefined : Number(score)];
  });
}

/** A worker serves all places of its queue. */
function sumOf(queue: string, places: readonly PlaceCensus[]): QueueCensus {
  const sum = (read: (one: PlaceCensus) => number): number =>
    places.reduce((total, one) => total + read(one), 0);
  const most = (read: (one: PlaceCensus) => number | undefined): number | undefined => {
    const known = places.map(read).filter((one) => one !== undefined);
    return known.length > 0 ? Math.max(...known) : undefined;
  };
  return {
    queue,
    isPaused: places.some(({ isPaused }) => isPaused),
    tasks: toRecord(TASK_STATES, (state) => sum(({ tasks }) => tasks[state])),
    totals: addTotals(places.map(({ totals }) => totals)),
    bytes: sum(({ bytes }) => bytes),
    workers: most(({ workers }) => workers) ?? 0,
    oldestReadyMs: toRecord(LANES, (lane) => most(({ oldestReadyMs }) => oldestReadyMs[lane])),
    outbox: {
      length: sum(({ outbox }) => outbox.length),
      oldestMs: most(({ outbox }) => outbox.oldestMs) ?? 0,
    },
  };
}
