// Tells what a failed Redis command means: Redis is away, Redis is full, or a fault of this program.

import { ReplyError } from 'ioredis';
import { PopfleetError } from '../protocol/errors.ts';

/** Replies of a Redis that is there but cannot serve now; all of them pass. */
const PASSING =
  /^(LOADING|BUSY|READONLY|CLUSTERDOWN|TRYAGAIN|MASTERDOWN|UNBLOCKED|MOVED|ASK|NOREPLICAS|ERR max number)/;
const FULL = /^(OOM|MISCONF)/;

/**
 * True when the command may have run although it failed: no reply came, so its outcome is unknown.
 * A reply, even an error, says what happened.
 */
export function isReplyLost(error: unknown): boolean {
  return !(error instanceof ReplyError);
}

/** True when the command was refused because there is no connection: it has not run. */
export function isNotSent(error: unknown): boolean {
  return error instanceof Error && error.message.includes('enableOfflineQueue');
}

/** The error to show a caller for a failed command. Replies that name neither an outage nor a limit are faults of ours. */
export function toStoreError(error: unknown): PopfleetError {
  if (error instanceof PopfleetError) return error;
  const message = error instanceof Error ? error.message : String(error);
  if (FULL.test(message)) {
    return new PopfleetError('redis-full', 'Redis has no room left. Try again later.', {
      retryAfterSeconds: 5,
      cause: error,
    });
  }
  if (isReplyLost(error) || PASSING.test(message)) {
    return new PopfleetError('redis-unavailable', 'Redis does not answer. Try again in a moment.', {
      retryAfterSeconds: 1,
      cause: error,
    });
  }
  return new PopfleetError('internal', 'popfleet failed. The log of the server has the cause.', {
    cause: error,
  });
}
