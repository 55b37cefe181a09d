// Works on operations: slice after slice, each so short that Redis has time for everybody else. It may end after any of them: the sweep
// names the operation, and whichever server sees that goes on where this one was.

import { delay } from '../lifecycle.ts';
import type { Log } from '../log.ts';
import { nameOf, type Place } from '../store/keys.ts';
import type { Turn } from '../store/operations.ts';
import { isOutage } from '../store/store-error.ts';

export interface OperatePlaces {
  /** Goes on with the operations of a place, unless somebody does. */
  soon(place: Place): void;
  /** Resolves when the slices that are under way have ended; no further one begins. */
  stop(): Promise<void>;
}

export interface OperatePlacesDeps {
  /** One slice, of about so many tasks. */
  readonly operate: (place: Place, most: number) => Promise<Turn>;
  /** Called with a place to whose outbox a slice has added. */
  readonly onEnd: (place: Place) => void;
  readonly log: Log;
}

/** Tasks of a slice: of the first one, of the smallest and of the largest. */
const FIRST = 50;
const FEWEST = 10;
const MOST = 500;
/**
 * Milliseconds of Redis that a slice should take: half of what it may. A slice of one task takes a quarter of a millisecond, so shorter
 * ones would spend most of their time on what each slice costs.
 */
const SLICE_MS = 1;
/** Between two slices others have so many times what the last one took, and at least this many milliseconds. */
const PAUSE_FACTOR = 6;
const LEAST_PAUSE_MS = 2;
/** Tasks of a slice that takes `SLICE_MS`, as measured with dead tasks that are deleted (docs/decisions/0029). */
const TASKS_A_SLICE = 25;
const SLICES_A_SECOND = 1_000 / (SLICE_MS * (1 + PAUSE_FACTOR));

export function createOperatePlaces({ operate, onEnd, log }: OperatePlacesDeps): OperatePlaces {
  const running = new Map<string, Promise<void>>();
  /** Names of places for which somebody has asked while they were worked on: there may be a new operation. */
  const wanted = new Set<string>();
  const stopping = new AbortController();

  async function run(place: Place): Promise<void> {
    for (let most = FIRST; !stopping.signal.aborted; ) {
      const began = performance.now();
      const turn = await operate(place, most);
      if (turn.word !== 'worked') return;
      if (turn.appended > 0) onEnd(place);
      // Redis from 7.2 on stops the clock of scripts: then the round trip counts, which is longer.
      const tookMs = turn.tookMs > 0 ? turn.tookMs : performance.now() - began;
      most = nextMost(most, turn.looked, tookMs);
      await delay(Math.max(turn.waitMs, LEAST_PAUSE_MS, PAUSE_FACTOR * tookMs), stopping.signal);
    }
  }

  function report(place: Place, error: unknown): void {
    // Why Redis is away, its connection says.
    if (!isOutage(error))
      log.warn({ err: error, ...place }, 'an operation failed, it is gone on with in a few seconds');
  }

  function soon(place: Place): void {
    const name = nameOf(place);
    if (stopping.signal.aborted) return;
    if (running.has(name)) {
      wanted.add(name);
      return;
    }
    wanted.delete(name);
    const ended = run(place)
      .catch((error: unknown) => report(place, error))
      .finally(() => {
        running.delete(name);
        if (wanted.has(name)) soon(place);
      });
    running.set(name, ended);
  }

  return {
    soon,
    async stop() {
      stopping.abort();
      await Promise.all(running.values());
    },
  };
}

/** Whole seconds that an operation needs for so many tasks, about, where it waits for nothing else. */
export function secondsFor(tasks: number): number {
  return Math.ceil(tasks / (TASKS_A_SLICE * SLICES_A_SECOND));
}

/**
 * Tasks of the next slice, so that it takes about `SLICE_MS`. It grows slowly and shrinks at once: what a task costs differs.
 * @param looked tasks that the last slice, of up to `most`, has looked at
 */
export function nextMost(most: number, looked: number, tookMs: number): number {
  const fits = looked === 0 ? most : (looked * SLICE_MS) / tookMs;
  return Math.round(Math.min(MOST, most * 1.25, Math.max(FEWEST, fits)));
}
