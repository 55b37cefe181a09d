// The entry of the log for a run that has ended.

import type { Log } from '../log.ts';
import { ownFrames } from '../protocol/fingerprint.ts';
import type { ErrorCause } from '../protocol/task-error.ts';
import type { RunOutcome, RunTask } from './outcome.ts';

/**
 * Logs an attempt that failed with its error, as a warning when the task runs again, as an error when it is dead. Whole
 * stacks are logged at the level `debug`, and so are runs that did not fail.
 * @param outcome `undefined`: the task belongs to another worker now
 */
export function logRunEnd(
  log: Log,
  { task, type, options }: RunTask,
  outcome: Pick<RunOutcome, 'word' | 'error' | 'delayMs'> | undefined,
): void {
  // The end of nearly all runs.
  if (outcome?.word === 'succeeded' && !log.isLevelEnabled('debug')) return;
  const which = { task: task.id, queue: task.queue, type };
  if (!outcome) {
    log.warn({ ...which, claim: task.claim }, 'stopped: another worker holds this task now');
    return;
  }
  const { word, error, delayMs } = outcome;
  const attempt = { attempt: task.failures + 1, maxAttempts: options?.maxAttempts };
  const why = error && { error: loggedError(error, log.isLevelEnabled('debug')) };
  switch (word) {
    case 'failed':
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
    case 'snoozed':
    case 'suspended':
    case 'succeeded':
    case 'cancelled':
    case 'released':
    case 'unbegun':
      log.debug({ ...which, outcome: word, delayMs: delayMs || undefined, ...why }, 'the task ended');
      break;
  }
}

/** Without the members that matter to a record only. */
function loggedError({ name, message, code, stack, cause, errors }: ErrorCause, withStack: boolean): object {
  return {
    name,
    message,
    code,
    ...(withStack ? { stack } : { at: ownFrames(stack ?? '')[0]?.slice('at '.length) }),
    cause: cause && loggedError(cause, withStack),
    errors: errors?.map((one) => loggedError(one, withStack)),
  };
}
