// The errors of the client. Programs look at `code`; `message` is for people, and says what to do.

import type { TaskView } from './shapes.ts';

/** One fault of what was sent: a JSON Pointer fragment such as `#/input/one`, and the rule that it breaks. */
export interface Fault {
  readonly pointer: string;
  readonly detail: string;
}

interface ApiErrorParts {
  /** 0 when nothing was sent, or there was no answer. */
  readonly status: number;
  readonly code: string;
  readonly title?: string;
  readonly errors?: readonly Fault[];
  readonly requestId?: string | undefined;
  readonly retryAfterMs?: number | undefined;
  readonly cause?: unknown;
}

/**
 * The server refused a request, or gave no answer. `code` is that of the problem document (docs/protocol.md), which `invalid-input` is also for what
 * JSON cannot carry (`status` 0: it was not sent), or one of `unreachable` (no connection, or it broke), `no-answer` (not in time), `not-popfleet` (the answer is none of popfleet). What it has not is no member: it is printed with all.
 */
export class ApiError extends Error {
  /** HTTP status; 0 when nothing was sent, or there was no answer. */
  readonly status: number;
  readonly code: string;
  /** What the code means, the same for each of its errors. */
  readonly title: string;
  readonly errors: readonly Fault[];
  /** Finds the request in the log of the server. */
  declare readonly requestId: string | undefined;
  /** When to try again, in milliseconds. */
  declare readonly retryAfterMs: number | undefined;

  constructor(message: string, parts: ApiErrorParts) {
    super(message, parts.cause === undefined ? {} : { cause: parts.cause });
    this.name = 'ApiError';
    this.status = parts.status;
    this.code = parts.code;
    this.title = parts.title ?? '';
    this.errors = parts.errors ?? [];
    if (parts.requestId !== undefined) this.requestId = parts.requestId;
    if (parts.retryAfterMs !== undefined) this.retryAfterMs = parts.retryAfterMs;
  }
}

/** The task that was waited for is dead: it failed for good, or was not started in time. */
export class TaskFailed extends Error {
  readonly task: TaskView;

  constructor(task: TaskView) {
    super(`The task ${task.id} failed: ${task.error?.message ?? 'it is dead'}`);
    this.name = 'TaskFailed';
    this.task = task;
  }
}

/** The task that was waited for was cancelled. */
export class TaskCancelled extends Error {
  readonly task: TaskView;

  constructor(task: TaskView) {
    super(`The task ${task.id} was cancelled.`);
    this.name = 'TaskCancelled';
    this.task = task;
  }
}

/** The time to wait is over; the task, the workflow or the batch goes on. */
export class WaitTimeout extends Error {
  readonly id: string;

  constructor(id: string, what: 'task' | 'workflow' | 'batch' = 'task') {
    super(`The ${what} ${id} has not ended in time; it goes on.`);
    this.name = 'WaitTimeout';
    this.id = id;
  }
}

/** Whether another try may have a better end: there was no answer, or the server, or a proxy, is busy or away. */
export function isPassing(error: unknown): error is ApiError {
  return (
    error instanceof ApiError &&
    [0, 429, 502, 503, 504].includes(error.status) &&
    error.code !== 'not-popfleet' &&
    error.code !== 'invalid-input'
  );
}
