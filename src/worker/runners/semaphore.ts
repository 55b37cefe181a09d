// As many runs at the same time as there are places. Others wait in the order in which they came, and not for long.

import type { Soon } from '../../lifecycle.ts';
import type { Prefetch } from '../prefetch.ts';
import { type Job, type OnRan, type RunEnd, type Runner, startDeadline, type StopSource } from './runner.ts';

export interface Semaphore {
  readonly places: number;
  /** Places that are free. */
  available(): number;
  /** Takes a place when one is free. Else it takes one as soon as there is one, and calls `later` once. */
  tryAcquire(later: () => void): boolean;
  /**
   * Takes a place: at once when one is free (`true`), or when one becomes free.
   * @returns false when that took longer than `WAIT_LIMIT_MS`, or the task was stopped meanwhile
   */
  acquire(stop: StopSource): true | Promise<boolean>;
  release(): void;
}

/** Milliseconds. A task that was prefetched and finds no place for this long is better off with another worker. */
export const WAIT_LIMIT_MS = 20;

export function createSemaphore(places: number): Semaphore {
  let taken = 0;
  /** A callback for each that waits, the longest first. */
  const waiting = new Set<() => void>();
  const waitLimit = createWaitLimit<(acquired: boolean) => void>((settle) => settle(false));

  function tryAcquire(later: () => void): boolean {
    if (taken >= places) {
      waiting.add(later);
      return false;
    }
    taken += 1;
    return true;
  }

  function wait(stop: StopSource): Promise<boolean> {
    if (stop.reason) return Promise.resolve(false);
    return new Promise((resolve) => {
      const settle = (acquired: boolean): void => {
        waiting.delete(later);
        waitLimit.clear(settle);
        off();
        resolve(acquired);
      };
      const later = (): void => settle(true);
      const off = stop.onStop(() => settle(false));
      waitLimit.start(settle);
      tryAcquire(later);
    });
  }

  return {
    places,
    available: () => places - taken,
    tryAcquire,

    acquire(stop) {
      if (taken >= places) return wait(stop);
      taken += 1;
      return true;
    },

    release() {
      const [longest] = waiting;
      if (longest) {
        waiting.delete(longest);
        longest();
      } else taken -= 1;
    },
  };
}

export interface WaitLimit<T> {
  start(one: T): void;
  /** It waits no more. */
  clear(one: T): void;
}

/**
 * Limits the time for which many wait: with one timer for all, because the limit is the same for all.
 * @param passed called once for each that has waited for `limitMs` milliseconds
 */
export function createWaitLimit<T>(passed: (one: T) => void, limitMs: number = WAIT_LIMIT_MS): WaitLimit<T> {
  /** Since when (milliseconds of `performance.now()`), the longest first. */
  const waiting = new Map<T, number>();
  let timer: NodeJS.Timeout | undefined;

  function check(): void {
    timer = undefined;
    const now = performance.now();
    for (const [one, since] of waiting) {
      const leftMs = since + limitMs - now;
      if (leftMs > 0) {
        timer = setTimeout(check, leftMs);
        return;
      }
      waiting.delete(one);
      passed(one);
    }
  }

  return {
    start(one) {
      waiting.set(one, performance.now());
      timer ??= setTimeout(check, limitMs);
    },

    clear: (one) => void waiting.delete(one),
  };
}

/** @returns a runner whose jobs run when they have a place, and until their deadline */
export function limitRunner(runner: Runner, semaphore: Semaphore, prefetch: Prefetch, onRan?: OnRan): Runner {
  function begin(job: Job, stop: StopSource): Soon<RunEnd> {
    const timed = prefetch.started();
    const ranMs = (): number => performance.now() - timed.begunAt;
    const clearDeadline = job.timeoutMs === undefined ? undefined : startDeadline(job.timeoutMs, stop, ranMs);
    const over = (end?: RunEnd): void => {
      clearDeadline?.();
      const ms = ranMs();
      prefetch.ended(timed, ms);
      if (end && end.kind !== 'not-begun') onRan?.(job, ms);
      semaphore.release();
    };
    // A run that breaks gives its place back as well.
    const broke = (fault: unknown): never => {
      over();
      throw fault;
    };
    const ended = (end: RunEnd): RunEnd => {
      over(end);
      return end;
    };
    let running: Soon<RunEnd>;
    try {
      running = runner.run(job, stop);
    } catch (fault) {
      return broke(fault);
    }
    return running instanceof Promise ? running.then(ended, broke) : ended(running);
  }

  return {
    run(job, stop) {
      const acquired = semaphore.acquire(stop);
      if (acquired === true) return begin(job, stop);
      return acquired.then((inTime) => (inTime ? begin(job, stop) : { kind: 'not-begun' }));
    },
  };
}
