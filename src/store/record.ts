// A task as it stands in Redis: a row over a few hashes (columns), whose names are spelled out here and nowhere else.
// Scripts receive this map.

import { DEFAULT_LANE, type Lane, LANES } from '../protocol/lane.ts';
import { timeOfTaskId } from '../protocol/task-id.ts';
import type { TaskState } from '../protocol/task-state.ts';
import type { ToldRow } from './event-entry.ts';

/** Each is `pf:{queue}:<name>`, a hash from task id to value. A task has only the values that it needs. */
export const COLUMNS = {
  /** The message without id and version. Without it there is no such task. */
  content: 'contents',
  /** What changes with each move, as words. Missing while the task is `ready` for the first time in the normal lane. */
  header: 'headers',
  /** CBOR. */
  result: 'results',
  /** CBOR of a `TaskError`. */
  error: 'last-errors',
  expires: 'expires',
  due: 'due',
  /** When it was asked to be cancelled. */
  cancel: 'cancels',
  /** CBOR of `{percent, note?}`. */
  progress: 'progress',
  /** How many leases workers have lost while the task ran in a process of its own; only scripts read it. */
  lostLeases: 'lost-leases',
  /** How long it is kept once it has ended, in milliseconds, when its call or its type says so; only scripts read it. */
  resultTtl: 'result-ttls',
  /** How its latest attempts failed, one after the other. */
  errors: 'errors',
  /** How many lines its handler has logged; the lines stand in `log-lines`. */
  log: 'logs',
  /** What its handler has kept for the next run: CBOR. */
  checkpoint: 'checkpoints',
  /** What follows its end: base64 of CBOR (outbox.ts), with blanks between. */
  followers: 'followers',
  /** How often it has ended while something followed it, or was sent to another queue. */
  ends: 'ends',
  /** What it is found by (terms.ts): its tags and fields, with blanks between. */
  terms: 'terms',
  /** What it is found by as long as it is dead; only scripts read it. */
  deadTerms: 'dead-terms',
  /** What it needs before it runs, and what becomes of it when a need fails (lua/lib/needs.lua); only scripts read it. */
  needs: 'needs',
  /** How many of these are unmet, and bytes of what the others have brought. */
  unmet: 'unmet',
  /** Its times, as JSON: they count from when its last need is met. */
  starts: 'starts',
  /** What its handler may wait for (lua/lib/waits.lua): tokens, each with a digest of how it was asked for. */
  sources: 'sources',
  /** What its handler waits for, or has waited for last. */
  wait: 'waits',
  /** Of a step of a workflow: whether that holds it, its generation, home queue and id of the workflow, name of the step. */
  step: 'steps',
  /** The state that it will have in another queue, and that queue; only of one that is `moved`. */
  move: 'moves',
} as const;
type Column = keyof typeof COLUMNS;

/** Lines that are kept of a log, and how many stand in one field of `log-lines`. */
export const LOG_LINES_KEPT = 1_000;
export const LOG_LINES_A_CHUNK = 32;

/**
 * Bytes of Redis' memory that a finished task takes beside what it holds, so that the retention by size counts what Redis
 * uses: the entries of its content, its header and its place on a list, and one entry more for each further value.
 * Measured as the growth of `used_memory` a task on Redis 7.0.15 (jemalloc), 30,000 and 60,000 tasks.
 */
export const ROW_BYTES = 310;
export const VALUE_BYTES = 100;

/** What a finished task with nothing but a content and perhaps a result is counted as; end.lua counts all others. */
export function bytesKept(contentBytes: number, resultBytes: number): number {
  return ROW_BYTES + contentBytes + (resultBytes > 0 ? VALUE_BYTES + resultBytes : 0);
}

/** Read by scripts alone, or when they are asked for. */
const ONLY_ASKED_FOR: ReadonlySet<Column> = new Set([
  'lostLeases',
  'resultTtl',
  'errors',
  'log',
  'checkpoint',
  'deadTerms',
  'needs',
  'unmet',
  'starts',
  'sources',
  'wait',
  'move',
]);

/**
 * What goes with a task to another queue beside its header and its content, the first four in the order in which arrive.lua
 * reads them. What its handler has logged stays behind.
 */
export const CARRIED: readonly Column[] = [
  'due',
  'expires',
  'followers',
  'terms',
  'ends',
  'error',
  'errors',
  'progress',
  'lostLeases',
  'resultTtl',
  'checkpoint',
];

/** In the order in which read.lua answers them: all that a reader wants. */
export const COLUMN_ORDER = (Object.keys(COLUMNS) as readonly Column[]).filter(
  (name) => !ONLY_ASKED_FOR.has(name),
);
type ReadColumn = (typeof COLUMN_ORDER)[number];

/**
 * What the event of an end that somebody waits for has of a task, which has succeeded in its first run without a word of progress: all
 * but its content, which stays as it was when it was accepted.
 */
export const TOLD = COLUMN_ORDER.filter((name) => !['content', 'error', 'progress'].includes(name));

