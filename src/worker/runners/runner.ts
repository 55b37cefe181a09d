// What the three places in which a task may run (threads, the main thread, processes of their own) have in common: the job
// that goes in, how a run ends, and how it is stopped. Bytes go in and come out; they are decoded where the handler runs.

import type { Soon } from '../../lifecycle.ts';
import type { KillCause, TaskError } from '../../protocol/task-error.ts';
import type { WaitRequest } from '../../store/waits.ts';
import type { ChildEnd } from '../../tasks/define.ts';
import type { TaskSettings } from '../../tasks/registry.ts';

export interface Runner {
  /**
   * Runs a job. When it shall stop, the handler's own signal fires; if it has not ended after a short grace, its thread
   * or process is ended, whatever it is doing. Never rejects.
   */
  run(job: Job, stop: StopSource): Soon<RunEnd>;
}

/** Told how long a handler has run, once it has ended, whichever way it did. */
export type OnRan = (job: Job, ranMs: number) => void;

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
  /** CBOR of what an earlier run has kept with `context.checkpoint`. */
  readonly checkpoint?: Uint8Array | undefined;
  /** What the wait of an earlier run has brought. */
  readonly waited?: WaitedBytes | undefined;
  /** What its needs have brought: name, how its source ended, CBOR of its result or error, one behind the other; of a step. */
  readonly needs?: readonly Uint8Array[] | undefined;
  /** W3C trace context of its span; missing while nothing is traced. */
  readonly traceparent?: string;
}

/** `Waited` as it goes to a handler. */
export interface WaitedBytes {
  readonly timedOut: boolean;
  /** CBOR. */
  readonly payload: Uint8Array | undefined;
  /** Those that it has waited for, in their order. */
  readonly children?: readonly ChildBytes[] | undefined;
}

/** `ChildEnd` as it goes to a handler. */
export interface ChildBytes {
  readonly id: string;
  readonly state: ChildEnd['state'];
  /** CBOR of its result or its error. */
  readonly value: Uint8Array | undefined;
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
  | {
      readonly kind: 'failed';
      readonly error: TaskError;
      readonly permanent: boolean;
      /** Milliseconds until the next attempt; as the options of the task say unless given. */
      readonly delayMs?: number | undefined;
    }
  /** The handler waits for something, and has no slot meanwhile. */
  | { readonly kind: 'suspended'; readonly wait: WaitRequest }
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

/** The run that a report or a request belongs to. */
export type RunOf = Pick<Job, 'queue' | 'id' | 'claim'>;

/** What a handler asks its worker for, and waits for. */
export type HandlerRequest =
  | {
      readonly kind: 'checkpoint';
      /** CBOR; empty = what was kept goes. */
      readonly value: Uint8Array;
    }
  | { readonly kind: 'token'; readonly name: string }
  | {
      readonly kind: 'spawn';
      /** `#` and the position of the child among those that have no key, or `=` and its key. */
      readonly key: string;
      /** CBOR of its type, its input and its options. */
      readonly call: Uint8Array;
      /** W3C trace context of the run. */
      readonly traceparent?: string | undefined;
    };

/** `refused` says why it was not done. */
export interface HandlerReply {
  readonly refused?: TaskError | undefined;
  /** What was asked for. */
  readonly value?: string | undefined;
}

/** Where what handlers say while they run goes. */
export interface HandlerLink {
  report(report: Report): void;
  /** Never rejects. */
  request(run: RunOf, request: HandlerRequest): Promise<HandlerReply>;
}

/** Adds that the handler was asked to stop before it ended. */
export function withStop(end: HandlerEnd, stop: Stop | undefined): HandlerEnd {
  return stop ? { ...end, stop } : end;
}

/** Why a running task is stopped from outside; each reason ends it differently. */
export type StopReason = 'timed-out' | 'cancelled' | 'lease-lost' | 'shutting-down';

export interface Stop {
  readonly reason: StopReason;
  /** Milliseconds from ending the thread, or asking a handler that then ended by itself, until it was gone. */
  readonly latencyMs: number;
}

/** Asks a run to stop. An `AbortSignal` would do the same, but making one costs more than running a short task. */
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
