// Waits for the moment in which a task succeeds, to the millisecond.

import type { Redis } from 'ioredis';

/** Resolves with the entry of the event stream in which the task succeeds. Blocks on a connection of its own. */
export async function untilSucceeded(blocking: Redis, id: string, from: string): Promise<string> {
  for (let last = from; ; ) {
    const [stream] = (await blocking.xread('BLOCK', 60_000, 'STREAMS', 'pf:{default}:events', last)) ?? [];
    for (const [entry, fields] of stream?.[1] ?? []) {
      last = entry;
      if (fields.some((field) => field.includes(`${id}succeeded`))) return entry;
    }
    if (!stream) throw new Error(`task ${id} does not succeed`);
  }
}
