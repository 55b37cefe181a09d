// Reads tasks and queues without changing them.

import type { Redis } from 'ioredis';
import type { TaskState } from '../protocol/task-state.ts';
import { TASK_STATES } from '../protocol/task-state.ts';
import { LANES, type Lane } from '../protocol/lane.ts';
import { decodeTrusted } from '../protocol/cbor.ts';
import type { TaskError } from '../protocol/task-error.ts';
import { QUEUES_KEY, queueKey, readyKey } from './keys.ts';
import { COLUMN_ORDER, readRecord, type TaskRecord } from './record.ts';
import { runScript } from './scripts.ts';
import { toStoreError } from './store-error.ts';

export interface QueueCounts {
  readonly queue: string;
  readonly paused: boolean;
  /** Tasks by state, and the sum they must add up to: `accepted = sum of states + removed`. */
  readonly counts: Readonly<Record<TaskState | 'accepted' | 'removed', number>>;
  readonly ready: Readonly<Record<Lane, number>>;
  /** Messages that are no popfleet messages, kept in `pf:{q}:malformed`. */
  readonly malformed: number;
  /** Workers whose lease has not run out at the last sweep. */
  readonly workers: number;
}

export interface FailedAttempt {
  /** Milliseconds of the Redis clock. */
  readonly startedAt: number;
  readonly endedAt: number;
  readonly claim: number;
  readonly worker: string;
  readonly error: TaskError;
}

export interface DeadPage {
  readonly records: readonly TaskRecord[];
  readonly next: string | undefined;
}

/** @throws PopfleetError `redis-unavailable` from every method when Redis does not answer */
export interface Inspector {
  /** Names of all queues that ever had a task or a worker. */
  queues(): Promise<readonly string[]>;
  queue(name: string): Promise<QueueCounts>;
  /** The record of a task, wherever it is queued. */
  task(id: string): Promise<TaskRecord | undefined>;
  /** How its latest attempts failed, oldest first. */
  attempts(queue: string, id: string): Promise<readonly FailedAttempt[]>;
  /** Lines that its handler has logged. */
  log(queue: string, id: string): Promise<readonly string[]>;
  /** Dead tasks of a queue, newest first. @param cursor `next` of the page before */
  dead(queue: string, limit: number, cursor: string | undefined): Promise<DeadPage>;
  /** Resolves when Redis answers. */
  ping(): Promise<void>;
}

/** Queues come rarely: their list is read again when an id is not found, and after this long. */
const QUEUES_FRESH_MS = 1_000;

/** @param client a connection of `openCommandConnection` */
export function createInspector(client: Redis): Inspector {
  let known: { readonly names: readonly string[]; readonly at: number } = {
    names: [],
    at: Number.NEGATIVE_INFINITY,
  };

  async function queues(): Promise<readonly string[]> {
    known = { names: (await client.smembers(QUEUES_KEY)).sort(), at: performance.now() };
    return known.names;
  }

  /** In the order of `ids`; tasks that are not there are left out. */
  async function read(queue: string, ids: readonly string[]): Promise<TaskRecord[]> {
    if (ids.length === 0) return [];
    const values = (await runScript(client, 'read', queueKey(queue), ids)) as (Buffer | null)[];
    const width = COLUMN_ORDER.length;
    return ids
      .map((id, at) => readRecord(queue, id, values.slice(at * width, (at + 1) * width)))
      .filter((record) => record !== undefined);
  }

  async function findIn(names: readonly string[], id: string): Promise<TaskRecord | undefined> {
    const found = await Promise.all(names.map((queue) => read(queue, [id])));
    return found.flat()[0];
  }

  return {
    queues: () => queues().catch(fail),

    async queue(name) {
      const key = queueKey(name);
      const [counts, paused, workers, malformed, ...lanes] = await Promise.all([
        client.hgetall(`${key}:count`),
        client.hexists(`${key}:control`, 'paused'),
        client.zcard(`${key}:workers`),
        client.llen(`${key}:malformed`),
        ...LANES.map((lane) => client.llen(readyKey(name, lane))),
      ]).catch(fail);
      const names = [...TASK_STATES, 'accepted', 'removed'] as const;
      return {
        queue: name,
        paused: paused === 1,
        counts: toRecord(names, (state) => Number(counts[state] ?? 0)),
        ready: toRecord(LANES, (lane) => lanes[LANES.indexOf(lane)] ?? 0),
        malformed,
        workers,
      };
    },

    async task(id) {
      try {
        const fresh = performance.now() - known.at < QUEUES_FRESH_MS;
        const found = fresh ? await findIn(known.names, id) : undefined;
        return found ?? (await findIn(await queues(), id));
      } catch (error) {
        return fail(error);
      }
    },

    async attempts(queue, id) {
      const entries = await client.lrangeBuffer(`${queueKey(queue)}:errors:${id}`, 0, -1).catch(fail);
      return entries.map(readAttempt);
    },

    log: (queue, id) => client.lrange(`${queueKey(queue)}:log:${id}`, 0, -1).catch(fail),

    async dead(queue, limit, cursor) {
      // Tasks that died in the same millisecond have equal scores: the cursor counts how many of them were shown.
      const [from = '+inf', shown = '0'] = cursor?.split('.') ?? [];
      const flat = await client
        .zrevrangebyscore(
          `${queueKey(queue)}:dead`,
          from,
          '-inf',
          'WITHSCORES',
          'LIMIT',
          Number(shown),
          limit,
        )
        .catch(fail);
      const ids = flat.filter((_, at) => at % 2 === 0);
      const scores = flat.filter((_, at) => at % 2 === 1);
      const records = await read(queue, ids).catch(fail);
      const last = scores.at(-1);
      const equal = scores.filter((score) => score === last).length + (last === from ? Number(shown) : 0);
      return {
        records,
        next: ids.length < limit ? undefined : `${last}.${equal}`,
      };
    },

    async ping() {
      await client.ping().catch(fail);
    },
  };
}

/** As `remember_error` in lib.lua writes it: four words, then CBOR. */
function readAttempt(entry: Buffer): FailedAttempt {
  const words: string[] = [];
  let at = 0;
  for (let count = 0; count < 4; count += 1) {
    const end = entry.indexOf(' ', at);
    words.push(entry.toString('utf8', at, end));
    at = end + 1;
  }
  const [startedAt, endedAt, claim, worker = ''] = words;
  const error = decodeTrusted(entry.subarray(at)) as TaskError;
  return { startedAt: Number(startedAt), endedAt: Number(endedAt), claim: Number(claim), worker, error };
}

function fail(error: unknown): never {
  throw toStoreError(error);
}

function toRecord<Name extends string>(
  names: readonly Name[],
  value: (name: Name) => number,
): Readonly<Record<Name, number>> {
  return Object.fromEntries(names.map((name) => [name, value(name)])) as Record<Name, number>;
}
