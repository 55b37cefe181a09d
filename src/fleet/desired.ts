// How many workers this machine shall have, from what the queues want.

import type { Redis } from 'ioredis';
import type { Config } from '../config/config.ts';
import { wantedWorkers } from '../protocol/wanted-workers.ts';
import { readLoad } from '../store/load-reader.ts';

type Goal = Pick<Config, 'fleetMin' | 'fleetMax'>;

/** A number that falls counts when it has been no higher for so long: a worker that ends takes time to come back. */
const SHRINKS_AFTER_MS = 60_000;

/** Between two readings that follow each other there is less time than this: else Redis has not said anything meanwhile. */
const LONGEST_GAP_MS = 20_000;

/**
 * @returns the number of workers that the queues want in all, as `GET /v1/scale` says it of each; `undefined` when Redis does not say
 */
export function createReading(
  client: Redis,
  queues: readonly string[],
  { fleetMax, fleetWaitSeconds }: Config,
): () => Promise<number | undefined> {
  const goal = { waitSeconds: fleetWaitSeconds, min: 0, max: fleetMax };
  return async () => {
    try {
      const loads = await Promise.all(queues.map((queue) => readLoad(client, queue)));
      return loads.reduce((sum, load) => sum + wantedWorkers(load, goal), 0);
    } catch {
      // The connection reports the outage.
      return undefined;
    }
  };
}

/**
 * @returns takes what was read at a moment (in milliseconds), and says how many there shall be: more at once, fewer after a while, in which
 *   times without readings do not count
 */
export function createDesired({ fleetMin, fleetMax }: Goal): (wanted: number, at: number) => number {
  let readings: { readonly wanted: number; readonly at: number }[] = [];
  return (wanted, at) => {
    const gapMs = at - (readings.at(-1)?.at ?? at);
    if (gapMs > LONGEST_GAP_MS) readings = readings.map((one) => ({ ...one, at: one.at + gapMs }));
    readings = [...readings.filter((one) => one.at > at - SHRINKS_AFTER_MS), { wanted, at }];
    const highest = Math.max(...readings.map((one) => one.wanted));
    return Math.min(fleetMax, Math.max(fleetMin, highest));
  };
}
