// How a run is stopped: for a reason, at its deadline, and by force when its handler goes on after the grace.

/** Why a running task is stopped from outside; each reason ends it differently. */
export type StopReason = 'timed-out' | 'cancelled' | 'lease-lost' | 'shutting-down';

export interface Stop {
  readonly reason: StopReason;
  /** Milliseconds from ending the thread, or asking a handler that then ended by itself, until it was gone. */
  readonly latencyMs: number;
}

/** Tells a run that it shall stop. An `AbortSignal` would do the same, but making one costs more than running a short task. */
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

/** Milliseconds that a handler has to end by itself once its signal has fired. */
export const STOP_GRACE_MS = 200;

export interface Stoppable {
  /** Asks the handler to end by itself. */
  ask(reason: StopReason): void;
  /** The grace is over: ends the run, whatever its handler does. */
  force(reason: StopReason): void;
}

/** Asks a run to end by itself when its source fires, and ends it by force when it has not after `STOP_GRACE_MS`. */
export class StopGrace {
  /** When it was asked, by `performance.now()`. */
  asked: { readonly reason: StopReason; readonly at: number } | undefined;
  #isOver = false;
  #timer: NodeJS.Timeout | undefined;
  readonly #off: (() => void) | undefined;

  constructor(stop: StopSource, run: Stoppable) {
    this.#off = stop.onStop((reason) => {
      run.ask(reason);
      if (this.#isOver) return;
      this.asked = { reason, at: performance.now() };
      this.#timer = setTimeout(() => run.force(reason), STOP_GRACE_MS);
    });
  }

  /** The run has ended. @returns why it was asked to end, and how long ago */
  end(): Stop | undefined {
    this.#isOver = true;
    clearTimeout(this.#timer);
    this.#off?.();
    return this.asked && { reason: this.asked.reason, latencyMs: performance.now() - this.asked.at };
  }
}

/**
 * Stops a run as `timed-out` once it has run for `timeoutMs`.
 * @param ranMs milliseconds that it has run so far, which may be fewer than have passed since this call
 * @returns takes the deadline back
 */
export function startDeadline(timeoutMs: number, stop: StopSource, ranMs: () => number): () => void {
  let timer: NodeJS.Timeout | undefined;
  const fireIn = (ms: number): void => {
    timer = setTimeout(() => {
      const leftMs = timeoutMs - ranMs();
      if (leftMs > 0) fireIn(leftMs);
      else stop.stop('timed-out');
    }, ms);
  };
  fireIn(timeoutMs);
  return () => clearTimeout(timer);
}
