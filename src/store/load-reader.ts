// Reads what the load of a queue is judged by: what waits and runs, and how that has changed in the last minutes.

import type { Redis } from 'ioredis';
import { DUE_SOON_MS, type QueueLoad } from '../protocol/wanted-workers.ts';
import { readAnnouncement } from './announcement.ts';
import { type Place, placesOf } from './keys.ts';
import { oldestReadyMs } from './oldest-ready.ts';
import { readSample, readSamples, type Sample } from './sample.ts';
import { runScript } from './scripts.ts';
import { throwStoreError } from './store-error.ts';

/** The load of a queue, and the workers that serve it. */
export interface LoadReading extends QueueLoad {
  readonly workers: number;
  /** Tasks that these run at the same time. */
  readonly slots: number;
  /** How long the next task of a lane has been ready at most, in seconds; 0 when none is; `undefined`: not known. */
  readonly oldestReadySeconds: number | undefined;
}

/** Rates are taken over these times, and the highest counts: soon after a rise, and for some time after a fall. */
const WINDOWS_MS = [60_000, 300_000];
/** Every 10 s there is at most one (sweep/series.lua); the oldest window and one more. */
const SAMPLES = 32;

interface PlaceLoad {
  /** Milliseconds of the place's own clock. */
  readonly now: number;
  readonly ready: number;
  readonly running: number;
  readonly dueSoon: number;
  readonly arrivalsPerSecond: number;
  /** Within the longest window. */
  readonly runs: number;
  readonly runMs: number;
  readonly slotsOfLast: number;
  readonly concurrency: readonly number[];
}

/**
 * @param client a connection of `openCommandConnection`
 * @throws PopfleetError `redis-unavailable`
 */
export async function readLoad(client: Redis, queue: string): Promise<LoadReading> {
  const all = placesOf(queue);
  const places = await Promise.all(all.map((place) => readPlace(client, place))).catch(throwStoreError);
  const sum = (part: (place: PlaceLoad) => number): number =>
    places.reduce((total, place) => total + part(place), 0);
  const runs = sum((place) => place.runs);
  // A worker serves all places of its queue.
  const concurrency = places[0]?.concurrency ?? [];
  const slots = concurrency.reduce((total, one) => total + one, 0);
  const waiting = all.flatMap((place, at) => {
    const { now = 0, ready = 0 } = places[at] ?? {};
    return ready > 0 ? [{ place, now }] : [];
  });
  const oldestMs = await oldestReadyMs(client, waiting).catch(throwStoreError);
  return {
    ready: sum(({ ready }) => ready),
    running: sum(({ running }) => running),
    dueSoon: sum(({ dueSoon }) => dueSoon),
    arrivalsPerSecond: sum(({ arrivalsPerSecond }) => arrivalsPerSecond),
    runSeconds: runs === 0 ? undefined : sum(({ runMs }) => runMs) / runs / 1_000,
    workers: concurrency.length,
    slots,
    slotsPerWorker: slots > 0 ? slots / concurrency.length : Math.max(1, places[0]?.slotsOfLast ?? 1),
    oldestReadySeconds: oldestMs === undefined ? undefined : oldestMs / 1_000,
  };
}

type LoadReply = readonly [
  now: Buffer,
  counts: readonly (Buffer | null)[],
  samples: readonly Buffer[],
  dueSoon: number,
  slotsOfLast: Buffer,
  announced: readonly Buffer[],
];

async function readPlace(client: Redis, place: Place): Promise<PlaceLoad> {
  const reply = (await runScript(client, 'load', place, [SAMPLES, DUE_SOON_MS])) as LoadReply;
  const [now, values, samples, dueSoon, slotsOfLast, announced] = reply;
  const current = readSample([String(now), ...values.map((value) => String(value ?? '0'))]);
  const history = readSamples(samples.map(String));
  const names = announced.filter((_, at) => at % 2 === 0);
  const since = history.findLast(({ at }) => at >= current.at - Math.max(...WINDOWS_MS)) ?? current;
  return {
    now: current.at,
    ready: current.ready,
    running: current.running,
    dueSoon,
    arrivalsPerSecond: Math.max(...WINDOWS_MS.map((ms) => arrivalRate(current, history, ms))),
    ...runsBetween(since, current),
    slotsOfLast: Number(slotsOfLast.toString()) || 0,
    concurrency: names.map(
      (name, at) => readAnnouncement(name.toString(), announced[2 * at + 1]).concurrency ?? 1,
    ),
  };
}

/** Runs that became ready: those that were claimed, and those that wait now beyond those that waited then. */
function arrivalRate(current: Sample, history: readonly Sample[], windowMs: number): number {
  // While nothing changes there are no samples: the newest one that is old enough says how it was.
  const begin = history.find(({ at }) => at <= current.at - windowMs) ?? history.at(-1);
  if (!begin) return 0;
  const arrived = current.totals.started + current.ready - begin.totals.started - begin.ready;
  const ms = Math.min(windowMs, current.at - begin.at);
  return ms <= 0 ? 0 : Math.max(0, (arrived * 1_000) / ms);
}

/** How many runs have ended between two moments, and how long tasks have run in that time. */
function runsBetween(begin: Sample, end: Sample): { runs: number; runMs: number } {
  const runs = end.totals.started - end.running - (begin.totals.started - begin.running);
  return { runs: Math.max(0, runs), runMs: Math.max(0, end.totals.runningMs - begin.totals.runningMs) };
}
