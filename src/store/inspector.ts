// Reads tasks and queues without changing them.

import type { Redis } from 'ioredis';
import type { TaskState } from '../protocol/task-state.ts';
import { TASK_STATES } from '../protocol/task-state.ts';
import { LANES, type Lane } from '../protocol/lane.ts';
import { QUEUES_KEY, queueKey, readyKey, taskKey } from './keys.ts';
import { readRecord, type TaskRecord } from './record.ts';
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

/** @throws PopfleetError `redis-unavailable` from every method when Redis does not answer */
export interface Inspector {
  /** Names of all queues that ever had a task or a worker. */
  queues(): Promise<readonly string[]>;
  queue(name: string): Promise<QueueCounts>;
  /** The record of a task, wherever it is queued. */
  task(id: string): Promise<TaskRecord | undefined>;
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

  async function findIn(names: readonly string[], id: string): Promise<TaskRecord | undefined> {
    const hashes = await Promise.all(names.map((queue) => client.hgetallBuffer(taskKey(queue, id))));
    for (const [at, queue] of names.entries()) {
      const record = readRecord(queue, id, hashes[at] ?? {});
      if (record) return record;
    }
    return undefined;
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

    async ping() {
      await client.ping().catch(fail);
    },
  };
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
