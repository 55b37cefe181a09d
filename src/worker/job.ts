// What goes into a thread (or a process of its own) and what comes out of it: bytes both ways, decoded and encoded there.

import type { TaskError } from '../protocol/task-error.ts';
import type { TaskSettings } from '../tasks/registry.ts';

/** Given to every thread at its start. */
export interface RunnerSettings {
  readonly tasks: TaskSettings;
  /** Bytes that a result may have. */
  readonly resultLimitBytes: number;
  /** Megabytes of objects that a thread, or a process of its own, may keep. */
  readonly threadMemoryMb: number;
}

export interface Job {
  readonly queue: string;
  readonly id: string;
  readonly type: string;
  readonly claim: number;
  /** CBOR `[type, input, options?]`, in a buffer of its own. */
  readonly content: Uint8Array;
  readonly attempt: number;
  /** Milliseconds that it may run. */
  readonly timeoutMs: number | undefined;
}

export type Answer =
  | { readonly kind: 'result'; readonly result: Uint8Array; readonly told: Told | undefined }
  /** `permanent`: the next attempt would fail in the same way. */
  | {
      readonly kind: 'error';
      readonly error: TaskError;
      readonly permanent: boolean;
      readonly told: Told | undefined;
    }
  /** The handler asked for it: it is no failure. */
  | {
      readonly kind: 'later';
      readonly delayMs: number;
      readonly error: TaskError;
      readonly told: Told | undefined;
    };

/** What a handler has told since it was last passed on. */
export interface Told {
  readonly queue: string;
  readonly id: string;
  readonly claim: number;
  readonly progress: { readonly percent: number; readonly note: string | undefined } | undefined;
  readonly lines: readonly string[];
}

/** Why a running task is stopped from outside; each reason ends it differently. */
export type StopReason = 'timed-out' | 'cancelled' | 'lease-lost' | 'shutting-down';
