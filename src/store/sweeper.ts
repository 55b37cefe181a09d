// Runs the sweep of a queue: due tasks, lost workers, unclaimed pops, expiry, retention.

import type { Redis } from 'ioredis';
import { queueKey } from './keys.ts';
import { runScript } from './scripts.ts';

export interface SweepSettings {
  readonly leaseMs: number;
  /** Tasks that one sweep handles of each kind at most. */
  readonly slice: number;
  /** A popped message that nobody claimed is pushed again after this long. */
  readonly popGraceMs: number;
  /** Finished tasks are kept this long, unless they have a time of their own. */
  readonly retentionMs: number;
  /** Bytes that the finished tasks of a queue may keep; 0 = without limit. */
  readonly retentionBytes: number;
  /** Longest time between two sweeps. */
  readonly periodMs: number;
}

/** How many tasks each part of a sweep handled. */
export interface SweptCounts {
  readonly due: number;
  /** Tasks of lost workers given back. */
  readonly returned: number;
  /** Tasks that lost their third worker and are dead now. */
  readonly poisoned: number;
  /** Messages that were popped and never claimed. */
  readonly repaired: number;
  readonly expired: number;
  readonly removed: number;
}

export interface Swept {
  /** Milliseconds until the next sweep is due; 0 = there is more to do. */
  readonly nextMs: number;
  /** The time of day in Redis, in milliseconds since 1970. */
  readonly now: number;
  readonly counts: SweptCounts;
  /** Schedules with a tick to run. */
  readonly ticks: readonly DueTick[];
}

export interface DueTick {
  readonly name: string;
  /** Milliseconds since 1970. */
  readonly due: number;
}

/** @param client a connection of `openCommandConnection` */
export function createSweeper(client: Redis, settings: SweepSettings): (queue: string) => Promise<Swept> {
  const { leaseMs, slice, popGraceMs, retentionMs, retentionBytes, periodMs } = settings;
  return async (queue) => {
    const args = [leaseMs, slice, popGraceMs, retentionMs, retentionBytes, periodMs];
    const reply = await runScript(client, 'sweep', queueKey(queue), args);
    const [nextMs, now, counts, ticks] = reply as [number, number, number[], Buffer[]];
    const [due = 0, returned = 0, poisoned = 0, repaired = 0, expired = 0, removed = 0] = counts;
    return {
      nextMs,
      now,
      counts: { due, returned, poisoned, repaired, expired, removed },
      ticks: readTicks(ticks),
    };
  };
}

/** Flat: name, due time. */
function readTicks(flat: readonly Buffer[]): DueTick[] {
  const ticks: DueTick[] = [];
  for (let at = 0; at < flat.length; at += 2)
    ticks.push({ name: String(flat[at]), due: Number(flat[at + 1]) });
  return ticks;
}
