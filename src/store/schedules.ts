// Writes and deletes schedules. What reads them is schedule-reader.ts, what makes tasks of them ticks.ts.

import type { Redis } from 'ioredis';
import { encodeCbor } from '../protocol/cbor.ts';
import { requestDigest } from '../protocol/request-digest.ts';
import { DEFAULT_LANE } from '../protocol/lane.ts';
import {
  countSkipped,
  haveSameTiming,
  MISSED_AFTER_MS,
  nextTick,
  readSchedule,
  type Schedule,
  type SkippedTicks,
} from '../protocol/schedule.ts';
import { homeOf } from './keys.ts';
import { registerQueues } from './queue-names.ts';
import { digestOf, writeSkipped } from './schedule-record.ts';
import {
  type Among,
  createScheduleReader,
  type FoundSchedule,
  onlyOne,
  type StoredSchedule,
} from './schedule-reader.ts';
import { runScript } from './scripts.ts';
import { withStoreErrors } from './store-error.ts';

interface PutSchedule {
  readonly isNew: boolean;
  /** Ticks that were skipped because the schedule was paused when they were due. */
  readonly skipped: SkippedTicks | undefined;
}

/** @throws PopfleetError `redis-unavailable` from every method when Redis does not answer */
export interface Schedules {
  /**
   * Writes a schedule. What stands in Redis already is kept as far as it can be: all of it when nothing is changed, the
   * last run and skipped ticks always, the planned tick unless the new definition ticks at other times, and also then when
   * it is due already. Unless the queue has one of that name, the one that another queue has moves.
   * @param among queues from which it may move; all unless given
   * @throws PopfleetError `ambiguous-name` when several might move
   */
  put(queue: string, name: string, schedule: Schedule, among?: Among): Promise<PutSchedule>;
  /** @throws PopfleetError `ambiguous-name` when several of these queues have one of that name */
  find(name: string, among?: Among): Promise<StoredSchedule | undefined>;
  list(): Promise<readonly StoredSchedule[]>;
  /**
   * @returns whether there was one
   * @throws PopfleetError `ambiguous-name` as `find`
   */
  delete(name: string, among?: Among): Promise<boolean>;
}

const EVERYWHERE: Among = () => true;

/** A schedule was changed by other callers this often while one call tried to change it. */
const MOST_TRIES = 20;
/** What goes with a schedule to another queue; '' for nothing. */
interface Carried {
  readonly planned: string;
  readonly lastRun: string;
  readonly skipped: string;
}
const NOTHING: Carried = { planned: '', lastRun: '', skipped: '' };

/** What becomes of the planned tick, as schedule.lua reads it. */
interface Plan {
  readonly which: 'same' | 'owed' | 'new';
  readonly next: number | undefined;
  readonly skipped: SkippedTicks | undefined;
}

