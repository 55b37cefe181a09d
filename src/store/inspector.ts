// Reads tasks and queues without changing them.

import type { Redis } from 'ioredis';
import type { TaskState } from '../protocol/task-state.ts';
import { toRecord } from '../protocol/to-record.ts';
import { TASK_STATES } from '../protocol/task-state.ts';
import { LANES, type Lane } from '../protocol/lane.ts';
import { readTaskError, type TaskError } from '../protocol/task-error.ts';
import { readHash } from './read-whole.ts';
import { keyOf, type Place, placeOf, placesOf, QUEUES_KEY, readyKey } from './keys.ts';
import { type ChildOf, readChildren } from './children.ts';
import { type AnnouncedWorker, readAnnouncement } from './announcement.ts';
import { gaugeOutbox, type OutboxGauge } from './outbox.ts';
import { oldestReadyMs, type WaitingPlace } from './oldest-ready.ts';
import type { TaskRecord } from './record.ts';
import { readAwaited, readTasks } from './read-tasks.ts';
import { runScript } from './scripts.ts';
import { readTaskLog } from './task-log.ts';
import { withStoreErrors } from './store-error.ts';
import { readOrder, type WorkerOrder } from './worker-orders.ts';

interface Pause {
  /** Milliseconds of the Redis clock. */
  readonly since: number;
  /** In the words of who has paused it; `undefined`: nobody has said it. */
  readonly reason: string | undefined;
}

interface QueueCounts {
  readonly queue: string;
  /** `undefined`: it is open. */
  readonly pause: Pause | undefined;
  /** Tasks by state, and the sum they must add up to: `accepted = sum of states + removed`. */
  readonly counts: Readonly<Record<TaskState | 'accepted' | 'removed', number>>;
  readonly ready: Readonly<Record<Lane, number>>;
  /** How long the task that waits for longest has been ready; 0 when none is; `undefined`: it cannot be said. */
  readonly oldestReadyMs: number | undefined;
  /** Tasks among the dead whose kind of failure is ignored; `undefined`: none. */
  readonly deadIgnored: number | undefined;
  /** Messages that are no popfleet messages, kept in `pf:{q}:malformed`. */
  readonly malformed: number;
  /** How many there were before those, so far; `undefined`: none. */
  readonly malformedDropped: number | undefined;
  /** Workers whose lease has not run out at the last sweep. */
  readonly workers: number;
  /** Ends of followed tasks: what follows them waits to be accepted. */
  readonly outbox: {
    readonly length: number;
    /** How long the oldest of them has waited, in milliseconds; 0 when there is none. */
    readonly oldestMs: number;
  };
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
  readonly pause: Pause | undefined;
  /** Tasks ahead of it in its lane: `more` than are counted; `undefined` when it is on no list. */
  readonly ahead: number | 'more' | undefined;
  /** Length of each lane. */
  readonly ready: Readonly<Record<Lane, number>>;
  readonly running: number;
  readonly liveWorkers: number;
  /** Workers that claim nothing more, because a person wants it. */
  readonly quietWorkers: number;
  /** When the lease of the worker that runs it ends. */
  readonly leaseUntil: number | undefined;
  /** Since when it is known that its message was popped, but not claimed. */
  readonly missedSince: number | undefined;
  readonly announced: readonly AnnouncedWorker[];
  /** Why this release may not change the queue, as a sentence; `undefined`: it may. */
  readonly refusal: string | undefined;
  /** Names of what it still needs while it is `waiting`. */
  readonly unmet: readonly string[];
}

export interface LiveWorker extends Partial<Omit<AnnouncedWorker, 'worker'>> {
  readonly worker: string;
  readonly queue: string;
  readonly leaseUntil: number;
  /** Tasks that it holds. */
  readonly holds: number;
  /** What a person wants of it. */
  readonly order: WorkerOrder | undefined;
}

/** Tasks ahead of another one that are counted. */
export const MOST_AHEAD_COUNTED = 1_000;

/** @throws PopfleetError `redis-unavailable` from every method when Redis does not answer */
export interface Inspector {
  /** Names of all queues that ever had a task or a worker. */
  queues(): Promise<readonly string[]>;
  queue(name: string): Promise<QueueCounts>;
  /**
   * The record of a task, wherever it is queued.
   * @param within queues to look in; undefined = all
   * @param isAwaited the event of its end is to bring its row, when that is small (lua/await.lua)
   */
  task(id: string, within?: ReadonlySet<string>, isAwaited?: boolean): Promise<TaskRecord | undefined>;
  /** How its latest attempts failed, oldest first. */
  attempts(queue: string, id: string): Promise<readonly FailedAttempt[]>;
  /** The tasks that its handler has made, in that order. */
  children(queue: string, id: string): Promise<readonly ChildOf[]>;
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

