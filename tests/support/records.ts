// Reads tasks from Redis, over any client.

import type { Redis } from 'ioredis';
import { queueKey } from './queue-key.ts';
import { COLUMNS, readRecord, type TaskRecord } from '../../src/store/record.ts';
import { buildScripts } from '../../src/store/scripts.ts';

const READ = buildScripts().read;

/** The task as it stands in Redis; `undefined` when there is none. */
export async function recordOf(client: Redis, queue: string, id: string): Promise<TaskRecord | undefined> {
  return readRecord(queue, id, await rowOf(client, queue, id));
}

/** The values of a task, one a column, as the program itself reads them: at one moment, also when Redis has no memory left. */
async function rowOf(client: Redis, queue: string, id: string): Promise<(Buffer | null)[]> {
  return (await client.callBuffer(
    'EVAL',
    READ.lua,
    String(READ.keys.length),
    ...READ.keys.map((key) => `${queueKey(queue)}:${key}`),
    id,
  )) as (Buffer | null)[];
}

/** All tasks of a queue, whatever their state. */
export async function recordsOf(client: Redis, queue: string): Promise<TaskRecord[]> {
  const ids = await client.hkeys(`${queueKey(queue)}:${COLUMNS.content}`);
  const records = await Promise.all(ids.map((id) => recordOf(client, queue, id)));
  return records.filter((record) => record !== undefined);
}
