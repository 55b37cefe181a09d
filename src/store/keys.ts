// Names of all keys, and where they stand.

import { LANES, type Lane } from '../protocol/lane.ts';
import { CARRIED, COLUMN_ORDER, COLUMNS, TOLD } from './record.ts';

/** Set of queue names. It has no hash tag: only commands of their own touch it, never a script. */
export const QUEUES_KEY = 'pf:queues';

/**
 * Where tasks of a queue stand: all that one script call can touch. Its keys share a hash tag, and so a slot of a Redis
 * Cluster.
 */
export interface Place {
  readonly queue: string;
  /** Of the queue: there is one for now, 0. */
  readonly partition: number;
}

/** Where the probe tries what this user of Redis may do; no queue can have this name. */
export const PROBE_PLACE: Place = { queue: '-', partition: 0 };

/** Every place of a queue. What lists, counts, searches or operates on a queue does so over all of them. */
export function placesOf(queue: string): readonly Place[] {
  return [homeOf(queue)];
}

/** The place of a task. */
export function placeOf(queue: string, _id: string): Place {
  return homeOf(queue);
}

/** Where a queue keeps what it has once: its schedules and its event stream. */
export function homeOf(queue: string): Place {
  return { queue, partition: 0 };
}

/** Keys of a place beside the columns of its tasks. */
const OTHERS = [
  'queue',
  'control',
  'count',
  'events',
  'workers',
  'announced',
  'orders',
  'lost',
  'running',
  'holds',
  'begun',
  'hands',
  'idle',
  'unheard',
  'later',
  'unstarted',
  'done',
  'dead',
  'kept',
  'search',
  'error-groups',
  'error-groups-seen',
  'error-groups-ignored',
  'suspects',
  'awaited',
  'malformed',
  'log-lines',
  'need-values',
  'source-values',
  'wait-ends',
  'unconfirmed',
  'freed',
  'workflows',
  'workflow-states',
  'workflow-ends',
  'workflow-deadlines',
  'workflow-order',
  'workflow-ended',
  'workflow-keys',
  'workflow-drafts',
  'batches',
  'batch-states',
  'batch-bits',
  'batch-ends',
  'batch-reserved',
  'batch-deadlines',
  'batch-order',
  'batch-ended',
  'batch-keys',
  'outbox',
  'outbox-due',
  'outbox-ages',
  'pins',
  'marks',
  'idempotency',
  'idempotency-ends',
  'schedules',
  'ticks',
  'parked',
  'last-runs',
  'skipped',
  'operations',
  'operations-open',
  'operations-ended',
  'watched',
  'series',
  'series-minutes',
  'type-hours',
  // Of the probe.
  'hash',
  'list',
  'set',
  'sorted',
  'stream',
  'text',
] as const;
export type KeyName = (typeof COLUMNS)[keyof typeof COLUMNS] | (typeof OTHERS)[number];

/** What scripts write for one key: `Q.LAST_ERRORS` is `last-errors`. */
const SINGLE_KEYS = [...Object.values(COLUMNS), ...OTHERS].map(
  (name) => [name.toUpperCase().replaceAll('-', '_'), name] as const,
);
export const SCRIPT_KEYS: ReadonlyMap<string, string> = new Map(SINGLE_KEYS);

type KeyGroup = readonly (readonly [field: string, name: string])[];

/** What scripts write for several keys: a table from lane to key, or a list. */
export const SCRIPT_KEY_GROUPS: ReadonlyMap<string, KeyGroup> = new Map<string, KeyGroup>([
  ['READY', LANES.map((lane) => [lane, `ready:${lane}`])],
  ['LEDGER', LANES.map((lane) => [lane, `ledger:${lane}`])],
  /** Everything that goes with a task. */
  ['ROW', Object.values(COLUMNS).map((name, at) => [String(at + 1), name])],
  /** What read.lua answers of a task, in its order. */
  ['READ', COLUMN_ORDER.map((column, at) => [String(at + 1), COLUMNS[column]])],
  /** What the event of an end that somebody waits for has of a task. */
  ['TOLD', TOLD.map((column, at) => [String(at + 1), COLUMNS[column]])],
  /** What goes with a task to another queue. */
  ['CARRIED', CARRIED.map((column, at) => [String(at + 1), COLUMNS[column]])],
]);

/** Names a place among all others: its queue and its partition, with a blank between. */
export function nameOf({ queue, partition }: Place): string {
  return `${queue} ${partition}`;
}

/** A key of a place. */
export function keyOf(place: Place, name: KeyName): string {
  return prefixOf(place) + name;
}

export function readyKey(place: Place, lane: Lane): string {
  return `${prefixOf(place)}ready:${lane}`;
}

export function ledgerKey(place: Place, lane: Lane): string {
  return `${prefixOf(place)}ledger:${lane}`;
}

/** The channel that wakes those who sweep a place. */
export function wakeChannel(place: Place): string {
  return `${prefixOf(place)}wake`;
}

/** The channel over which a worker gets the tasks of a place that are handed to it. */
export function handChannel(place: Place, worker: string): string {
  return `${prefixOf(place)}hand-${worker}`;
}

/** What stands in front of the names of a place's keys. */
export function prefixOf({ queue }: Place): string {
  return `pf:{${queue}}:`;
}
