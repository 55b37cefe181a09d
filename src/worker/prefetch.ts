// How many tasks a worker holds beyond those it can run at the moment. None, unless its tasks are so short that fetching them
// takes longer than running them: the backlog belongs in Redis, where any worker may take it.

export interface Prefetch {
  /** Tasks that may be held at this moment, those that run included. */
  limit(): number;
  /** Tasks that a place may be given at once, to be run one after the other. */
  batchSize(): number;
  /** Whether what is taken ahead waits until Redis has heard that it may begin (`Ahead`): tiny tasks do not. */
  tellsFirst(): boolean;
  /** A task begins to run; the result is for `ended`. */
  started(): TimedRun;
  /** @param ranMs how long it ran; `undefined` when it did not */
  ended(run: TimedRun, ranMs: number | undefined): void;
  /**
   * A task found no place for too long and goes back: none is prefetched for a while, and none is taken until a place is free. That
   * may be the case by now: what runs on may run for hours, and a worker that waited for its end would leave its other places empty.
   */
  refused(): void;
}

export interface TimedRun {
  /** Milliseconds of `performance.now()`. */
  readonly begunAt: number;
}

/** Tasks that wait here may wait about this long. */
const WAIT_MS = 4;
/** However short they are. */
const MOST_PREFETCHED = 128;
/** Milliseconds. Shorter ones would have ended before Redis has heard that they begin: the worker would stand still meanwhile. */
const TOLD_FROM_MS = 0.25;
/** Weight of the latest run in the average of how long runs take. */
const WEIGHT = 0.1;
/** A single long run must not hide for long that all others are short. */
const LONGEST_COUNTED_MS = 1_000;

/** @param places tasks that can run at the same time */
export function createPrefetch(places: number, clock: () => number = () => performance.now()): Prefetch {
  const running = new Set<TimedRun>();
  let averageMs = Number.POSITIVE_INFINITY;
  let isFull = false;

  /** Places that are free, or will be soon: a run that lasts already is no short one. */
  function soonFree(): number {
    const now = clock();
    let lasting = 0;
    for (const { begunAt } of running) if (now - begunAt > WAIT_MS) lasting += 1;
    return places - lasting;
  }

  return {
    limit() {
      if (isFull) return running.size;
      if (averageMs > places * WAIT_MS) return places;
      return (
        places + Math.min(MOST_PREFETCHED, Math.floor((soonFree() * WAIT_MS) / Math.max(averageMs, 0.001)))
      );
    },

    batchSize: () => Math.max(1, Math.floor(WAIT_MS / averageMs)),

    tellsFirst: () => averageMs >= TOLD_FROM_MS,

    started() {
      const run = { begunAt: clock() };
      running.add(run);
      return run;
    },

    ended(run, ranMs) {
      running.delete(run);
      isFull = false;
      if (ranMs === undefined) return;
      const ms = Math.min(LONGEST_COUNTED_MS, ranMs);
      averageMs = averageMs === Number.POSITIVE_INFINITY ? ms : averageMs + (ms - averageMs) * WEIGHT;
    },

    refused() {
      isFull = running.size >= places;
      averageMs = Math.max(averageMs, LONGEST_COUNTED_MS);
    },
  };
}
