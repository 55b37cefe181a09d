// Lists the tasks of a queue in pages. Each page costs a bounded amount of work, however many tasks there are.

import type { Redis } from 'ioredis';
import type { TaskState } from '../protocol/task-state.ts';
import { queueKey } from './keys.ts';
import { HEAD_BYTES, readTasks } from './read-tasks.ts';
import type { TaskRecord } from './record.ts';
import { runScript } from './scripts.ts';
import { toStoreError } from './store-error.ts';

export interface PageQuery {
  readonly queue: string;
  /** Undefined = all. */
  readonly state: TaskState | undefined;
  /** Whether a task is wanted; its content is cut (`HEAD_BYTES`), and it has no result. */
  readonly accept: (record: TaskRecord) => boolean;
  readonly limit: number;
  /** `next` of the page before. */
  readonly cursor: string | undefined;
}

export interface Page {
  readonly records: readonly TaskRecord[];
  /** Where the next page begins; `undefined` after the last one. A page may be short, or empty, and have a next one. */
  readonly next: string | undefined;
}

/** Tasks that are looked at for one page. */
const LOOKED_AT = 5_000;
const A_STEP = 500;

/** What `next` of a page may look like. */
export const CURSOR = /^(?:o\.\d{1,16}\.\d{1,9}|w\.\d{1,20}\.[0-9a-f-]{0,36})$/;

/**
 * Dead tasks come newest first, scheduled ones by their due time. All others come in no certain order, each task that is
 * there all the time at least once.
 * @param client a connection of `openCommandConnection`
 * @throws PopfleetError `redis-unavailable`
 */
export async function listTasks(client: Redis, query: PageQuery): Promise<Page> {
  try {
    const step = stepOf(client, query);
    const records: TaskRecord[] = [];
    let position = query.cursor;
    for (let seen = 0; seen < LOOKED_AT; ) {
      const found = await step(position);
      seen += found.ids.length;
      const read = await readTasks(client, query.queue, found.ids, HEAD_BYTES);
      const wanted = read.filter((one) => isWanted(one, query));
      const room = query.limit - records.length;
      records.push(...wanted.slice(0, room));
      const last = wanted[room - 1];
      if (last) return { records, next: nextAfter(found, last, wanted.length > room) };
      position = found.next;
      if (position === undefined) break;
    }
    return { records, next: position };
  } catch (error) {
    throw toStoreError(error);
  }
}

function isWanted(record: TaskRecord, { state, accept }: PageQuery): boolean {
  return (state === undefined || record.state === state) && accept(record);
}

interface Step {
  readonly ids: readonly string[];
  /** Where the step after this one begins. */
  readonly next: string | undefined;
  /** A position behind one of `ids`. */
  readonly behind: (id: string) => string;
}

function nextAfter({ ids, next, behind }: Step, { id }: TaskRecord, isMore: boolean): string | undefined {
  return isMore || ids.at(-1) !== id ? behind(id) : next;
}

function stepOf(client: Redis, { queue, state }: PageQuery): (position: string | undefined) => Promise<Step> {
  const key = queueKey(queue);
  if (state === 'dead') return orderedSteps(client, `${key}:dead`, 'newest first');
  if (state === 'scheduled') return orderedSteps(client, `${key}:later`, 'oldest first');
  return walkingSteps(client, key);
}

/** Over a sorted set. Members with equal scores: the position counts how many of them were shown. */
function orderedSteps(
  client: Redis,
  key: string,
  order: 'newest first' | 'oldest first',
): (position: string | undefined) => Promise<Step> {
  return async (position) => {
    const [, from = order === 'newest first' ? '+inf' : '-inf', shown = '0'] = position?.split('.') ?? [];
    const skip = Number(shown);
    const flat =
      order === 'newest first'
        ? await client.zrevrangebyscore(key, from, '-inf', 'WITHSCORES', 'LIMIT', skip, A_STEP)
        : await client.zrangebyscore(key, from, '+inf', 'WITHSCORES', 'LIMIT', skip, A_STEP);
    const ids = flat.filter((_, at) => at % 2 === 0);
    const scores = flat.filter((_, at) => at % 2 === 1);
    const behind = (id: string): string => {
      const at = ids.indexOf(id);
      const score = scores[at];
      const equal = scores.slice(0, at + 1).filter((one) => one === score).length;
      return `o.${score}.${equal + (score === from ? skip : 0)}`;
    };
    const last = ids.at(-1);
    return { ids, behind, next: last === undefined || ids.length < A_STEP ? undefined : behind(last) };
  };
}

/** Over the hash of all contents, as `HSCAN` walks it; the ids of one step in their order, so that a page may end among them. */
function walkingSteps(client: Redis, key: string): (position: string | undefined) => Promise<Step> {
  return async (position) => {
    const [, cursor = '0', after = ''] = position?.split('.') ?? [];
    const [next, found] = (await runScript(client, 'scan', key, [cursor, A_STEP])) as [Buffer, Buffer[]];
    const ids = found
      .map(String)
      .filter((id) => id > after)
      .sort();
    const following = next.toString();
    return {
      ids,
      behind: (id) => `w.${cursor}.${id}`,
      next: following === '0' ? undefined : `w.${following}.`,
    };
  };
}
