// Reads tasks of a queue by their ids.

import type { Redis } from 'ioredis';
import type { TaskState } from '../protocol/task-state.ts';
import { keyOf, type Place, placesOf } from './keys.ts';
import { COLUMN_ORDER, COLUMNS, readRecord, type TaskRecord } from './record.ts';
import { runScript } from './scripts.ts';

/** Enough of a content for its type. */
const HEAD_BYTES = 72;
/** Bytes of contents that one call takes up, about: Redis copies them, and does nothing else meanwhile. */
export const BYTES_A_CALL = 1_048_576;

/**
 * In the order of `ids`; tasks that are not there are left out.
 * @param ids at most some thousands
 * @throws Error of ioredis
 */
export async function readTasks(client: Redis, place: Place, ids: readonly string[]): Promise<TaskRecord[]> {
  if (ids.length === 0) return [];
  const values = (await runScript(client, 'read', place, ids)) as (Buffer | null)[];
  const width = COLUMN_ORDER.length;
  return ids
    .map((id, at) => readRecord(place.queue, id, values.slice(at * width, (at + 1) * width)))
    .filter((record) => record !== undefined);
}

/**
 * A task for somebody who waits for its end: the event of that end is to bring its row, when that is small (lua/await.lua).
 * @throws Error of ioredis
 */
export async function readAwaited(client: Redis, place: Place, id: string): Promise<TaskRecord | undefined> {
  return readRecord(place.queue, id, (await runScript(client, 'await', place, [id])) as (Buffer | null)[]);
}

/**
 * The first of `ids` as far as one call goes, without what may be large: contents are cut.
 * @param state undefined = any
 * @param contentBytes of each content at most; enough for its type unless given
 * @returns how many ids were looked at (at least one), and those tasks of them that are in the state
 * @throws Error of ioredis
 */
export async function readRows(
  client: Redis,
  place: Place,
  ids: readonly string[],
  state: TaskState | undefined,
  contentBytes = HEAD_BYTES,
): Promise<{ readonly lookedAt: number; readonly records: readonly TaskRecord[] }> {
  const args = [contentBytes, BYTES_A_CALL, state ?? '', ...ids];
  const [lookedAt, rows] = (await runScript(client, 'rows', place, args)) as [number, (Buffer | null)[][]];
  const records = rows
    .map(([id, ...row]) => readRecord(place.queue, String(id), row))
    .filter((record) => record !== undefined);
  return { lookedAt, records };
}

/**
 * When tasks were due, in milliseconds; `undefined` for those that were ready at once.
 * @throws Error of ioredis
 */
export async function readDueTimes(
  client: Redis,
  queue: string,
  ids: readonly string[],
): Promise<readonly (number | undefined)[]> {
  const key = (place: Place): string => keyOf(place, COLUMNS.due);
  const dues = await Promise.all(placesOf(queue).map((place) => client.hmget(key(place), ...ids)));
  return ids.map((_, at) => {
    const due = dues.map((ofPlace) => ofPlace[at]).find((one) => one !== null && one !== undefined);
    return due === undefined || due === null ? undefined : Number(due);
  });
}