/** A task as it stands in Redis. Times are milliseconds of the Redis clock. */
export interface TaskRecord {
  readonly queue: string;
  readonly id: string;
  readonly state: TaskState;
  readonly lane: Lane;
  /** CBOR `[type, input, options?]`. */
  readonly content: Buffer;
  /** How often the task was claimed: the token that every write of a worker carries. */
  readonly claims: number;
  /** Failures of the handler: what counts against `maxAttempts`. */
  readonly failures: number;
  /** Workers lost while they ran the task. */
  readonly crashes: number;
  readonly worker: string | undefined;
  /** The time in its id, unless the clock of Redis was more than 100 ms away from it. */
  readonly acceptedAt: number;
  readonly dueAt: number | undefined;
  readonly startedAt: number | undefined;
  readonly finishedAt: number | undefined;
  /** Bytes of Redis' memory that a finished task takes, about, as counted against the retention by size. */
  readonly bytes: number;
  /** CBOR. */
  readonly result: Buffer | undefined;
  /** CBOR of a `TaskError`. */
  readonly error: Buffer | undefined;
  readonly expiresAt: number | undefined;
  /** When it was asked to be cancelled. */
  readonly cancelAt: number | undefined;
  /** CBOR of `{percent, note?}`. */
  readonly progress: Buffer | undefined;
  /** What follows its end, as `readFollowers` reads it. */
  readonly followers: string | undefined;
  /** How often it has ended while something followed it. */
  readonly ends: number;
  /** Its tags and fields, as `readTerms` reads them. */
  readonly terms: string | undefined;
  /** As `readStep` reads it; only of a step of a workflow. */
  readonly step: string | undefined;
}

/** What a task says as a step of a workflow. */
export interface StepOf {
  /** Until the workflow has ended its row stays. */
  readonly isHeld: boolean;
  readonly generation: number;
  /** The queue that has the record of the workflow. */
  readonly home: string;
  readonly workflow: string;
  readonly name: string;
}

/** @param text of the column `steps`, as lua/lib/steps.lua writes it; `undefined` when another program has spoilt it */
export function readStep(text: string): StepOf | undefined {
  const [held, generation, home, workflow, name] = text.split(' ');
  if (home === undefined || workflow === undefined || name === undefined) return undefined;
  return { isHeld: held === 'held', generation: Number(generation), home, workflow, name };
}

/** What a header says. */
export interface TaskHeader
  extends Pick<
    TaskRecord,
    'state' | 'claims' | 'failures' | 'crashes' | 'lane' | 'worker' | 'startedAt' | 'finishedAt' | 'bytes'
  > {
  /** `undefined`: the time in the id. */
  readonly acceptedAt: number | undefined;
}

/** Of a state that this release does not know. */
const STATE_CHARS = 32;

const NEW: TaskHeader = {
  state: 'ready',
  claims: 0,
  failures: 0,
  crashes: 0,
  lane: DEFAULT_LANE,
  acceptedAt: undefined,
  startedAt: undefined,
  worker: undefined,
  finishedAt: undefined,
  bytes: 0,
};

/**
 * Reads the words of a header, which header.lua writes: state, claims, failures, crashes, lane, accepted, started, worker,
 * for a finished task when it finished and the bytes it keeps, and `f` when it came with what follows it. 0 and `-` stand for nothing.
 * Never throws: one row that another program has spoilt must not hide the others.
 */
export function readHeader(text: string): TaskHeader {
  const [state = '', claims, failures, crashes, lane, accepted, started, worker, finished, bytes] =
    text.split(' ');
  return {
    // Readers show the word as it is: a later release may know more states.
    state: (state === '' ? 'unknown' : state.slice(0, STATE_CHARS)) as TaskState,
    claims: Number(claims) || 0,
    failures: Number(failures) || 0,
    crashes: Number(crashes) || 0,
    lane: LANES.find((one) => one === lane) ?? DEFAULT_LANE,
    acceptedAt: Number(accepted) || undefined,
    startedAt: Number(started) || undefined,
    worker: worker === '-' ? undefined : worker,
    finishedAt: Number(finished) || undefined,
    bytes: Number(bytes) || 0,
  };
}

/**
 * Reads the row of a task as the event of its end has it (lua/lib/told.lua).
 * @param content which is not in it
 * @returns `undefined` when it was written by a release that has other columns
 */
export function readToldRow({ queue, bytes }: ToldRow, content: Buffer): TaskRecord | undefined {
  const headEnd = bytes.indexOf('\n');
  const [id = '', columns, ...sizes] = bytes.toString('latin1', 0, headEnd).split(' ');
  if (Number(columns) !== TOLD.length) return undefined;
  const values = new Map([[COLUMNS.content as string, content]]);
  let at = headEnd + 1;
  for (const size of sizes) {
    const [name = '', length] = size.split('=');
    values.set(name, bytes.subarray(at, (at += Number(length))));
  }
  return readRecord(
    queue,
    id,
    COLUMN_ORDER.map((column) => values.get(COLUMNS[column])),
  );
}

/** Reads one row of read.lua; `undefined` when there is no such task. */
export function readRecord(
  queue: string,
  id: string,
  row: readonly (Buffer | null | undefined)[],
): TaskRecord | undefined {
  const value = (column: ReadColumn): Buffer | undefined => row[COLUMN_ORDER.indexOf(column)] ?? undefined;
  const time = (column: ReadColumn): number | undefined => {
    const stored = value(column);
    return stored && Number(stored.toString());
  };
  const content = value('content');
  if (!content) return undefined;
  const text = value('header')?.toString();
  const header = text === undefined ? NEW : readHeader(text);
  return {
    queue,
    id,
    ...header,
    content,
    acceptedAt: header.acceptedAt ?? timeOfTaskId(id),
    dueAt: time('due'),
    result: value('result'),
    error: value('error'),
    expiresAt: time('expires'),
    cancelAt: time('cancel'),
    progress: value('progress'),
    followers: value('followers')?.toString('latin1'),
    ends: Number(value('ends')?.toString() ?? 0) || 0,
    terms: value('terms')?.toString(),
    step: value('step')?.toString(),
  };
}
