// Which exit code stands for an error, and which word where the API has none for it.

import { ApiError, TaskCancelled, TaskFailed, WaitTimeout } from '../client/api-error.ts';
import { EXIT } from './exit-code.ts';
import { UsageError } from './usage-error.ts';

export function exitCodeOf(error: unknown): number {
  if (error instanceof UsageError) return EXIT.usage;
  if (error instanceof WaitTimeout) return EXIT.waitedTooLong;
  if (error instanceof TaskFailed || error instanceof TaskCancelled) return EXIT.failed;
  if (!(error instanceof ApiError)) return EXIT.failed;
  // Also one that was not sent, so that it has no status.
  return error.code === 'invalid-input' ? EXIT.rejected : exitCodeOfStatus(error.status);
}

/** The `code` of an error that is none of the API. */
export function wordOf(error: unknown): string {
  if (error instanceof UsageError) return 'usage';
  if (error instanceof WaitTimeout) return 'timed-out';
  if (error instanceof TaskFailed) return 'task-failed';
  return error instanceof TaskCancelled ? 'task-cancelled' : 'internal';
}

function exitCodeOfStatus(status: number): number {
  switch (status) {
    case 0:
    case 502:
    case 504:
      return EXIT.unreachable;
    case 401:
    case 403:
      return EXIT.denied;
    case 404:
    case 410:
      return EXIT.notFound;
    case 429:
    case 503:
      return EXIT.overLimit;
    default:
      return status >= 400 && status < 500 ? EXIT.rejected : EXIT.failed;
  }
}
