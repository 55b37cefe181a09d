// Writes and deletes schedules. What reads them is schedule-reader.ts, what makes tasks of them ticks.ts.

import type { Redis } from 'ioredis';
import { encodeCbor } from '../protocol/cbor.ts';
import { PopfleetError } from '../protocol/errors.ts';
import { requestDigest } from '../protocol/request-digest.ts';
import { DEFAULT_LANE } from '../protocol/lane.ts';
import {
  countSkipped,
  haveSameTiming,
  MISSED_AFTER_MS,
  nextTick,
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
  isSeen,
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

interface ChangedSchedule extends PutSchedule {
  readonly queue: string;
}

/** @throws PopfleetError `redis-unavailable` from every method when Redis does not answer */
export interface Schedules {
  /**
   * Writes a schedule. What stands in Redis already is kept as far as it can be: all of it when nothing is changed, the
   * last run and skipped ticks always, the planned tick unless the new definition ticks at other times, and also then when
   * it is due already. Unless the queue has one of that name, the one that another queue has moves.
   * @param among those that may move; all unless given
   * @throws PopfleetError `ambiguous-name` when several might move; `forbidden` when the queue has one of that name that the
   *   caller may not see
   */
  put(queue: string, name: string, schedule: Schedule, among?: Among): Promise<PutSchedule>;
  /**
   * Changes a schedule where it is. What is kept of it is what `put` keeps.
   * @param edit makes the new one of what is there, or of the reason why that cannot be read; called again when that was changed
   *   meanwhile
   * @returns `undefined` when there is none
   * @throws PopfleetError `ambiguous-name` as `find`; what `edit` throws
   */
  change(
    name: string,
    among: Among,
    edit: (old: Schedule | string) => Schedule,
  ): Promise<ChangedSchedule | undefined>;
  /** @throws PopfleetError `ambiguous-name` when there are several of that name */
  find(name: string, among?: Among): Promise<StoredSchedule | undefined>;
  list(among?: Among): Promise<readonly StoredSchedule[]>;
  /**
   * @returns whether there was one
   * @throws PopfleetError `ambiguous-name` as `find`
   */
  delete(name: string, among?: Among): Promise<boolean>;
}

const EVERYWHERE: Among = { queue: () => true };

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

  /** @param other the one that moves here. @returns `undefined` when the schedule was changed meanwhile */
  async function replace(
    queue: string,
    name: string,
    schedule: Schedule,
    here: FoundSchedule | undefined,
    other?: FoundSchedule,
  ): Promise<PutSchedule | undefined> {
    const [seconds] = await client.time();
    const now = Number(seconds) * 1_000;
    const before = here ?? other;
    const known = typeof before?.schedule === 'string' ? undefined : before?.schedule;
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

  async function tryPut(
    queue: string,
    name: string,
    schedule: Schedule,
    among: Among,
  ): Promise<PutSchedule | undefined> {
    const found = await findAll(name, { queue: (one) => one === queue || among.queue(one) });
    const here = found.find((one) => one.queue === queue);
    if (here && !isSeen(here.schedule, among)) throw unseen(queue);
    const others = found.filter((one) => one.queue !== queue && isSeen(one.schedule, among));
    const other = here && hasArrived(here) ? undefined : onlyOne(others);
    await registerQueues(client, [queue]);
    return replace(queue, name, schedule, here, other);
  }

  return withStoreErrors<Schedules>({
    put: (queue, name, schedule, among = EVERYWHERE) =>
      untilWritten(name, () => tryPut(queue, name, schedule, among)),
    async change(name, among, edit) {
      const changed = await untilWritten(name, async () => {
        const found = onlyOne(await findAll(name, among));
        if (!found) return 'none';
        const { queue } = found;
        const put = await replace(queue, name, edit(found.schedule), found);
        return put && { ...put, queue };
      });
      return changed === 'none' ? undefined : changed;
    },
    find: (name, among = EVERYWHERE) => find(name, among),
    list: (among = EVERYWHERE) => list(among),
    async delete(name, among = EVERYWHERE) {
      const found = onlyOne(await findAll(name, among));
      let current = found;
      while (current && !(await drop(client, current))) {
        [current] = await findAll(name, { ...among, queue: (queue) => queue === found?.queue });
      }
      return found !== undefined;
    },
  });
}

async function untilWritten<Written>(
  name: string,
  attempt: () => Promise<Written | undefined>,
): Promise<Written> {
  for (let tries = 0; tries < MOST_TRIES; tries += 1) {
    const written = await attempt();
    if (written !== undefined) return written;
  }
  throw new Error(`the schedule ${name} is changed all the time`);
}

/** It says no more of that schedule than that its name is taken. */
function unseen(queue: string): PopfleetError {
  return new PopfleetError(
    'forbidden',
    `The queue ${queue} has a schedule of this name that this key may not change: give yours another name.`,
  );
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
function hasArrived({ schedule, isPlanned, parked }: FoundSchedule): boolean {
  return isPlanned || parked !== undefined || typeof schedule === 'string';
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
