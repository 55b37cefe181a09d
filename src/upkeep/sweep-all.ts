// Servers sweep every queue that no worker sweeps: a queue needs none for its timeouts, its retention, and what follows the ends
// of its tasks. Only the ticks of schedules are left to workers.

import type { Service } from '../lifecycle.ts';
import type { Log } from '../log.ts';
import { nameOf, type Place, placesOf } from '../store/keys.ts';
import { refusalOf } from '../store/protocol-number.ts';
import { isOutage } from '../store/store-error.ts';
import type { Swept } from '../store/sweeper.ts';

export interface SweepAllDeps {
  /** Names of all queues. */
  readonly queues: () => Promise<readonly string[]>;
  /** Sweeps of a place; one does nothing when the place was swept just now. */
  readonly sweepOf: (place: Place) => () => Promise<Swept>;
  readonly log: Log;
  /** Longest time from one look at all queues to the next, in milliseconds. */
  readonly everyMs: number;
}

/** Sweeps of one place in one look: with more to do than this the next look goes on. */
const SWEEPS_A_LOOK = 20;
/** Between two looks. */
const LEAST_WAIT_MS = 20;

interface Known {
  readonly sweep: () => Promise<Swept>;
  /** When it is to be swept, by `performance.now()`. */
  dueAt: number;
  /** What the last sweep failed with. */
  logged: string | undefined;
}

export function createSweepAll({ queues, sweepOf, log, everyMs }: SweepAllDeps): Service {
  /** By the name of the place. */
  const known = new Map<string, Known>();
  let timer: NodeJS.Timeout | undefined;
  let looking: Promise<void> | undefined;
  let stopped = false;

  async function sweepPlace(place: Place): Promise<void> {
    const name = nameOf(place);
    const one: Known = known.get(name) ?? { sweep: sweepOf(place), dueAt: 0, logged: undefined };
    known.set(name, one);
    for (let count = 0; count < SWEEPS_A_LOOK && one.dueAt <= performance.now() && !stopped; count += 1) {
      one.dueAt = performance.now() + (await sweepOne(name, one));
    }
  }

  /**
   * A queue that another release keeps, or whose node is away, does not stand in the way of others.
   * @returns milliseconds until the next sweep is due
   */
  async function sweepOne(name: string, one: Known): Promise<number> {
    try {
      const { nextMs } = await one.sweep();
      one.logged = undefined;
      return nextMs;
    } catch (error) {
      const message = String(error);
      // Why Redis is away, its connection says; a release that keeps a queue is asked again without a word.
      if (!isOutage(error) && refusalOf(error) === undefined && one.logged !== message)
        log.warn({ err: error, place: name }, 'a queue cannot be swept, trying again');
      one.logged = message;
      return everyMs;
    }
  }

  async function look(): Promise<void> {
    const places = (await queues()).flatMap(placesOf);
    for (const place of places) {
      if (stopped) return;
      await sweepPlace(place);
    }
  }

  /** Looks again when the first place is due, and at the latest after `everyMs`: there may be new queues. */
  function lookLater(ms: number): void {
    if (stopped) return;
    timer = setTimeout(() => {
      looking = look().then(
        () => lookLater(Math.max(LEAST_WAIT_MS, Math.min(everyMs, soonestDue() - performance.now()))),
        // Redis is away: its connection logs that, and the next look comes.
        () => lookLater(everyMs),
      );
    }, ms);
  }

  function soonestDue(): number {
    let soonest = Number.POSITIVE_INFINITY;
    for (const { dueAt } of known.values()) soonest = Math.min(soonest, dueAt);
    return soonest;
  }

  return {
    async start() {
      lookLater(everyMs);
    },
    async stop() {
      stopped = true;
      clearTimeout(timer);
      await looking;
    },
  };
}
