// What has happened in queues over the last minutes, hours or day, in steps of equal length, from the samples that sweeps keep.

import type { Redis } from 'ioredis';
import { LRUCache } from 'lru-cache';
import { toRecord } from '../protocol/to-record.ts';
import { keyOf, type Place, placesOf } from './keys.ts';
import { sendAll } from './pipeline.ts';
import { readSample, readSamples, type Sample } from './sample.ts';
import { SPAN_FIELDS, type SpanField } from './spans.ts';
import { throwStoreError } from './store-error.ts';
import { COUNT_FIELDS } from './totals.ts';

interface Range {
  readonly stepMs: number;
  readonly steps: number;
  /** Which samples it is made of, and the time between two of them while something changes. */
  readonly key: 'series' | 'series-minutes';
  readonly everyMs: number;
  /** How many of these are read, and how many are kept at most. */
  readonly samples: number;
  readonly kept: number;
  /** Readers within this time share what was read. */
  readonly freshMs: number;
}

const SECONDS = { key: 'series', everyMs: 10_000, kept: 360 } as const;
const MINUTES = { key: 'series-minutes', everyMs: 60_000, kept: 1_440 } as const;

export const RANGES = {
  '10m': { ...SECONDS, stepMs: 10_000, steps: 60, samples: 63, freshMs: 1_500 },
  '1h': { ...SECONDS, stepMs: 30_000, steps: 120, samples: 360, freshMs: 5_000 },
  '24h': { ...MINUTES, stepMs: 300_000, steps: 288, samples: 1_440, freshMs: 30_000 },
} as const satisfies Record<string, Range>;
export type RangeName = keyof typeof RANGES;

/** Totals that are told by how much they grow within a step. */
const GROWING = {
  accepted: ({ totals }) => totals.accepted,
  succeeded: ({ totals }) => totals.endedSucceeded,
  /** Attempts that are followed by another one. */
  failed: ({ totals }) => totals.failed,
  dead: ({ totals }) => totals.endedDead,
  cancelled: ({ totals }) => totals.endedCancelled,
  started: ({ totals }) => totals.started,
  /** Runs that have ended. */
  ran: ({ totals, running }) => totals.started - running,
  readyMs: ({ totals }) => totals.readyMs,
  runningMs: ({ totals }) => totals.runningMs,
} as const satisfies Record<string, (sample: Sample) => number>;

/** Numbers that are told as they are at the end of a step. */
const LEVELS = {
  scheduled: ({ scheduled }) => scheduled,
  ready: ({ ready }) => ready,
  running: ({ running }) => running,
} as const satisfies Record<string, (sample: Sample) => number>;

/** They grow as well. */
const SPAN_COLUMNS = toRecord(SPAN_FIELDS, (field) => {
  const at = SPAN_FIELDS.indexOf(field);
  return ({ spans }: Sample): number => spans[at] ?? 0;
});

type Column = keyof typeof GROWING | keyof typeof LEVELS | SpanField;
const READ: Readonly<Record<Column, (sample: Sample) => number>> = { ...GROWING, ...LEVELS, ...SPAN_COLUMNS };
const COLUMNS = Object.keys(READ) as readonly Column[];

/** One number a step; `undefined` where it is not known. */
type Columns = Readonly<Record<Column, readonly (number | undefined)[]>>;

export interface Series {
  readonly stepMs: number;
  /** End of the last whole step, in milliseconds of the clock of Redis. */
  readonly until: number;
  /** When it was read: the last value is of this moment, or of the few seconds before. */
  readonly at: number;
  readonly columns: Columns;
}

/** The latest rates are those of this time: a shorter one would show the noise of a moment. */
const SHORTEST_MS = 5_000;
const MOST_KEPT = 1_000;
/** Samples never change, so those of the reading before are known: some 600 bytes each. */
const MOST_SAMPLES = 5_000;

/** @throws PopfleetError `redis-unavailable` */
export type ReadSeries = (queue: string, range: RangeName) => Promise<Series>;

/**
 * A reading costs Redis one pipeline a queue: 90 µs for ten minutes, 140 for an hour, 620 for a day, each with samples all the
 * time; and the server 1, 4 and 9 ms. Readers within a second or two (of longer ranges: more) share it.
 * @param client a connection of `openCommandConnection`
 */
export function createSeriesReader(client: Redis, now: () => number = () => performance.now()): ReadSeries {
  const seen = new LRUCache<string, { readonly at: number; readonly series: Promise<Series> }>({
    max: MOST_KEPT,
  });
  const parsed = new LRUCache<string, { readonly sample: Sample | undefined }>({
    max: MOST_SAMPLES,
    memoMethod: (text) => ({ sample: readSamples([text])[0] }),
  });
  const read: ReadSamples = (texts) =>
    texts.map((text) => parsed.memo(text).sample).filter((sample) => sample !== undefined);
  return (queue, range) => {
    const name = `${range} ${queue}`;
    const known = seen.get(name);
    if (known && now() - known.at <= RANGES[range].freshMs) return known.series;
    const series = readSeries(client, queue, RANGES[range], read).catch(throwStoreError);
    seen.set(name, { at: now(), series });
    // A failure is nothing to share with those that come later.
    series.catch(() => seen.delete(name));
    return series;
  };
}

type ReadSamples = (texts: readonly string[]) => readonly Sample[];

