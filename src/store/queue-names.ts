// How many queues there may be. Callers name them, each costs every look for a task by its id, and none ever goes away.

import type { Redis } from 'ioredis';
import { PopfleetError } from '../protocol/errors.ts';
import { QUEUES_KEY } from './keys.ts';

export interface QueueNames {
  /**
   * Asks whether tasks may be sent to a queue: to those that are there, and to new ones while there are not too many.
   * @returns a promise unless the queue is there for certain; it rejects with PopfleetError `queue-full`
   */
  demand(queue: string): Promise<void> | undefined;
}

/** Until then a task that was let through has reached Redis, or never will (a dry run, a refusal). */
const LET_THROUGH_MS = 10_000;
/** What was seen is looked at anew after this long: Redis may have been emptied or replaced by an older copy. */
const FRESH_MS = 2_500;
/** Queues do not go away by themselves: a caller need not hurry. */
const RETRY_AFTER_SECONDS = 60;

/** Makes queues known, so that their tasks are found. @throws Error of ioredis */
export async function registerQueues(client: Redis, queues: readonly string[]): Promise<void> {
  await client.sadd(QUEUES_KEY, ...queues);
}

/**
 * @param most queues there may be
 * @param now milliseconds of a clock that never goes back
 */
export function createQueueNames(
  client: Redis,
  most: number,
  now: () => number = () => performance.now(),
): QueueNames {
  /** Those that were there at the last look. */
  let known: ReadonlySet<string> = new Set();
  let seenAt = Number.NEGATIVE_INFINITY;
  /** New ones, by when the way was free for their first task. */
  const letThrough = new Map<string, number>();

  /** Keeps of the new ones those that Redis does not have yet. */
  function forget(): void {
    for (const [name, at] of letThrough) {
      if (known.has(name) || now() - at > LET_THROUGH_MS) letThrough.delete(name);
    }
  }

  async function look(queue: string): Promise<void> {
    const names = await client.smembers(QUEUES_KEY).catch(() => undefined);
    // When Redis does not answer, nothing is refused here: the command that sends the task fails then.
    if (!names) return;
    known = new Set(names);
    seenAt = now();
    forget();
    if (known.has(queue) || letThrough.has(queue)) return;
    const count = known.size + letThrough.size;
    if (count < most) {
      letThrough.set(queue, now());
      return;
    }
    throw new PopfleetError('queue-full', 'No more queues may be made (MAX_QUEUES). Use one that is there.', {
      retryAfterSeconds: RETRY_AFTER_SECONDS,
    });
  }

  return {
    demand(queue) {
      if (!known.has(queue)) return look(queue);
      if (now() - seenAt > FRESH_MS) {
        // In the background, and once: requests of known queues never wait for it.
        seenAt = now();
        void look(queue).catch(() => undefined);
      }
      return undefined;
    },
  };
}
