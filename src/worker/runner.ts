// What the places in which a task may run have in common: threads of the pool, processes of their own, the main thread.

import type { Soon } from '../lifecycle.ts';
import type { KillCause } from '../protocol/task-error.ts';
import type { Answer, Job, StopReason } from './job.ts';
import type { StopSource } from './stop-source.ts';

export type RunEnd =
  | { readonly kind: 'answered'; readonly answer: Answer; readonly stop: Stop | undefined }
  /** It did not end by itself after it was asked to. */
  | { readonly kind: 'killed'; readonly stop: Stop }
  /** The thread ended under the task: it exited, or ran out of memory. */
  | { readonly kind: 'thread-lost'; readonly cause: KillCause; readonly error: unknown }
  /** The process of its own ended under the task. */
  | { readonly kind: 'process-lost'; readonly error: Error }
  /** Its thread ended under it, because of an error that another task had left behind: it runs again. */
  | { readonly kind: 'displaced' }
  /** It was stopped before, or found no place in time. */
  | { readonly kind: 'not-begun' };

export interface Stop {
  readonly reason: StopReason;
  /** Milliseconds from ending the thread, or asking a handler that then ended by itself, until it was gone. */
  readonly latencyMs: number;
}

export interface Runner {
  /**
   * Runs a job. When it shall stop, the handler's own signal fires; if it has not ended after a short grace, its thread
   * or process is ended, whatever it is doing. Never rejects.
   */
  run(job: Job, stop: StopSource): Soon<RunEnd>;
}

/** How long a handler has to end by itself once its signal has fired. */
export const STOP_GRACE_MS = 200;
