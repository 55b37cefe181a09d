// The record of a task: a hash whose short field names are spelled out here and nowhere else. Scripts receive this map.

import { DEFAULT_LANE, type Lane } from '../protocol/lane.ts';
import { isTaskState, type TaskState } from '../protocol/task-state.ts';

/** Short, because a field name is stored with every task. Times are milliseconds of the Redis clock. */
export const FIELDS = {
  message: 'm',
  /** Missing while the task is `ready` for the first time: most queued tasks carry message and acceptance alone. */
  state: 's',
  /** Missing in the normal lane. */
  lane: 'l',
  /** How often the task was claimed: the token that every write of a worker carries. */
  claims: 'c',
  /** Failures of the handler: what counts against `maxAttempts`. */
  failures: 'f',
  /** Workers lost while they ran the task. */
  crashes: 'n',
  worker: 'w',
  accepted: 'a',
  due: 'd',
  started: 'b',
  finished: 'z',
  result: 'r',
  error: 'e',
  /** Set when a running task shall be cancelled. */
  cancel: 'k',
  /** A task that was not started by then does not run any more. */
  expires: 'x',
  /** What the handler told last of its progress, CBOR. */
  progress: 'p',
  /** Bytes that a finished task keeps, as counted against the retention by size. */
  bytes: 'y',
} as const;

/** A task as it stands in Redis. Times are milliseconds of the Redis clock. */
export interface TaskRecord {
  readonly queue: string;
  readonly id: string;
  readonly state: TaskState;
  readonly lane: Lane;
  readonly message: Buffer;
  readonly claims: number;
  readonly failures: number;
  readonly crashes: number;
  readonly worker: string | undefined;
  readonly acceptedAt: number;
  readonly dueAt: number | undefined;
  readonly startedAt: number | undefined;
  readonly finishedAt: number | undefined;
  /** CBOR. */
  readonly result: Buffer | undefined;
  /** CBOR of a `TaskError`. */
  readonly error: Buffer | undefined;
  readonly expiresAt: number | undefined;
  /** When it was asked to be cancelled. */
  readonly cancelAt: number | undefined;
  /** CBOR of `{percent, note?}`. */
  readonly progress: Buffer | undefined;
}

/** Reads a hash of `HGETALL`; `undefined` when there is no such record. */
export function readRecord(queue: string, id: string, hash: Record<string, Buffer>): TaskRecord | undefined {
  const message = hash[FIELDS.message];
  if (!message) return undefined;
  const text = (field: keyof typeof FIELDS): string | undefined => hash[FIELDS[field]]?.toString();
  const number = (field: keyof typeof FIELDS): number | undefined => {
    const stored = text(field);
    return stored === undefined ? undefined : Number(stored);
  };
  const state = text('state') ?? 'ready';
  if (!isTaskState(state)) throw new TypeError(`task ${id} is in no known state: ${state}`);
  return {
    queue,
    id,
    state,
    lane: (text('lane') as Lane | undefined) ?? DEFAULT_LANE,
    message,
    claims: number('claims') ?? 0,
    failures: number('failures') ?? 0,
    crashes: number('crashes') ?? 0,
    worker: text('worker'),
    acceptedAt: number('accepted') ?? 0,
    dueAt: number('due'),
    startedAt: number('started'),
    finishedAt: number('finished'),
    result: hash[FIELDS.result],
    error: hash[FIELDS.error],
    expiresAt: number('expires'),
    cancelAt: number('cancel'),
    progress: hash[FIELDS.progress],
  };
}
