// What goes into a thread and what comes out of it: bytes both ways, decoded and encoded in the thread.

import type { TaskSettings } from '../tasks/registry.ts';

/** Given to every thread at its start. */
export interface ThreadSettings {
  readonly tasks: TaskSettings;
}

export interface ThreadJob {
  /** The whole message of the task, in a buffer of its own. */
  readonly message: Uint8Array;
  readonly attempt: number;
}

/** Sent once at start: resolves when the thread has loaded its handlers. */
export const WARM_UP = 'warm-up';

export type ThreadAnswer =
  | { readonly ok: true; readonly result: Uint8Array }
  /** `error` is CBOR of a `TaskError`. */
  | { readonly ok: false; readonly error: Uint8Array; readonly permanent: boolean };
