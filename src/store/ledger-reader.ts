// Reads what shows that a queue is whole: its counts, whether the messages of each lane and their copies agree, and what was put right.

import type { Redis } from 'ioredis';
import { LANES, type Lane } from '../protocol/lane.ts';
import { TASK_ID_CHARS } from '../protocol/names.ts';
import { TASK_STATES, type TaskState } from '../protocol/task-state.ts';
import { toRecord } from '../protocol/to-record.ts';
import { type Place, placesOf } from './keys.ts';
import { runScript } from './scripts.ts';
import { throwStoreError } from './store-error.ts';
import { addTotals, COUNT_FIELDS, type QueueTotals, totalsOf } from './totals.ts';

/** Times are milliseconds of the clock of Redis. */
export interface LedgerReading {
  readonly at: number;
  /** Tasks by state, and the sum they must add up to. */
  readonly counts: Readonly<Record<TaskState | 'accepted' | 'removed', number>>;
  readonly totals: QueueTotals;
  /** Messages that wait for a worker, and the copies of messages by which a lost one is found. */
  readonly lanes: Readonly<Record<Lane, { readonly messages: number; readonly copies: number }>>;
  /** Messages that were popped and not claimed when the last sweep looked: it pushes them again after a grace. */
  readonly unclaimed: number;
  /** Some of them. */
  readonly unclaimedTasks: readonly { readonly id: string; readonly since: number }[];
  /** The last sweep, and the next; `undefined` before the first. Of several places the earliest of each. */
  readonly sweptAt: number | undefined;
  readonly sweepAt: number | undefined;
}

const MOST_TOLD = 20;
const COUNTS = [...TASK_STATES, 'accepted', 'removed'] as const;

/**
 * @param client a connection of `openCommandConnection`
 * @throws PopfleetError `redis-unavailable`
 */
export async function readLedger(client: Redis, queue: string): Promise<LedgerReading> {
  const places = await Promise.all(placesOf(queue).map((place) => readPlace(client, place))).catch(
    throwStoreError,
  );
  const sum = (part: (place: LedgerReading) => number): number =>
    places.reduce((total, place) => total + part(place), 0);
  const earliest = (part: (place: LedgerReading) => number | undefined): number | undefined => {
    const times = places.map(part);
    return times.includes(undefined) ? undefined : Math.min(...(times as number[]));
  };
  return {
    at: Math.max(...places.map(({ at }) => at)),
    counts: toRecord(COUNTS, (name) => sum(({ counts }) => counts[name])),
    totals: addTotals(places.map(({ totals }) => totals)),
    lanes: toRecord(LANES, (lane) => ({
      messages: sum(({ lanes }) => lanes[lane].messages),
      copies: sum(({ lanes }) => lanes[lane].copies),
    })),
    unclaimed: sum(({ unclaimed }) => unclaimed),
    unclaimedTasks: places.flatMap(({ unclaimedTasks }) => unclaimedTasks).slice(0, MOST_TOLD),
    sweptAt: earliest(({ sweptAt }) => sweptAt),
    sweepAt: earliest(({ sweepAt }) => sweepAt),
  };
}

type LedgerReply = readonly [
  now: Buffer,
  counts: readonly (Buffer | null)[],
  lanes: readonly (readonly [messages: number, copies: number])[],
  sweeps: readonly (Buffer | null)[],
  unclaimed: number,
  told: readonly Buffer[],
];

async function readPlace(client: Redis, place: Place): Promise<LedgerReading> {
  const reply = (await runScript(client, 'ledger', place, [MOST_TOLD])) as LedgerReply;
  const [now, values, lengths, sweeps, unclaimed, told] = reply;
  const counts = Object.fromEntries(COUNT_FIELDS.map((field, at) => [field, String(values[at] ?? '0')]));
  const at = Number(now);
  const timeOf = (text: Buffer | null | undefined): number | undefined =>
    text === null || text === undefined ? undefined : Number(text);
  const entries = told.filter((_, index) => index % 2 === 0);
  return {
    at,
    counts: toRecord(COUNTS, (name) => Number(counts[name] ?? 0)),
    totals: totalsOf(counts, at),
    lanes: toRecord(LANES, (lane) => {
      const [messages, copies] = lengths[LANES.indexOf(lane)] ?? [0, 0];
      return { messages, copies };
    }),
    unclaimed,
    unclaimedTasks: entries.map((entry, index) => ({
      id: entry.toString().slice(0, TASK_ID_CHARS),
      since: Number(told[2 * index + 1]),
    })),
    sweptAt: timeOf(sweeps[0]),
    sweepAt: timeOf(sweeps[1]),
  };
}
