// Schedules as they stand in Redis, and the ticks that make tasks of them.

import type { Redis } from 'ioredis';
import { decodeTrusted, encodeCbor } from '../protocol/cbor.ts';
import { encodeContent } from '../protocol/message.ts';
import { toMessageOptions } from '../protocol/options.ts';
import { DEFAULT_LANE } from '../protocol/lane.ts';
import { nextTick, planTick, type Schedule } from '../protocol/schedule.ts';
import { newTaskId } from '../protocol/task-id.ts';
import { QUEUES_KEY, queueKey } from './keys.ts';
import { toMore } from './producer.ts';
import { runScript } from './scripts.ts';
import { toStoreError } from './store-error.ts';
import type { DueTick } from './sweeper.ts';

export interface StoredSchedule {
  readonly name: string;
  readonly queue: string;
  readonly schedule: Schedule;
  /** Milliseconds since 1970. */
  readonly lastRun: { readonly due: number; readonly task: string } | undefined;
}

/** @throws PopfleetError `redis-unavailable` from every method when Redis does not answer */
export interface Schedules {
  /** Writes a schedule; one of that name in another queue is replaced. @returns whether it is new */
  put(queue: string, name: string, schedule: Schedule): Promise<boolean>;
  find(name: string): Promise<StoredSchedule | undefined>;
  list(): Promise<readonly StoredSchedule[]>;
  /** @returns whether there was one */
  delete(name: string): Promise<boolean>;
}

/** @param client a connection of `openCommandConnection` */
export function createSchedules(client: Redis): Schedules {
  async function write(
    queue: string,
    name: string,
    definition: Buffer | '',
    next: number | '',
  ): Promise<string> {
    return String(await runScript(client, 'schedule', queueKey(queue), [name, definition, next]));
  }

  async function listQueue(queue: string): Promise<StoredSchedule[]> {
    const [schedules, lastRuns] = await Promise.all([
      client.hgetallBuffer(`${queueKey(queue)}:schedules`),
      client.hgetall(`${queueKey(queue)}:lastrun`),
    ]);
    return Object.entries(schedules).map(([name, bytes]) => ({
      name,
      queue,
      schedule: decodeTrusted(bytes) as Schedule,
      lastRun: readLastRun(lastRuns[name]),
    }));
  }

  async function list(): Promise<readonly StoredSchedule[]> {
    const queues = await client.smembers(QUEUES_KEY);
    const found = await Promise.all(queues.map(listQueue));
    return found.flat().sort((one, other) => (one.name < other.name ? -1 : 1));
  }

  async function find(name: string): Promise<StoredSchedule | undefined> {
    return (await list()).find((schedule) => schedule.name === name);
  }

  const calls: Schedules = {
    async put(queue, name, schedule) {
      const before = await find(name);
      await client.sadd(QUEUES_KEY, queue);
      const [seconds] = await client.time();
      const next = schedule.paused ? undefined : nextTick(schedule, Number(seconds) * 1_000);
      await write(queue, name, encodeCbor(schedule), next ?? '');
      if (before && before.queue !== queue) await write(before.queue, name, '', '');
      return before === undefined;
    },
    find,
    list,
    async delete(name) {
      const before = await find(name);
      return before !== undefined && (await write(before.queue, name, '', '')) === 'deleted';
    },
  };
  return mapErrors(calls);
}

function mapErrors(calls: Schedules): Schedules {
  const fail = (error: unknown): never => {
    throw toStoreError(error);
  };
  return {
    put: (queue, name, schedule) => calls.put(queue, name, schedule).catch(fail),
    find: (name) => calls.find(name).catch(fail),
    list: () => calls.list().catch(fail),
    delete: (name) => calls.delete(name).catch(fail),
  };
}

/**
 * Runs a tick that a sweep has named: whoever comes first makes its task and plans the next one.
 * @param now milliseconds since 1970
 * @returns the id of the task, or `undefined` when the tick was somebody else's, was skipped, or its schedule is gone
 * @throws Error of the store
 */
export async function runTick(
  client: Redis,
  queue: string,
  tick: DueTick,
  now: number,
): Promise<string | undefined> {
  const bytes = await client.hgetBuffer(`${queueKey(queue)}:schedules`, tick.name);
  if (!bytes) return undefined;
  const schedule = decodeTrusted(bytes) as Schedule;
  const { run, next } = planTick(schedule, tick.due, now);
  const id = newTaskId();
  const options = { ...toMessageOptions(schedule), schedule: { name: tick.name, due: tick.due } };
  const task = run
    ? [
        id,
        encodeContent(schedule.type, schedule.input, options),
        schedule.priority ?? DEFAULT_LANE,
        JSON.stringify(toMore(schedule)),
      ]
    : [''];
  const args = [tick.name, tick.due, next ?? '', ...task];
  const word = await runScript(client, 'tick', queueKey(queue), args);
  return run && String(word) === 'ticked' ? id : undefined;
}

/** Due time and task id, as tick.lua wrote them. */
function readLastRun(text: string | undefined): StoredSchedule['lastRun'] {
  const [due, task] = (text ?? '').split(' ');
  return due && task ? { due: Number(due), task } : undefined;
}
