// Reads which tasks a worker runs. It looks at all that run in the queue, which are as many as its workers have claimed: however many
// tasks wait or have ended, it costs the same.

import type { Redis } from 'ioredis';
import { keyOf, type Place, placesOf } from './keys.ts';
import { readRows } from './read-tasks.ts';
import { readSet } from './read-whole.ts';
import { COLUMNS, readHeader, type TaskRecord } from './record.ts';
import { throwStoreError } from './store-error.ts';

const HEADERS_A_CALL = 500;
/** Of larger contents the options, which come last, are not read. */
const CONTENT_BYTES = 4_096;

/**
 * Those that it claimed first come first, with what their handlers have said last. Large contents are cut.
 * @param client a connection of `openCommandConnection`
 * @param most tasks, more than 0
 * @throws PopfleetError `redis-unavailable`
 */
export async function readTasksOfWorker(
  client: Redis,
  queue: string,
  worker: string,
  most: number,
): Promise<readonly TaskRecord[]> {
  const ofPlaces = placesOf(queue).map((place) => readPlace(client, place, worker, most));
  const found = (await Promise.all(ofPlaces).catch(throwStoreError)).flat();
  return firstOf(found, most);
}

async function readPlace(
  client: Redis,
  place: Place,
  worker: string,
  most: number,
): Promise<readonly TaskRecord[]> {
  const running = await readSet(client, keyOf(place, 'running'));
  const own: { readonly id: string; readonly startedAt: number | undefined }[] = [];
  for (let at = 0; at < running.length; at += HEADERS_A_CALL) {
    const ids = running.slice(at, at + HEADERS_A_CALL);
    const headers = await client.hmget(keyOf(place, COLUMNS.header), ...ids);
    for (const [nth, id] of ids.entries()) {
      const header = readHeader(headers[nth] ?? '');
      if (header.worker === worker) own.push({ id, startedAt: header.startedAt });
    }
  }
  const wanted = firstOf(own, most).map(({ id }) => id);
  const found: TaskRecord[] = [];
  for (let at = 0; at < wanted.length; ) {
    const rest = wanted.slice(at);
    const { lookedAt, records } = await readRows(client, place, rest, 'running', CONTENT_BYTES);
    // One may have gone to another worker meanwhile.
    found.push(...records.filter((record) => record.worker === worker));
    at += lookedAt;
  }
  return withProgress(client, place, found);
}

async function withProgress(
  client: Redis,
  place: Place,
  tasks: readonly TaskRecord[],
): Promise<readonly TaskRecord[]> {
  if (tasks.length === 0) return tasks;
  const said = await client.hmgetBuffer(keyOf(place, COLUMNS.progress), ...tasks.map(({ id }) => id));
  return tasks.map((task, at) => ({ ...task, progress: said[at] ?? undefined }));
}

/** Those that began first, those of one moment by their ids. */
function firstOf<Task extends Pick<TaskRecord, 'id' | 'startedAt'>>(
  tasks: readonly Task[],
  most: number,
): readonly Task[] {
  const order = (one: Task, other: Task): number =>
    (one.startedAt ?? 0) - (other.startedAt ?? 0) || (one.id < other.id ? -1 : 1);
  return [...tasks].sort(order).slice(0, most);
}
