// Writes entries of event streams by hand, as `tell` in move.lua does, so that a test knows exactly what is in each.

import type { Redis } from 'ioredis';
import { queueKey } from './queue-key.ts';

export interface EntryWriter {
  /** One entry; each text is an id with a state behind it. Makes the queue known. */
  tell(...moves: string[]): Promise<void>;
  /** An id that no other task has. */
  newId(): string;
}

export function createEntryWriter(client: Redis, queue: string): EntryWriter {
  let number = 0;
  let ids = 0;
  return {
    async tell(...moves) {
      number += 1;
      await client.sadd('pf:queues', queue);
      await client.xadd(`${queueKey(queue)}:events`, '*', 'n', number, 'm', moves.join(' '));
    },
    newId() {
      ids += 1;
      return `01890f3a-2b4c-7d5e-8f60-${ids.toString(16).padStart(12, '0')}`;
    },
  };
}