async function readSeries(client: Redis, queue: string, range: Range, read: ReadSamples): Promise<Series> {
  const [seconds, micros] = await client.time();
  const at = Math.floor(Number(seconds) * 1_000 + Number(micros) / 1_000);
  const places = await Promise.all(placesOf(queue).map((place) => readPlace(client, place, range, at, read)));
  const until = Math.floor(at / range.stepMs) * range.stepMs;
  const { stepMs } = range;
  return addSeries(
    places.map((samples) => ({ stepMs, until, at, columns: columnsOf(samples, range, until, at) })),
  );
}

type PlaceReplies = readonly [samples: string[], counts: (string | null)[], skew: [string | null]];

/** Samples by the clock of Redis, the newest first; the first is how it is now. */
async function readPlace(
  client: Redis,
  place: Place,
  { key, samples, kept, everyMs }: Range,
  at: number,
  read: ReadSamples,
): Promise<readonly Sample[]> {
  const [texts, counts, [skew]] = (await sendAll(client, [
    ['lrange', keyOf(place, key), 0, samples - 1],
    ['hmget', keyOf(place, 'count'), ...COUNT_FIELDS],
    ['hmget', keyOf(place, 'queue'), 'skew'],
  ])) as unknown as PlaceReplies;
  const aheadMs = Number(skew ?? 0);
  const past = read(texts);
  const current = readSample([String(at + aheadMs), ...counts.map((value) => value ?? '0')]);
  const all = [current, ...past];
  // Before the first sample that was ever taken there was nothing.
  const oldest = all.at(-1);
  if (texts.length < Math.min(samples, kept) && oldest) all.push(readSample([String(oldest.at - everyMs)]));
  const whole = withRests(all, everyMs);
  return aheadMs === 0 ? whole : whole.map((sample) => withTime(sample, sample.at - aheadMs));
}

function withTime(sample: Sample, at: number): Sample {
  return { ...sample, at };
}

/** While nothing changes there are no samples: what is new in the next one has happened in the time just before. */
function withRests(samples: readonly Sample[], everyMs: number): readonly Sample[] {
  return samples.flatMap((sample, index) => {
    const newer = samples[index - 1];
    if (!newer || newer.at - sample.at <= 2 * everyMs) return [sample];
    return [restOf(sample, newer.at - everyMs), sample];
  });
}

/** The same counts later: what waits and runs has gone on doing so. */
function restOf(sample: Sample, at: number): Sample {
  const ms = at - sample.at;
  const { totals } = sample;
  const readyMs = totals.readyMs + ms * sample.ready;
  const runningMs = totals.runningMs + ms * sample.running;
  return { ...sample, at, totals: { ...totals, readyMs, runningMs } };
}

/** @param samples the newest first */
function columnsOf(
  samples: readonly Sample[],
  { steps, stepMs }: Range,
  until: number,
  now: number,
): Columns {
  const ends = Array.from({ length: steps + 1 }, (_, step) => until - (steps - step) * stepMs);
  const [atEnds, [atLast, atNow]] = [momentsAt(samples, ends), momentsAt(samples, [now - SHORTEST_MS, now])];
  return toRecord(COLUMNS, (name) => {
    const values = atEnds.map((moment) => moment?.[name]);
    if (name in LEVELS) return [...values.slice(1), atNow?.[name]];
    const grew = values.slice(1).map((value, index) => growth(values[index], value, stepMs));
    return [...grew, growth(atLast?.[name], atNow?.[name], SHORTEST_MS)];
  });
}

type Moment = Readonly<Record<Column, number>>;

/**
 * Between two samples everything is taken to have grown evenly.
 * @param samples the newest first
 * @param times rising
 * @returns one a time; `undefined` before the first sample
 */
function momentsAt(samples: readonly Sample[], times: readonly number[]): readonly (Moment | undefined)[] {
  let index = samples.length - 1;
  return times.map((time) => {
    while (index > 0 && (samples[index - 1]?.at ?? 0) <= time) index -= 1;
    const older = samples[index];
    if (!older || older.at > time) return undefined;
    const newer = samples[index - 1] ?? older;
    const part = newer === older ? 0 : (time - older.at) / (newer.at - older.at);
    return toRecord(COLUMNS, (name) => {
      const read = READ[name];
      return read(older) + part * (read(newer) - read(older));
    });
  });
}

/** For each second; `undefined` also where the count has fallen: Redis was emptied, or an older copy took its place. */
function growth(before: number | undefined, after: number | undefined, ms: number): number | undefined {
  if (before === undefined || after === undefined || after < before) return undefined;
  return ((after - before) * 1_000) / ms;
}

/**
 * Several places or queues together. What was read a little earlier has its last steps told by its last value.
 * @param all of one range, at least one
 */
export function addSeries(all: readonly Series[]): Series {
  const newest = all.reduce((most, one) => (one.at > most.at ? one : most));
  const columns = toRecord(COLUMNS, (name) =>
    newest.columns[name].map((_, index) => {
      const values = all.flatMap((one) => {
        const shifted = index + (newest.until - one.until) / newest.stepMs;
        const value = one.columns[name][Math.min(shifted, one.columns[name].length - 1)];
        return value === undefined ? [] : [value];
      });
      return values.length === 0 ? undefined : values.reduce((sum, value) => sum + value, 0);
    }),
  );
  return { ...newest, columns };
}

/** Where there is no queue yet. @param at milliseconds since 1970 */
export function emptySeries(range: RangeName, at: number): Series {
  const { stepMs, steps } = RANGES[range];
  const columns = toRecord(COLUMNS, () => Array<undefined>(steps + 1).fill(undefined));
  return { stepMs, until: Math.floor(at / stepMs) * stepMs, at, columns };
}
