// Thrown by a handler that cannot go on now, without anything having failed.

import { LONGEST_DELAY_MS } from '../protocol/instant.ts';

/** Runs the task again after a delay. It counts as no failure, so a handler may throw it any number of times. */
export class RetryLater extends Error {
  readonly delayMs: number;

  /**
   * @param delayMs milliseconds until the task is due again, at most a year
   * @throws RangeError when it is anything else
   */
  constructor(delayMs: number, message = 'asked to be tried again later') {
    super(message);
    if (!(delayMs >= 0 && delayMs <= LONGEST_DELAY_MS)) {
      throw new RangeError(`RetryLater takes milliseconds from 0 to ${LONGEST_DELAY_MS} (a year)`);
    }
    this.name = 'RetryLater';
    this.delayMs = Math.round(delayMs);
  }
}
