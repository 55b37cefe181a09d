// Thrown by a handler that cannot go on now, without anything having failed.

/** Runs the task again after a while. It counts as no failure, so it may be thrown as often as it takes. */
export class RetryLater extends Error {
  readonly delayMs: number;

  /** @param delayMs milliseconds until the task is due again */
  constructor(delayMs: number, message = 'asked to be tried again later') {
    super(message);
    if (!Number.isFinite(delayMs) || delayMs < 0)
      throw new RangeError('RetryLater takes milliseconds from 0 on');
    this.name = 'RetryLater';
    this.delayMs = Math.round(delayMs);
  }
}
