// What the three places in which a task may run have in common: threads, the main thread, processes of their own.
// Bytes go in and come out; they are decoded and encoded where the handler runs.

import type { Soon } from '../../lifecycle.ts';
import type { KillCause, TaskError } from '../../protocol/task-error.ts';
import type { TaskSettings } from '../../tasks/registry.ts';
import type { Stop, StopSource } from './stop-source.ts';

export interface Runner {
  /**
   * Runs a job. When it shall stop, the handler's own signal fires; if it has not ended after a short grace, its thread
   * or process is ended, whatever it is doing. Never rejects.
   */
  run(job: Job, stop: StopSource): Soon<RunEnd>;
}

/** Given to every thread and process at its start. */
export interface RunnerSettings {
  readonly tasks: TaskSettings;
  /** Bytes that a result may have. */
  readonly resultLimitBytes: number;
  /** Megabytes of objects that a thread, or a process of its own, may keep. */
  readonly threadMemoryMb: number;
}

/** What a handler is run with. */
export interface Job {
  readonly queue: string;
  readonly id: string;
  readonly type: string;
  readonly claim: number;
  /** CBOR `[type, input, options?]`. */
  readonly content: Uint8Array;
  readonly attempt: number;
  /** Milliseconds that it may run. */
  readonly timeoutMs: number | undefined;
}

/** How a run has ended. */
export type RunEnd =
  | HandlerEnd
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

/** How a handler has ended by itself. */
export type HandlerEnd = { readonly report: Report | undefined; readonly stop?: Stop } & (
  | { readonly kind: 'succeeded'; readonly result: Uint8Array }
  /** `permanent`: the next attempt would fail in the same way. */
  | { readonly kind: 'failed'; readonly error: TaskError; readonly permanent: boolean }
  /** The handler asked to run again later, which is no failure. */
  | { readonly kind: 'snoozed'; readonly delayMs: number; readonly error: TaskError }
);

/** Progress and log lines of a handler since its last report. */
export interface Report {
  readonly queue: string;
  readonly id: string;
  readonly claim: number;
  readonly progress: { readonly percent: number; readonly note: string | undefined } | undefined;
  readonly lines: readonly string[];
}

/** Adds that the handler was asked to stop before it ended. */
export function withStop(end: HandlerEnd, stop: Stop | undefined): HandlerEnd {
  return stop ? { ...end, stop } : end;
}
