// From the end of a run to its outcome. Pure: nothing here waits, logs or looks at a clock.

import { backoffMs } from '../protocol/backoff.ts';
import { encodeCbor } from '../protocol/cbor.ts';
import { fingerprintOf } from '../protocol/fingerprint.ts';
import type { RunOptions } from '../protocol/options.ts';
import { type KillCause, type TaskError, toTaskError } from '../protocol/task-error.ts';
import type { ClaimedTask, Outcome, OutcomeWord } from '../store/consumer.ts';
import { writeErrorGroup } from '../store/error-groups.ts';
import type { RunEnd, Stop } from './runners/runner.ts';

/** A task that was run, or was to be run. */
export interface RunTask {
  readonly task: ClaimedTask;
  readonly type: string;
  /** `undefined`: they could not be read. */
  readonly options: RunOptions | undefined;
  /** Milliseconds that the task is kept once it has ended; `undefined` = as long as the fleet keeps tasks. */
  readonly resultTtlMs: number | undefined;
  /** Of the code that runs it. */
  readonly version: string;
}

/** An outcome, and the error in its payload for the log. */
export interface RunOutcome extends Outcome {
  readonly error?: TaskError | undefined;
}

const NOTHING = Buffer.alloc(0);

/**
 * How a run counts.
 * @param random from 0 to 1, for the jitter of the next attempt
 * @returns `undefined`: the task belongs to another worker now
 */
export function outcomeOf(
  run: RunTask & { readonly options: RunOptions },
  end: RunEnd,
  random: () => number,
): RunOutcome | undefined {
  switch (end.kind) {
    case 'succeeded':
      // Also in spite of being asked to stop.
      return success(run, end.result);
    case 'snoozed':
      if (end.stop) return outcomeOfStop(run, end.stop, random);
      return toOutcome(run, 'snoozed', end.error, end.delayMs);
    case 'suspended':
      // A worker that stops need not run it again for that.
      if (end.stop && end.stop.reason !== 'shutting-down') return outcomeOfStop(run, end.stop, random);
      return { ...toOutcome(run, 'suspended'), payload: Buffer.from(JSON.stringify(end.wait)) };
    case 'failed':
      if (end.stop) return outcomeOfStop(run, end.stop, random);
      return failure(run, end.error, random, end.permanent, end.delayMs);
    case 'killed':
      return outcomeOfStop(run, end.stop, random);
    case 'not-begun':
      return toOutcome(run, 'unbegun');
    case 'displaced':
      return toOutcome(run, 'released');
    case 'thread-lost':
      return failure(run, { ...toTaskError(end.error), killCause: end.cause }, random);
    case 'process-lost':
      return toOutcome(run, 'crashed', { ...toTaskError(end.error), killCause: 'process-exit' });
  }
}

/** @param error none for tasks that are given back */
export function toOutcome(
  { task: { id, token, content }, resultTtlMs }: Pick<RunTask, 'task' | 'resultTtlMs'>,
  word: Exclude<OutcomeWord, 'succeeded'>,
  error?: TaskError,
  delayMs = 0,
): RunOutcome {
  const payload = error ? encodeCbor(error) : NOTHING;
  return { id, token, contentBytes: content.length, word, payload, delayMs, resultTtlMs, error };
}

function success({ task: { id, token, content }, resultTtlMs }: RunTask, result: Uint8Array): RunOutcome {
  const payload =
    result.length === 0 ? NOTHING : Buffer.from(result.buffer, result.byteOffset, result.byteLength);
  return { id, token, contentBytes: content.length, word: 'succeeded', payload, delayMs: 0, resultTtlMs };
}

function outcomeOfStop(
  run: RunTask & { readonly options: RunOptions },
  stop: Stop,
  random: () => number,
): RunOutcome | undefined {
  const killed = (killCause: KillCause, name: string, message: string): TaskError => ({
    name,
    message,
    killCause,
    killLatencyMs: Math.round(stop.latencyMs * 10) / 10,
  });
  switch (stop.reason) {
    case 'timed-out': {
      const message = `it ran longer than ${run.options.timeoutMs} ms`;
      return failure(run, killed('timeout', 'TimeoutError', message), random);
    }
    case 'cancelled':
      return toOutcome(run, 'cancelled', killed('cancel', 'Cancelled', 'it was cancelled while it ran'));
    case 'shutting-down':
      return toOutcome(run, 'released');
    case 'lease-lost':
      return undefined;
  }
}

/** @param error with its fingerprint */
export function dead(run: Omit<RunTask, 'options'>, error: TaskError): RunOutcome {
  return { ...toOutcome(run, 'dead', error), group: writeErrorGroup(run.type, error, run.version) };
}

/** A failure of the handler: it uses up an attempt. */
function failure(
  run: RunTask & { readonly options: RunOptions },
  error: TaskError,
  random: () => number,
  permanent = false,
  delayMs?: number,
): RunOutcome {
  const { task, type, options } = run;
  const failures = task.failures + 1;
  const marked = { ...error, fingerprint: fingerprintOf(type, error) };
  if (permanent || failures >= options.maxAttempts) return dead(run, marked);
  return toOutcome(run, 'failed', marked, delayMs ?? backoffMs(options.backoff, failures, random));
}
