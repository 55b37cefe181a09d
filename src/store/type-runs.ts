// How the runs of each type have gone in the last day, as workers add it with their beats (lua/lib/type-runs.lua).

import type { Redis } from 'ioredis';
import { keyOf, placesOf } from './keys.ts';
import { SPAN_SECONDS } from './spans.ts';
import { throwStoreError } from './store-error.ts';

const HOUR_MS = 3_600_000;
const HOURS = 24;
const STEPS = SPAN_SECONDS.length + 1;

/** Of one type, over the last hours. */
export interface TypeRuns {
  readonly type: string;
  readonly failed: number;
  /** How many runs took how long, as `percentileMs` takes it. */
  readonly spans: readonly number[];
  /** How many runs ended in each hour, the newest last. */
  readonly hours: readonly number[];
}

export interface TypeRunsReading {
  /** When the newest hour began, in milliseconds since 1970. */
  readonly latestAt: number;
  /** In the order of their names. */
  readonly types: readonly TypeRuns[];
}

/**
 * Of all these queues together.
 * @param client a connection of `openCommandConnection`
 * @throws PopfleetError `redis-unavailable`
 */
export async function readTypeRuns(client: Redis, queues: readonly string[]): Promise<TypeRunsReading> {
  const [time, ...lists] = await Promise.all([
    client.time(),
    ...queues.flatMap(placesOf).map((place) => client.lrange(keyOf(place, 'type-hours'), 0, HOURS - 1)),
  ]).catch(throwStoreError);
  const newest = Math.floor((Number(time[0]) * 1_000) / HOUR_MS);
  const sums = new Map<string, { counts: number[]; hours: number[] }>();
  for (const { hour, type, counts } of lists.flat().flatMap(readEntry)) {
    // The clock of a queue may be a little ahead.
    const age = Math.max(0, newest - hour);
    if (age >= HOURS) continue;
    const sum = sums.get(type) ?? { counts: zeros(STEPS + 1), hours: zeros(HOURS) };
    sums.set(type, sum);
    for (const [at, count] of counts.entries()) {
      sum.counts[at] = (sum.counts[at] ?? 0) + count;
      if (at < STEPS) sum.hours[HOURS - 1 - age] = (sum.hours[HOURS - 1 - age] ?? 0) + count;
    }
  }
  const types = [...sums].sort(([one], [other]) => (one < other ? -1 : 1));
  return {
    latestAt: newest * HOUR_MS,
    types: types.map(([type, { counts, hours }]) => ({
      type,
      failed: counts[STEPS] ?? 0,
      spans: counts.slice(0, STEPS),
      hours,
    })),
  };
}

function zeros(length: number): number[] {
  return Array<number>(length).fill(0);
}

interface Entry {
  readonly hour: number;
  readonly type: string;
  readonly counts: readonly number[];
}

/** What another program has put there is left out. */
function readEntry(text: string): readonly Entry[] {
  const [, hour, json = ''] = /^(\d{1,9}) (.*)$/s.exec(text) ?? [];
  try {
    const types = Object.entries(JSON.parse(json) as Readonly<Record<string, unknown>>);
    return types.flatMap(([type, counts]) =>
      isCounts(counts) ? [{ hour: Number(hour), type, counts }] : [],
    );
  } catch {
    return [];
  }
}

function isCounts(value: unknown): value is readonly number[] {
  return Array.isArray(value) && value.length === STEPS + 1 && value.every((one) => Number.isFinite(one));
}
