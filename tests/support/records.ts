// Reads tasks from Redis, over any client.

import type { Redis } from 'ioredis';
import { queueKey } from '../../src/store/keys.ts';
import { COLUMN_ORDER, COLUMNS, readRecord, type TaskRecord } from '../../src/store/record.ts';

/** The task as it stands in Redis; `undefined` when there is none. */
export async function recordOf(client: Redis, queue: string, id: string): Promise<TaskRecord | undefined> {
  const keys = COLUMN_ORDER.map((column) => `${queueKey(queue)}:${COLUMNS[column]}`);
  const reading = client.multi();
  for (const key of keys) reading.hgetBuffer(key, id);
  const row = (await reading.exec()) ?? [];
  return readRecord(
    queue,
    id,
    row.map(([, value]) => value as Buffer | null),
  );
}

/** All tasks of a queue, whatever their state. */
export async function recordsOf(client: Redis, queue: string): Promise<TaskRecord[]> {
  const ids = await client.hkeys(`${queueKey(queue)}:${COLUMNS.content}`);
  const records = await Promise.all(ids.map((id) => recordOf(client, queue, id)));
  return records.filter((record) => record !== undefined);
}
