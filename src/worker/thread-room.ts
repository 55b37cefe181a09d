// Which queues wait for a thread, in a worker with fewer threads than places. What a task needs is known only once it is claimed: so a queue
// whose task has found no thread brings only as many as there are threads free, for a while. Its tasks are not claimed and given
// back again and again, and those of other queues that need no thread run in the free places.

import type { Slots } from './slots.ts';

export interface ThreadRoom {
  /** How many tasks of a queue may be taken. */
  of(queue: string): number;
  /** A task of this queue has found no thread in time. */
  refused(queue: string): void;
  /** A task of this queue needs none. */
  spared(queue: string): void;
  /** Tasks have ended, and others were taken. */
  ended(): void;
}

/**
 * Milliseconds. Then as many are taken again as there are places: among them may be tasks that need no thread. If there was none the last
 * time, twice as long.
 */
const FIRST_MS = 1_000;
const LONGEST_MS = 30_000;

/** With a thread for each place a worker that has no thread has no place either. */
export const ROOM_FOR_ALL: ThreadRoom = {
  of: () => Number.POSITIVE_INFINITY,
  refused: () => undefined,
  spared: () => undefined,
  ended: () => undefined,
};

/**
 * @param threads 0 = none
 * @param onChange called when other queues may bring tasks than before
 */
export function createThreadRoom(
  { threads, concurrency }: { readonly threads: number; readonly concurrency: number },
  slots: Pick<Slots, 'held'>,
  onChange: () => void,
): ThreadRoom {
  if (threads === 0 || threads >= concurrency) return ROOM_FOR_ALL;
  /** Those whose tasks have found no thread, until this timer fires. */
  const short = new Map<string, NodeJS.Timeout>();
  /** How long they are so the next time, in milliseconds. */
  const nextMs = new Map<string, number>();
  let wasFull = false;

  function free(): number {
    const count = Math.max(0, threads - slots.held().filter(({ needsThread }) => needsThread).length);
    wasFull ||= count === 0;
    return count;
  }

  function over(queue: string): void {
    clearTimeout(short.get(queue));
    short.delete(queue);
    onChange();
  }

  return {
    of: (queue) => (short.has(queue) ? free() : Number.POSITIVE_INFINITY),

    refused(queue) {
      if (short.has(queue)) return;
      const ms = nextMs.get(queue) ?? FIRST_MS;
      nextMs.set(queue, Math.min(LONGEST_MS, 2 * ms));
      short.set(queue, setTimeout(() => over(queue), ms).unref());
      // A pop that waits there would bring the same task again.
      onChange();
    },

    spared(queue) {
      nextMs.delete(queue);
      // Those that waited for a thread have one.
      if (short.has(queue) && free() > 0) over(queue);
    },

    ended() {
      if (short.size === 0 || !wasFull || free() === 0) return;
      wasFull = false;
      onChange();
    },
  };
}
