// Servers sweep every queue that no worker sweeps: a queue needs none for its timeouts, its retention, and what follows the ends
// of its tasks. Only the ticks of schedules are left to workers.

import type { Service } from '../lifecycle.ts';
import { nameOf, type Place, placesOf } from '../store/keys.ts';
import { refusalOf } from '../store/protocol-number.ts';
import type { Swept } from '../store/sweeper.ts';

export interface SweepAllDeps {
  /** Names of all queues. */
  readonly queues: () => Promise<readonly string[]>;
  /** Sweeps of a place; one does nothing when the place was swept just now. */
  readonly sweepOf: (place: Place) => () => Promise<Swept>;
  /** Longest time from one look at all queues to the next, in milliseconds. */
  readonly everyMs: number;
}

/** Sweeps of one place in one look: with more to do than this the next look goes on. */
const SWEEPS_A_LOOK = 20;
/** Between two looks. */
const LEAST_WAIT_MS = 20;

export function createSweepAll({ queues, sweepOf, everyMs }: SweepAllDeps): Service {
  /** By the name of the place. `dueAt`: when it is to be swept, by `performance.now()`. */
  const known = new Map<string, { readonly sweep: () => Promise<Swept>; dueAt: number }>();
  let timer: NodeJS.Timeout | undefined;
  let looking: Promise<void> | undefined;
  let stopped = false;

  async function sweepPlace(place: Place): Promise<void> {
    const name = nameOf(place);
    const one = known.get(name) ?? { sweep: sweepOf(place), dueAt: 0 };
    known.set(name, one);
    for (let count = 0; count < SWEEPS_A_LOOK && one.dueAt <= performance.now() && !stopped; count += 1) {
      one.dueAt = performance.now() + (await sweepUnlessRefused(one.sweep));
    }
  }

  /** @returns milliseconds until the next sweep is due. A queue that another release keeps does not stand in the way of others */
  async function sweepUnlessRefused(sweep: () => Promise<Swept>): Promise<number> {
    try {
      return (await sweep()).nextMs;
    } catch (error) {
      if (refusalOf(error) === undefined) throw error;
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
