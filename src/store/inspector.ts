// Reads tasks and queues without changing them.

import type { Redis } from 'ioredis';
import type { TaskState } from '../protocol/task-state.ts';
import { TASK_STATES } from '../protocol/task-state.ts';
import { LANES, type Lane } from '../protocol/lane.ts';
import { readTaskError, type TaskError } from '../protocol/task-error.ts';
import { readHash } from './hash.ts';
import { QUEUES_KEY, queueKey, readyKey } from './keys.ts';
import { type AnnouncedWorker, readAnnouncement } from './announcement.ts';
import type { TaskRecord } from './record.ts';
import { readTasks } from './read-tasks.ts';
import { runScript } from './scripts.ts';
import { withStoreErrors } from './store-error.ts';

interface QueueCounts {
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

/** What explain.lua answers. Times are milliseconds of the Redis clock. */
export interface RunFacts {
  readonly now: number;
  readonly pausedSince: number | undefined;
  /** Tasks ahead of it in its lane: `more` than are counted; `undefined` when it is on no list. */
  readonly ahead: number | 'more' | undefined;
  /** Length of each lane. */
  readonly ready: Readonly<Record<Lane, number>>;
  readonly running: number;
  readonly liveWorkers: number;
  /** When the lease of the worker that runs it ends. */
  readonly leaseUntil: number | undefined;
  /** Since when it is known that its message was popped, but not claimed. */
  readonly missedSince: number | undefined;
  readonly announced: readonly AnnouncedWorker[];
}

export interface LiveWorker extends Partial<Omit<AnnouncedWorker, 'worker'>> {
  readonly worker: string;
  readonly queue: string;
  readonly leaseUntil: number;
  /** Tasks that it holds. */
  readonly holds: number;
}

/** Tasks ahead of another one that are counted. */
export const MOST_AHEAD_COUNTED = 1_000;

/** @throws PopfleetError `redis-unavailable` from every method when Redis does not answer */
export interface Inspector {
  /** Names of all queues that ever had a task or a worker. */
  queues(): Promise<readonly string[]>;
  queue(name: string): Promise<QueueCounts>;
  /** The record of a task, wherever it is queued. @param within queues to look in; undefined = all */
  task(id: string, within?: ReadonlySet<string>): Promise<TaskRecord | undefined>;
  /** How its latest attempts failed, oldest first. */
  attempts(queue: string, id: string): Promise<readonly FailedAttempt[]>;
  /** Lines that its handler has logged. */
  log(queue: string, id: string): Promise<readonly string[]>;
  /** What decides whether a task runs now. */
  explain(queue: string, id: string): Promise<RunFacts>;
  /** Workers with a lease in the queue. */
  workers(queue: string): Promise<readonly LiveWorker[]>;
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
    const found = await Promise.all(names.map((queue) => readTasks(client, queue, [id])));
    return found.flat()[0];
  }

  return withStoreErrors<Inspector>({
    queues,

    async queue(name) {
      const key = queueKey(name);
      const [counts, paused, workers, malformed, ...lanes] = await Promise.all([
        client.hgetall(`${key}:count`),
        client.hexists(`${key}:control`, 'paused'),
        client.zcard(`${key}:workers`),
        client.llen(`${key}:malformed`),
        ...LANES.map((lane) => client.llen(readyKey(name, lane))),
      ]);
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

    async task(id, within) {
      if (within) return findIn([...within], id);
      const seen = performance.now() - known.at < QUEUES_FRESH_MS ? known.names : [];
      const found = await findIn(seen, id);
      // It may be in a queue that came into being meanwhile.
      return found ?? (await findIn(without(await queues(), seen), id));
    },

    async attempts(queue, id) {
      const entries = await client.lrangeBuffer(`${queueKey(queue)}:errors:${id}`, 0, -1);
      return entries.map(readAttempt);
    },

    log: (queue, id) => client.lrange(`${queueKey(queue)}:log:${id}`, 0, -1),

    async explain(queue, id) {
      const args = [id, MOST_AHEAD_COUNTED];
      return readFacts((await runScript(client, 'explain', queueKey(queue), args)) as FactsReply);
    },

    async workers(queue) {
      const key = queueKey(queue);
      const [leases, announced] = await Promise.all([
        client.zrangebyscore(`${key}:workers`, '-inf', '+inf', 'WITHSCORES'),
        readHash(client, `${key}:announced`),
      ]);
      const names = leases.filter((_, at) => at % 2 === 0);
      const holds = await Promise.all(names.map((name) => client.scard(`${key}:running:${name}`)));
      return names.map((worker, at) =>
        Object.assign(readAnnouncement(worker, announced.get(Buffer.from(worker).toString('latin1'))), {
          queue,
          leaseUntil: Number(leases[2 * at + 1]),
          holds: holds[at] ?? 0,
        }),
      );
    },
  });
}

type FactsReply = readonly [
  now: Buffer,
  paused: Buffer,
  ahead: number,
  lanes: readonly number[],
  running: number,
  liveWorkers: number,
  lease: Buffer,
  suspect: Buffer,
  announced: readonly Buffer[],
];

function readFacts([
  now,
  paused,
  ahead,
  lanes,
  running,
  liveWorkers,
  lease,
  suspect,
  flat,
]: FactsReply): RunFacts {
  const time = (text: Buffer): number | undefined =>
    text.length === 0 ? undefined : Number(text.toString());
  const names = flat.filter((_, at) => at % 2 === 0);
  return {
    now: Number(now.toString()),
    pausedSince: time(paused),
    ahead: ahead === -1 ? 'more' : ahead === -2 ? undefined : ahead,
    ready: toRecord(LANES, (lane) => lanes[LANES.indexOf(lane)] ?? 0),
    running,
    liveWorkers,
    leaseUntil: time(lease),
    missedSince: time(suspect),
    announced: names.map((name, at) => readAnnouncement(name.toString(), flat[2 * at + 1])),
  };
}

function without(names: readonly string[], others: readonly string[]): readonly string[] {
  const left = new Set(others);
  return names.filter((name) => !left.has(name));
}

/** As `remember_error` in attempts.lua writes it: four words, then CBOR. */
function readAttempt(entry: Buffer): FailedAttempt {
  const words: string[] = [];
  let at = 0;
  for (let count = 0; count < 4; count += 1) {
    const end = entry.indexOf(' ', at);
    words.push(entry.toString('utf8', at, end));
    at = end + 1;
  }
  const [startedAt, endedAt, claim, worker = ''] = words;
  const error = readTaskError(entry.subarray(at));
  return { startedAt: Number(startedAt), endedAt: Number(endedAt), claim: Number(claim), worker, error };
}

function toRecord<Name extends string>(
  names: readonly Name[],
  value: (name: Name) => number,
): Readonly<Record<Name, number>> {
  return Object.fromEntries(names.map((name) => [name, value(name)])) as Record<Name, number>;
}