  async function findIn(
    names: readonly string[],
    id: string,
    isAwaited: boolean,
  ): Promise<TaskRecord | undefined> {
    const found = await Promise.all(
      names.map((queue) => {
        const place = placeOf(queue, id);
        return isAwaited ? readAwaited(client, place, id) : readTasks(client, place, [id]);
      }),
    );
    // On its way from one queue to another it may stand in both: then it is where it goes.
    return found
      .flat()
      .filter((record) => record !== undefined)
      .sort((one, other) => Number(one.state === 'moved') - Number(other.state === 'moved'))[0];
  }

  return withStoreErrors<Inspector>({
    queues,

    async queue(name) {
      const facts = await Promise.all(placesOf(name).map((place) => countPlace(client, place)));
      const names = [...TASK_STATES, 'accepted', 'removed'] as const;
      const sum = (count: (fact: PlaceFacts) => number): number =>
        facts.reduce((total, fact) => total + count(fact), 0);
      return {
        queue: name,
        pause: facts.map(({ pause }) => pause).find((one) => one !== undefined),
        counts: toRecord(names, (state) => sum(({ counts }) => Number(counts[state] ?? 0))),
        ready: toRecord(LANES, (lane) => sum(({ lanes }) => lanes[LANES.indexOf(lane)] ?? 0)),
        oldestReadyMs: await oldestReadyMs(client, await waitingPlaces(client, placesOf(name), facts)),
        deadIgnored: sum(({ deadIgnored }) => deadIgnored) || undefined,
        malformed: sum(({ malformed }) => malformed),
        malformedDropped: sum(({ counts }) => Number(counts['malformed-dropped'] ?? 0)) || undefined,
        // A worker serves all places of its queue.
        workers: Math.max(...facts.map(({ workers }) => workers)),
        outbox: {
          length: sum(({ outbox }) => outbox.length),
          oldestMs: Math.max(...facts.map(({ outbox }) => outbox.oldestMs)),
        },
      };
    },

    async task(id, within, isAwaited = false) {
      if (within) return findIn([...within], id, isAwaited);
      const seen = performance.now() - known.at < QUEUES_FRESH_MS ? known.names : [];
      const found = await findIn(seen, id, isAwaited);
      if (found && found.state !== 'moved') return found;
      // It may be in a queue that came into being meanwhile.
      return (await findIn(without(await queues(), seen), id, isAwaited)) ?? found;
    },

    async attempts(queue, id) {
      const entries = await client.hgetBuffer(keyOf(placeOf(queue, id), 'errors'), id);
      return entries ? readAttempts(entries) : [];
    },

    children: (queue, id) => readChildren(client, placeOf(queue, id), id),
    log: (queue, id) => readTaskLog(client, placeOf(queue, id), id),

    async explain(queue, id) {
      const args = [id, MOST_AHEAD_COUNTED];
      return readFacts((await runScript(client, 'explain', placeOf(queue, id), args)) as FactsReply);
    },

    async workers(queue) {
      const found = new Map<string, LiveWorker>();
      for (const worker of (
        await Promise.all(placesOf(queue).map((place) => workersOf(client, place)))
      ).flat()) {
        const before = found.get(worker.worker);
        found.set(worker.worker, before ? { ...worker, holds: before.holds + worker.holds } : worker);
      }
      // By their leases they would change places with every heartbeat.
      return [...found.values()].sort((one, other) => (one.worker < other.worker ? -1 : 1));
    },
  });
}

interface PlaceFacts {
  readonly counts: Readonly<Record<string, string>>;
  readonly pause: Pause | undefined;
  readonly workers: number;
  readonly deadIgnored: number;
  readonly malformed: number;
  readonly outbox: OutboxGauge;
  readonly lanes: readonly number[];
}

async function countPlace(client: Redis, place: Place): Promise<PlaceFacts> {
  const [counts, [since, reason], workers, ignored, malformed, outbox, ...lanes] = await Promise.all([
    client.hgetall(keyOf(place, 'count')),
    client.hmget(keyOf(place, 'queue'), 'paused', 'paused_reason'),
    client.zcard(keyOf(place, 'workers')),
    client.exists(keyOf(place, 'error-groups-ignored')),
    client.llen(keyOf(place, 'malformed')),
    gaugeOutbox(client, place),
    ...LANES.map((lane) => client.llen(readyKey(place, lane))),
  ]);
  const deadIgnored = ignored === 0 ? 0 : Number(await runScript(client, 'ignored', place, []));
  return { counts, pause: readPause(since, reason), workers, deadIgnored, malformed, outbox, lanes };
}

