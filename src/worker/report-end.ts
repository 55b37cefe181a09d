// What the log says of runs that have not succeeded.

import type { Log } from '../log.ts';
import type { ErrorCause, TaskError } from '../protocol/task-error.ts';
import type { ClaimedTask, OutcomeWord } from '../store/consumer.ts';

/** A run that has ended. */
export interface EndedRun {
  readonly task: ClaimedTask;
  readonly type: string;
  /** `undefined`: its options could not be read. */
  readonly maxAttempts: number | undefined;
  /** How long the task is kept once it has ended; `undefined` = as long as the fleet keeps tasks. */
  readonly resultTtlMs?: number | undefined;
}

/** How a run that has not succeeded counts. */
export interface Verdict {
  readonly word: Exclude<OutcomeWord, 'succeeded'>;
  /** None for runs that are given back. */
  readonly error?: TaskError;
  /** Milliseconds until the task runs again, for `retry` and `postponed`. */
  readonly delayMs?: number;
}

/**
 * An attempt that failed is logged with its error, as a warning when the task runs again, as an error when it is dead.
 * Stacks are logged at the level `debug`.
 * @param verdict `undefined`: the task belongs to another worker now
 */
export function reportEnd(log: Log, run: EndedRun, verdict: Verdict | undefined): void {
  const { task, type, maxAttempts } = run;
  const which = { task: task.id, queue: task.queue, type };
  if (!verdict) {
    log.warn({ ...which, claim: task.claim }, 'stopped: another worker holds this task now');
    return;
  }
  const { word, error, delayMs } = verdict;
  const attempt = { attempt: task.failures + 1, maxAttempts };
  const why = error && { error: loggedError(error, log.isLevelEnabled('debug')) };
  switch (word) {
    case 'retry':
      log.warn(
        { ...which, ...attempt, retryInMs: delayMs, ...why },
        'an attempt failed, the task runs again',
      );
      break;
    case 'dead':
      log.error({ ...which, ...attempt, ...why }, 'an attempt failed, the task is dead');
      break;
    case 'crashed':
      log.warn(
        { ...which, crashes: task.crashes + 1, ...why },
        'the task took down the process that it ran in',
      );
      break;
    case 'postponed':
    case 'cancelled':
    case 'released':
      if (log.isLevelEnabled('debug'))
        log.debug({ ...which, outcome: word, delayMs, ...why }, 'the task ended');
      break;
  }
}

/** Without the members that matter to a record only. */
function loggedError({ name, message, code, stack, cause, errors }: ErrorCause, withStack: boolean): object {
  return {
    name,
    message,
    code,
    stack: withStack ? stack : undefined,
    cause: cause && loggedError(cause, withStack),
    errors: errors?.map((one) => loggedError(one, withStack)),
  };
}