/** @param client a connection of `openCommandConnection` */
export function createSchedules(client: Redis): Schedules {
  const { find, list, findAll } = createScheduleReader(client);

  /** `undefined` when the schedule was changed meanwhile. */
  async function tryPut(
    queue: string,
    name: string,
    schedule: Schedule,
    among: Among,
  ): Promise<PutSchedule | undefined> {
    const found = await findAll(name, (one) => one === queue || among(one));
    const [seconds] = await client.time();
    const now = Number(seconds) * 1_000;
    const here = found.find((one) => one.queue === queue);
    const other = here && hasArrived(here) ? undefined : onlyOne(found.filter((one) => one.queue !== queue));
    await registerQueues(client, [queue]);
    const before = here ?? other;
    const old = before && readSchedule(before.definition);
    const known = typeof old === 'string' ? undefined : old;
    const plan = planAfter(known, schedule, before?.parked, now);
    const isSame = here !== undefined && known !== undefined && canonical(known) === canonical(schedule);
    const bytes = isSame ? here.definition : encodeCbor(schedule);
    const target = { queue, name, before: here?.definition };
    if (!other) {
      const isWritten = await write(client, target, bytes, schedule.paused, plan);
      return isWritten ? { isNew: !before, skipped: plan.skipped } : undefined;
    }
    // It is there before it leaves, so that it is never lost; and it ticks only after that, so that nothing runs twice.
    const noTick: Plan = { which: 'same', next: undefined, skipped: undefined };
    if (!(await write(client, target, bytes, true, noTick))) return undefined;
    const carried = await drop(client, other);
    if (!carried) return undefined;
    const isMoved = await write(
      client,
      { queue, name, before: bytes },
      bytes,
      schedule.paused,
      plan,
      carried,
    );
    return isMoved ? { isNew: false, skipped: plan.skipped } : undefined;
  }

  return withStoreErrors<Schedules>({
    async put(queue, name, schedule, among = EVERYWHERE) {
      for (let tries = 0; tries < MOST_TRIES; tries += 1) {
        const put = await tryPut(queue, name, schedule, among);
        if (put) return put;
      }
      throw new Error(`the schedule ${name} is changed all the time`);
    },
    find: (name, among = EVERYWHERE) => find(name, among),
    list,
    async delete(name, among = EVERYWHERE) {
      const found = onlyOne(await findAll(name, among));
      let current = found;
      while (current && !(await drop(client, current))) {
        [current] = await findAll(name, (queue) => queue === found?.queue);
      }
      return found !== undefined;
    },
  });
}

/** @param before the definition that it replaces. @returns false when the schedule was changed meanwhile */
async function write(
  client: Redis,
  {
    queue,
    name,
    before,
  }: { readonly queue: string; readonly name: string; readonly before: Buffer | undefined },
  definition: Buffer,
  isPaused: boolean,
  { which, next, skipped }: Plan,
  carried: Carried = NOTHING,
): Promise<boolean> {
  const [word] = (await runScript(client, 'schedule', homeOf(queue), [
    name,
    digestOf(before),
    definition,
    isPaused ? 'paused' : 'active',
    which,
    next ?? '',
    skipped ? writeSkipped(skipped) : '',
    carried.planned,
    carried.lastRun,
    carried.skipped,
  ])) as Buffer[];
  return String(word) !== 'changed';
}

/** @returns `undefined` when the schedule was changed meanwhile */
async function drop(client: Redis, { queue, name, definition }: FoundSchedule): Promise<Carried | undefined> {
  const args = [name, digestOf(definition), '', '', '', '', '', '', '', ''];
  const reply = (await runScript(client, 'schedule', homeOf(queue), args)) as (Buffer | null)[];
  const [word, planned = '', lastRun = '', skipped = ''] = reply.map((item) => item?.toString());
  return word === 'changed' ? undefined : { planned, lastRun, skipped };
}

/** A move writes the schedule without a tick first. One that broke off then is completed by the same `put`. */
function hasArrived({ definition, isPlanned, parked }: FoundSchedule): boolean {
  return isPlanned || parked !== undefined || typeof readSchedule(definition) === 'string';
}

/** The rule that docs/protocol.md states: what is kept of a schedule that is written again. */
function planAfter(
  old: Schedule | undefined,
  schedule: Schedule,
  parked: number | undefined,
  now: number,
): Plan {
  const next = nextTick(schedule, now);
  if (!old) return { which: 'new', next, skipped: undefined };
  const isMissed = old.paused && !schedule.paused && parked !== undefined && now - parked > MISSED_AFTER_MS;
  if (isMissed && schedule.misfire === 'skip') {
    return { which: 'new', next, skipped: countSkipped(old, parked, now) };
  }
  return { which: haveSameTiming(old, schedule) ? 'same' : 'owed', next, skipped: undefined };
}

/** Equal for schedules that mean the same, in whatever order, and whether defaults are spelled out or not. */
function canonical({ priority = DEFAULT_LANE, ...schedule }: Schedule): string {
  return requestDigest({ priority, ...schedule });
}