function readPause(since: string | null | undefined, reason: string | null | undefined): Pause | undefined {
  return since ? { since: Number(since), reason: reason || undefined } : undefined;
}

/** The places where tasks are ready, with their time. */
async function waitingPlaces(
  client: Redis,
  places: readonly Place[],
  facts: readonly PlaceFacts[],
): Promise<readonly WaitingPlace[]> {
  const waiting = places.filter((_, at) => Number(facts[at]?.counts['ready'] ?? 0) > 0);
  if (waiting.length === 0) return [];
  const [[seconds, micros], ...skews] = await Promise.all([
    client.time(),
    ...waiting.map((place) => client.hget(keyOf(place, 'queue'), 'skew')),
  ]);
  const wall = Number(seconds) * 1_000 + Math.floor(Number(micros) / 1_000);
  return waiting.map((place, at) => ({ place, now: wall + Number(skews[at] ?? 0) }));
}

async function workersOf(client: Redis, place: Place): Promise<LiveWorker[]> {
  const [leases, announced, holds, orders] = await Promise.all([
    client.zrangebyscore(keyOf(place, 'workers'), '-inf', '+inf', 'WITHSCORES'),
    readHash(client, keyOf(place, 'announced')),
    readHash(client, keyOf(place, 'holds')),
    readHash(client, keyOf(place, 'orders')),
  ]);
  const names = leases.filter((_, at) => at % 2 === 0);
  return names.map((worker, at) => {
    const field = Buffer.from(worker).toString('latin1');
    return Object.assign(readAnnouncement(worker, announced.get(field)), {
      queue: place.queue,
      leaseUntil: Number(leases[2 * at + 1]),
      holds: Number(holds.get(field) ?? 0),
      order: readOrder(orders.get(field)?.toString()),
    });
  });
}

type FactsReply = readonly [
  now: Buffer,
  paused: Buffer,
  ahead: number,
  lanes: readonly number[],
  running: number,
  liveWorkers: number,
  quietWorkers: number,
  lease: Buffer,
  suspect: Buffer,
  announced: readonly Buffer[],
  refusal: Buffer,
  pausedReason: Buffer,
  unmet: readonly Buffer[],
];

function readFacts([
  now,
  paused,
  ahead,
  lanes,
  running,
  liveWorkers,
  quietWorkers,
  lease,
  suspect,
  flat,
  refusal,
  pausedReason,
  unmet,
]: FactsReply): RunFacts {
  const time = (text: Buffer): number | undefined =>
    text.length === 0 ? undefined : Number(text.toString());
  const names = flat.filter((_, at) => at % 2 === 0);
  return {
    now: Number(now.toString()),
    pause: readPause(paused.toString(), pausedReason.toString()),
    ahead: ahead === -1 ? 'more' : ahead === -2 ? undefined : ahead,
    ready: toRecord(LANES, (lane) => lanes[LANES.indexOf(lane)] ?? 0),
    running,
    liveWorkers,
    quietWorkers,
    leaseUntil: time(lease),
    missedSince: time(suspect),
    announced: names.map((name, at) => readAnnouncement(name.toString(), flat[2 * at + 1])),
    refusal: refusal.length === 0 ? undefined : refusal.toString(),
    unmet: unmet.map(String),
  };
}

function without(names: readonly string[], others: readonly string[]): readonly string[] {
  const left = new Set(others);
  return names.filter((name) => !left.has(name));
}

/** Entries as `remember_error` in attempts.lua writes them: five words, the last is the number of bytes behind them. */
function readAttempts(entries: Buffer): FailedAttempt[] {
  const attempts: FailedAttempt[] = [];
  for (let at = 0; at < entries.length; ) {
    const words: string[] = [];
    for (let count = 0; count < 5; count += 1) {
      const end = entries.indexOf(' ', at);
      words.push(entries.toString('utf8', at, end));
      at = end < 0 ? entries.length : end + 1;
    }
    const [startedAt, endedAt, claim, worker = '', bytes] = words;
    const error = readTaskError(entries.subarray(at, at + Number(bytes)));
    attempts.push({
      startedAt: Number(startedAt),
      endedAt: Number(endedAt),
      claim: Number(claim),
      worker,
      error,
    });
    // Another program may have spoilt it.
    at += Number(bytes) || entries.length;
  }
  return attempts;
}
