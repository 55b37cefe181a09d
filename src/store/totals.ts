// What has happened in a queue so far, in all: from the numbers that the scripts keep in `pf:{q}:count` (docs/protocol.md, "Counts").

import { toRecord } from '../protocol/to-record.ts';
import { TASK_STATES, type TaskState } from '../protocol/task-state.ts';
import { SPAN_FIELDS } from './spans.ts';

/**
 * Sums of times count from here (milliseconds since 1970), so that they stay small: with ten million tasks in a state they fit
 * into the 64 bits of Redis until 2055.
 */
export const STAYS_FROM_MS = 1_750_000_000_000;

/** Things that happen rarely: each is a field of its own. */
const RARE = [
  'ended-dead',
  'ended-cancelled',
  'ended-unstarted',
  'failed',
  'snoozed',
  'released',
  'returned',
  'poisoned',
  'replayed',
  'stale',
  'repaired',
  'malformed',
  'dropped-ticks',
  'moved-in',
  'moved-out',
] as const;

/** All fields of `pf:{q}:count`. Samples keep values in this order: a new field is the last one. */
export const COUNT_FIELDS = [
  'accepted',
  ...TASK_STATES.filter((state) => state !== 'waiting'),
  'removed',
  'bytes',
  'ready-ms',
  'running-ms',
  ...RARE,
  'waiting',
  'suspended',
  ...SPAN_FIELDS,
  'claimed-ms',
  'malformed-dropped',
] as const;
type CountField = (typeof COUNT_FIELDS)[number];

/** Numbers since the queue came into being that only grow, but for `imbalance`. */
export interface QueueTotals {
  /** Those that came from other queues included. */
  readonly accepted: number;
  /** Claims: a task that is tried again is claimed again. */
  readonly started: number;
  /** How tasks ended. One that is replayed ends again. */
  readonly endedSucceeded: number;
  readonly endedDead: number;
  readonly endedCancelled: number;
  /** Of these, tasks that no worker ran at that time: cancelled or expired while they waited. */
  readonly endedUnstarted: number;
  /** Attempts that have failed and are followed by another one. */
  readonly failed: number;
  readonly snoozed: number;
  /** Runs that ended to wait for something without a slot. */
  readonly suspended: number;
  /** Given back by their workers. */
  readonly released: number;
  /** Given back after their worker, or process, was lost. */
  readonly returned: number;
  /** Dead, because they took down too many. */
  readonly poisoned: number;
  /** Dead tasks that were ready again, here or in another queue. */
  readonly replayed: number;
  readonly removed: number;
  /** Outcomes that were refused, because their tasks belonged to another worker by then. */
  readonly stale: number;
  /** Messages that were popped and never claimed, and pushed again. */
  readonly repaired: number;
  readonly malformed: number;
  readonly droppedTicks: number;
  /** Milliseconds that tasks have been ready, and running, all of them together. */
  readonly readyMs: number;
  readonly runningMs: number;
  /** `accepted` without the tasks of all states and those removed: always 0. */
  readonly imbalance: number;
}

/**
 * @param counts fields of `pf:{q}:count`, all read at one moment; one that is not there is 0
 * @param nowMs of the queue's own clock (`wall` and `skew` of `pf:{q}:queue`)
 */
export function totalsOf(counts: Readonly<Record<string, string>>, nowMs: number): QueueTotals {
  const read = (field: CountField): number => Number(counts[field] ?? 0);
  const inAll = (states: readonly TaskState[]): number => states.reduce((sum, state) => sum + read(state), 0);
  const dead = read('ended-dead');
  const cancelled = read('ended-cancelled');
  const back = read('failed') + read('snoozed') + read('suspended') + read('released') + read('returned');
  // Whatever has ended still stands there, was removed, or was replayed.
  const ended = inAll(['succeeded', 'dead', 'cancelled']) + read('removed') + read('replayed');
  return {
    // Those that went to other queues are no longer counted as accepted here.
    accepted: read('accepted') + read('moved-out'),
    // Whatever was claimed runs, has ended, or is back.
    started: read('running') + ended - read('ended-unstarted') + back,
    endedSucceeded: ended - dead - cancelled,
    endedDead: dead,
    endedCancelled: cancelled,
    endedUnstarted: read('ended-unstarted'),
    failed: read('failed'),
    snoozed: read('snoozed'),
    suspended: read('suspended'),
    released: read('released'),
    returned: read('returned'),
    poisoned: read('poisoned'),
    replayed: read('replayed'),
    removed: read('removed'),
    stale: read('stale'),
    repaired: read('repaired'),
    malformed: read('malformed'),
    droppedTicks: read('dropped-ticks'),
    readyMs: stayedMs(counts, 'ready', nowMs),
    runningMs: stayedMs(counts, 'running', nowMs),
    imbalance: read('accepted') - inAll(TASK_STATES) - read('removed'),
  };
}

/**
 * Whether between two readings tasks of a place were accepted, due, claimed, succeeded and removed, and nothing else: none that was
 * ready has ended or left without a claim, and none has come back.
 * @param before fields of `pf:{q}:count`
 */
export function haveOnlyGoneOn(
  before: Readonly<Record<string, string>>,
  now: Readonly<Record<string, string>>,
): boolean {
  return [...RARE, 'moved', 'suspended'].every((field) => before[field] === now[field]);
}

/** The totals of several places together. */
export function addTotals(places: readonly QueueTotals[]): QueueTotals {
  const names = Object.keys(totalsOf({}, STAYS_FROM_MS)) as (keyof QueueTotals)[];
  return toRecord(names, (name) => places.reduce((sum, totals) => sum + totals[name], 0));
}

/** Beyond what a number holds exactly. What another program has spoilt is 0. */
function toInteger(text = '0'): bigint {
  return /^-?\d+$/.test(text) ? BigInt(text) : 0n;
}

/** The sum has what each task that left has stayed, less the time at which each that is there has entered. */
function stayedMs(
  counts: Readonly<Record<string, string>>,
  state: 'ready' | 'running',
  nowMs: number,
): number {
  // Claims count once for both states: they leave the one and enter the other.
  const claimed = toInteger(counts['claimed-ms']);
  const sum = toInteger(counts[`${state}-ms`]) + (state === 'ready' ? claimed : -claimed);
  const there = toInteger(counts[state]);
  return Number(sum + there * BigInt(Math.round(nowMs - STAYS_FROM_MS)));
}
