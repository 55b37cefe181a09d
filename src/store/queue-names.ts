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

/** @param most queues there may be */
export function createQueueNames(client: Redis, most: number): QueueNames {
  /** Those that are known to be there. */
  const known = new Set<string>();
  async function look(queue: string): Promise<void> {
    const names = await client.smembers(QUEUES_KEY).catch(() => undefined);
    // Redis that does not answer refuses nothing here: the command that sends the task will tell.
    if (!names) return;
    for (const name of names) known.add(name);
    if (known.has(queue) || known.size < most) {
      known.add(queue);
      return;
    }
    throw new PopfleetError(
      'queue-full',
      `There are ${known.size} queues already, and no more may be made (MAX_QUEUES). Use one of them.`,
    );
  }

  return { demand: (queue) => (known.has(queue) ? undefined : look(queue)) };
}
