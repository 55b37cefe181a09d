// Whether Redis should take more tasks: limits that keep a flood of them from filling it up.
// What is left of each limit is looked up now and then, and counted down in between, so that most requests ask Redis nothing.

import type { Redis } from 'ioredis';
import { LRUCache } from 'lru-cache';
import { within } from '../lifecycle.ts';
import { PopfleetError } from '../protocol/errors.ts';
import { isCluster } from './connection.ts';
import { homeOf, keyOf, placesOf } from './keys.ts';
import { memoryOn, serverOf } from './redis-memory.ts';

export interface CapacityLimits {
  /** Tasks that may wait in one queue; 0 = without limit. */
  readonly queueLimit: number;
  /** Bytes that the inputs of the unfinished tasks of one queue may take, about; 0 = without limit. */
  readonly queueLimitBytes: number;
  /** Of Redis' `maxmemory`, what new tasks may not touch; 0 = nothing. */
  readonly memoryReservePercent: number;
}

export interface Capacity {
  /**
   * Asks for room for tasks that are about to be sent, and takes it.
   * @param bytes of their contents
   * @returns a promise unless there is room for certain; it rejects with PopfleetError `queue-full` or `redis-full`
   */
  reserve(queue: string, tasks: number, bytes: number): Promise<void> | undefined;
}

/** What was seen is good for so long. */
const FRESH_MS = 200;
/** Until then a request goes by what was seen, and has it looked up for the next one. */
const USABLE_MS = 400;
/** When Redis does not answer in time, nothing is refused here: the command that sends the task fails then. */
const LOOK_WITHIN_MS = 250;
/** Queues are named by callers: beyond so many the one that was idle the longest is forgotten. */
const MOST_QUEUES = 10_000;
const RETRY_SECONDS = 10;
/** Contents that Redis looks at to estimate all of them. */
const SAMPLES = 50;

/** @param client a connection of `openCommandConnection` */
export function createCapacity(
  client: Redis,
  { queueLimit, queueLimitBytes, memoryReservePercent }: CapacityLimits,
  now: () => number = () => performance.now(),
): Capacity {
  const depths = createGauges((queue) => queueRoom(client, queue, queueLimit), now);
  const weights = createGauges((queue) => bytesRoom(client, queue, queueLimitBytes), now);
  const memories = createGauges((server) => memoryRoom(client, server, memoryReservePercent), now);
  const only = isCluster(client) ? undefined : memories('');
  /** The queues of one server share its memory. */
  const memory = (queue: string): Gauge => only ?? memories(serverOf(client, keyOf(homeOf(queue), 'queue')));

  async function demand(queue: string, tasks: number, bytes: number, hasRoom: Taken): Promise<void> {
    if (!(await hasRoom)) throw queueFull(queue, tasks, queueLimit);
    await demandBytes(queue, bytes, queueLimitBytes === 0 || weights(queue).take(bytes));
  }

  async function demandBytes(queue: string, bytes: number, hasRoom: Taken): Promise<void> {
    if (!(await hasRoom)) throw queueHeavy(queue, queueLimitBytes);
    await demandMemory(memoryReservePercent === 0 || memory(queue).take(bytes));
  }

  async function demandMemory(fits: Taken): Promise<void> {
    if (!(await fits)) throw redisFull(memoryReservePercent);
  }

  return {
    reserve(queue, tasks, bytes) {
      const hasRoom = queueLimit === 0 || depths(queue).take(tasks);
      if (hasRoom !== true) return demand(queue, tasks, bytes, hasRoom);
      const isLight = queueLimitBytes === 0 || weights(queue).take(bytes);
      if (isLight !== true) return demandBytes(queue, bytes, isLight);
      const fits = memoryReservePercent === 0 || memory(queue).take(bytes);
      return fits === true ? undefined : demandMemory(fits);
    },
  };
}

function queueFull(queue: string, tasks: number, limit: number): PopfleetError {
  return new PopfleetError(
    'queue-full',
    `At most ${limit} tasks may wait in the queue "${queue}" (QUEUE_LIMIT), and there is no room for ${tasks} more. Try again when workers have caught up.`,
    { retryAfterSeconds: jittered(RETRY_SECONDS) },
  );
}

