// Tells whoever runs a task that it shall stop, and why. An AbortSignal would do the same, but making one for each task costs more
// than running a short one.

import type { StopReason } from './job.ts';

export class StopSource {
  #reason: StopReason | undefined;
  #listeners: Set<(reason: StopReason) => void> | undefined;

  /** Why it shall stop; the first reason stays. `undefined` as long as it may run. */
  get reason(): StopReason | undefined {
    return this.#reason;
  }

  stop(reason: StopReason): void {
    if (this.#reason !== undefined) return;
    this.#reason = reason;
    for (const listener of this.#listeners ?? []) listener(reason);
  }

  /** Calls the listener once it shall stop, at once when it shall already. @returns takes the listener away again */
  onStop(listener: (reason: StopReason) => void): () => void {
    if (this.#reason !== undefined) {
      listener(this.#reason);
      return () => undefined;
    }
    const listeners = (this.#listeners ??= new Set());
    listeners.add(listener);
    return () => void listeners.delete(listener);
  }
}

/** The error with which a handler's own signal fires. */
export function stopError(reason: StopReason): DOMException {
  return new DOMException(`the task was stopped: ${reason}`, 'AbortError');
}
