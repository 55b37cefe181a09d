// The handle of a task that a program has sent: its id, and `result` to wait for its end.

import { decodeStored } from './protocol/cbor.ts';
import { PopfleetError } from './protocol/errors.ts';
import type { Durability } from './protocol/options.ts';
import { readTaskError } from './protocol/task-error.ts';
import { invalidInput } from './protocol/validate.ts';
import type { TaskRecord } from './store/record.ts';

export interface TaskHandle<Result = unknown> {
  readonly id: string;
  /** True when the idempotency key has found the task that the same request made before. */
  readonly replayed: boolean;
  /** Where Redis had it, for a task that asked for a `durability`: less than that when it was not reached in time. */
  readonly durability: Durability | undefined;
  /**
   * Waits until the task has ended, for an event of Redis and without polling.
   * @param options.timeoutMs how long to wait, 0 to 24 days; 24 days by default
   * @returns the result of its handler, as JSON shows it; `undefined` when there was none
   * @throws PopfleetError `task-failed` (for good, with the error in `cause`), `task-cancelled`, `task-expired` (not started
   *   in time), `timed-out` (the task goes on), `not-found` (it has ended and is kept no longer), `redis-unavailable`
   *   (Redis is away: call again), `shutting-down` (`close` was called)
   */
  result(options?: { readonly timeoutMs?: number }): Promise<Result>;
}

/** The type of a value once it was stored: as JSON shows it. A Date is text then; byte strings stay as they are. */
export type Stored<Value> = 0 extends 1 & Value
  ? Value
  : Value extends string | number | boolean | null | undefined | Uint8Array
    ? Value
    : Value extends { toJSON(): infer Json }
      ? Stored<Json>
      : Value extends (...args: never[]) => unknown
        ? never
        : Value extends object
          ? { [Name in keyof Value]: Stored<Value[Name]> }
          : Value;

/** Waits for the end of a task, for at most this many milliseconds. @returns its record then */
type WaitForEnd = (
  task: { readonly id: string; readonly queue: string },
  ms: number,
) => Promise<TaskRecord | undefined>;

/** 24 days in milliseconds: no timer of Node waits for 25. */
export const LONGEST_WAIT_MS = 24 * 86_400_000;

/** @throws PopfleetError `invalid-input` for milliseconds that nobody can wait */
export function demandWait(timeoutMs: number): void {
  if (Number.isFinite(timeoutMs) && timeoutMs >= 0 && timeoutMs <= LONGEST_WAIT_MS) return;
  throw invalidInput([{ pointer: '#/timeoutMs', detail: `must be a number from 0 to ${LONGEST_WAIT_MS}` }]);
}

/** What is known of a task that was sent. */
interface Sent extends Pick<TaskHandle, 'id' | 'replayed' | 'durability'> {
  readonly queue: string;
}

/** A class, because one is made for each task: its methods exist once. */
export class SentTask implements TaskHandle<never> {
  readonly id: string;
  readonly replayed: boolean;
  readonly durability: Durability | undefined;
  readonly #queue: string;
  readonly #waitForEnd: WaitForEnd;

  constructor({ id, replayed, durability, queue }: Sent, waitForEnd: WaitForEnd) {
    this.id = id;
    this.replayed = replayed;
    this.durability = durability;
    this.#queue = queue;
    this.#waitForEnd = waitForEnd;
  }

  async result({ timeoutMs = LONGEST_WAIT_MS }: { readonly timeoutMs?: number } = {}): Promise<never> {
    demandWait(timeoutMs);
    const record = await this.#waitForEnd({ id: this.id, queue: this.#queue }, timeoutMs);
    return resultOf(this.id, record, timeoutMs) as never;
  }
}

function resultOf(id: string, record: TaskRecord | undefined, waitedMs: number): unknown {
  if (!record) {
    throw new PopfleetError('not-found', `There is no task ${id} any more: it has ended and was removed.`);
  }
  switch (record.state) {
    case 'succeeded':
      return record.result && decodeStored(record.result);
    case 'cancelled':
      throw new PopfleetError('task-cancelled', `Task ${id} was cancelled.`);
    case 'dead':
      throw failureOf(id, record);
    case 'waiting':
    case 'scheduled':
    case 'ready':
    case 'running':
    case 'moved':
    default:
      throw new PopfleetError(
        'timed-out',
        `Task ${id} has not ended within ${waitedMs} ms; it is ${record.state}.`,
      );
  }
}

function failureOf(id: string, { error }: TaskRecord): PopfleetError {
  const cause = error && readTaskError(error);
  // The error that a handler threw has a stack.
  if (cause?.name === 'Expired' && cause.stack === undefined) {
    return new PopfleetError('task-expired', `Task ${id} was not started in time.`, { cause });
  }
  const why = cause ? `${cause.name}: ${cause.message}` : 'its error is not known';
  return new PopfleetError('task-failed', `Task ${id} failed: ${why}`, { cause });
}
