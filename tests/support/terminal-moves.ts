// What the event stream tells of ends.

import type { Redis } from 'ioredis';
import { isTerminal, type TaskState } from '../../src/protocol/task-state.ts';

/** How often each task reached a terminal state, as the event stream tells. */
export async function terminalMoves(client: Redis, key: string): Promise<Map<string, number>> {
  const ends = new Map<string, number>();
  for (const [, fields] of await client.xrange(`${key}:events`, '-', '+')) {
    for (const move of fields.join(' ').split(' ')) {
      const id = move.slice(0, 36);
      if (isTerminal(move.slice(36) as TaskState)) ends.set(id, (ends.get(id) ?? 0) + 1);
    }
  }
  return ends;
}
