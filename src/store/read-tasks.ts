// Reads tasks of a queue by their ids.

import type { Redis } from 'ioredis';
import { queueKey } from './keys.ts';
import { COLUMN_ORDER, readRecord, type TaskRecord } from './record.ts';
import { runScript } from './scripts.ts';

/** Enough of a content for its type. */
export const HEAD_BYTES = 72;

/**
 * In the order of `ids`; tasks that are not there are left out.
 * @param bytes of each content; 0 = all of it, and the result as well
 * @throws Error of ioredis
 */
export async function readTasks(
  client: Redis,
  queue: string,
  ids: readonly string[],
  bytes = 0,
): Promise<TaskRecord[]> {
  if (ids.length === 0) return [];
  const values = (await runScript(client, 'read', queueKey(queue), [bytes, ...ids])) as (Buffer | null)[];
  const width = COLUMN_ORDER.length;
  return ids
    .map((id, at) => readRecord(queue, id, values.slice(at * width, (at + 1) * width)))
    .filter((record) => record !== undefined);
}