function queueHeavy(queue: string, limitBytes: number): PopfleetError {
  return new PopfleetError(
    'queue-full',
    `The inputs of the unfinished tasks in the queue "${queue}" may take at most ${limitBytes} bytes (QUEUE_LIMIT_BYTES). Try again when workers have caught up.`,
    { retryAfterSeconds: jittered(RETRY_SECONDS) },
  );
}

function redisFull(reservePercent: number): PopfleetError {
  return new PopfleetError(
    'redis-full',
    `The last ${reservePercent} % of Redis' maxmemory are kept for the tasks that are there (MEMORY_RESERVE_PERCENT). Try again when some have finished, or give Redis more memory.`,
    { retryAfterSeconds: jittered(RETRY_SECONDS) },
  );
}

type Taken = boolean | Promise<boolean>;

/** One limit, with what is left of it as far as is known. */
interface Gauge {
  /** Takes so much when it is there. A promise when it has to be looked up first; it never rejects. */
  take(amount: number): Taken;
}

/** @param look what is left now; `Infinity` when there is no limit */
function createGauge(look: () => Promise<number>, now: () => number): Gauge {
  let left = 0;
  let seenAt = Number.NEGATIVE_INFINITY;
  let looking: Promise<void> | undefined;

  async function lookUp(): Promise<void> {
    left = (await within(look(), LOOK_WITHIN_MS).catch(() => undefined)) ?? Number.POSITIVE_INFINITY;
    seenAt = now();
    looking = undefined;
  }

  function takeNow(amount: number): boolean {
    if (amount > left) return false;
    left -= amount;
    return true;
  }

  return {
    take(amount) {
      const ageMs = now() - seenAt;
      if (ageMs > FRESH_MS) {
        looking ??= lookUp();
        // Where no limit was seen, no request waits to see whether there is one now.
        const isUsable = ageMs <= USABLE_MS || left === Number.POSITIVE_INFINITY;
        if (!isUsable || amount > left) return looking.then(() => takeNow(amount));
      }
      return takeNow(amount);
    },
  };
}

/** One for each queue or server, as they are asked for. */
function createGauges(look: (queue: string) => Promise<number>, now: () => number): (queue: string) => Gauge {
  const gauges = new LRUCache<string, Gauge>({
    max: MOST_QUEUES,
    memoMethod: (queue) => createGauge(() => look(queue), now),
  });
  return (queue) => gauges.memo(queue);
}

async function queueRoom(client: Redis, queue: string, limit: number): Promise<number> {
  const counts = await Promise.all(
    placesOf(queue).map((place) => client.hmget(keyOf(place, 'count'), 'ready', 'scheduled', 'waiting')),
  );
  return limit - sum(counts.flat());
}

/** What Redis answers for nothing counts as 0. */
function sum(numbers: readonly (string | number | null)[]): number {
  return numbers.reduce<number>((total, one) => total + Number(one ?? 0), 0);
}

/** All contents, as Redis estimates them from samples, without what finished tasks keep, which is counted. */
async function bytesRoom(client: Redis, queue: string, limitBytes: number): Promise<number> {
  const places = placesOf(queue);
  const [all, finished] = await Promise.all([
    Promise.all(places.map((place) => client.memory('USAGE', keyOf(place, 'contents'), 'SAMPLES', SAMPLES))),
    Promise.all(places.map((place) => client.hget(keyOf(place, 'count'), 'bytes'))),
  ]);
  return limitBytes - Math.max(0, sum(all) - sum(finished));
}

async function memoryRoom(client: Redis, server: string, reservePercent: number): Promise<number> {
  const { usedBytes, limitBytes } = await memoryOn(client, server);
  return limitBytes === 0 ? Number.POSITIVE_INFINITY : limitBytes * (1 - reservePercent / 100) - usedBytes;
}

/** So that those who were refused together do not come back together: ± 10 %, in whole seconds. */
function jittered(seconds: number): number {
  return Math.max(1, Math.round(seconds * (0.9 + 0.2 * Math.random())));
}
