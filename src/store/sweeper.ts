// Runs the sweep of a queue: due tasks, lost workers, unclaimed pops, retention.

import type { Redis } from 'ioredis';
import { encodeCbor } from '../protocol/cbor.ts';
import { queueKey } from './keys.ts';
import { runScript } from './scripts.ts';

export interface SweepSettings {
  readonly leaseMs: number;
  /** Tasks that one sweep handles of each kind at most. */
  readonly slice: number;
  /** A popped message that nobody claimed is pushed again after this long. */
  readonly popGraceMs: number;
  /** Finished tasks are kept this long. */
  readonly retentionMs: number;
  /** Longest time between two sweeps. */
  readonly periodMs: number;
}

export interface Swept {
  /** Milliseconds until the next sweep is due; 0 = there is more to do. */
  readonly nextMs: number;
  readonly due: number;
  /** Tasks of lost workers given back. */
  readonly returned: number;
  /** Tasks that lost their third worker and are dead now. */
  readonly poisoned: number;
  /** Messages that were popped and never claimed. */
  readonly repaired: number;
  readonly removed: number;
}

const POISON_ERROR = encodeCbor({
  name: 'PoisonTask',
  message: 'the worker was lost three times while it ran this task',
});

/** @param client a connection of `openCommandConnection` */
export function createSweeper(client: Redis, settings: SweepSettings): (queue: string) => Promise<Swept> {
  const { leaseMs, slice, popGraceMs, retentionMs, periodMs } = settings;
  return async (queue) => {
    const args = [leaseMs, slice, popGraceMs, retentionMs, periodMs, POISON_ERROR];
    const reply = (await runScript(client, 'sweep', queueKey(queue), args)) as number[];
    const [nextMs = 0, due = 0, returned = 0, poisoned = 0, repaired = 0, removed = 0] = reply;
    return { nextMs, due, returned, poisoned, repaired, removed };
  };
}
