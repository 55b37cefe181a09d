// Finds and lists schedules as they stand in Redis, also those that cannot be read.

import type { Redis } from 'ioredis';
import { PopfleetError } from '../protocol/errors.ts';
import { readSchedule, type Schedule, type SkippedTicks } from '../protocol/schedule.ts';
import { readHash } from './read-whole.ts';
import { homeOf, type KeyName, keyOf, QUEUES_KEY } from './keys.ts';
import { type LastRun, readLastRun, readSkipped } from './schedule-record.ts';

export interface StoredSchedule {
  readonly name: string;
  readonly queue: string;
  /** `undefined` when it cannot be read: `fault` says why. It does not tick then. */
  readonly schedule: Schedule | undefined;
  /** What is wrong with what Redis has of it. */
  readonly fault: string | undefined;
  readonly lastRun: LastRun | undefined;
  /** All that were skipped so far, and when those that were skipped most recently were due. */
  readonly skipped: SkippedTicks | undefined;
}

/** How a name shows that is no UTF-8. */
const NOT_UTF8 = '\uFFFD';

/** What a change of a schedule is based on. */
export interface FoundSchedule {
  readonly queue: string;
  /** The name in the bytes that Redis has. */
  readonly name: Buffer;
  readonly definition: Buffer;
  /** What the definition says; a text with the reason when it cannot be read. */
  readonly schedule: Schedule | string;
  /** The tick it had when it was paused. */
  readonly parked: number | undefined;
  /** Whether a tick is planned. */
  readonly isPlanned: boolean;
}

/** Which schedules are meant. */
export interface Among {
  /** Whether a name is looked for in a queue. */
  readonly queue: (queue: string) => boolean;
  /** Whether the caller may see a queue; all unless given. */
  readonly sees?: (queue: string) => boolean;
}

/** Whoever may not see a step of its workflow does not see the schedule. */
export function isSeen(schedule: Schedule | string | undefined, { sees }: Among): boolean {
  const steps = typeof schedule === 'object' ? schedule.steps : undefined;
  return !sees || !steps || steps.every(([, queue]) => sees(queue));
}

export interface ScheduleReader {
  list(among: Among): Promise<readonly StoredSchedule[]>;
  /** @throws PopfleetError `ambiguous-name` when several queues have one of that name */
  find(name: string, among: Among): Promise<StoredSchedule | undefined>;
  /** The schedules of a name: more than one when several callers chose it, or when a move between queues broke off. */
  findAll(name: string, among: Among): Promise<readonly FoundSchedule[]>;
}

/**
 * @param client a connection of `openCommandConnection`
 * @throws Error of ioredis from every method
 */
export function createScheduleReader(client: Redis): ScheduleReader {
  async function listQueue(queue: string): Promise<StoredSchedule[]> {
    const key = (name: KeyName): string => keyOf(homeOf(queue), name);
    const [definitions, lastRuns, skipped] = await Promise.all([
      readHash(client, key('schedules')),
      readHash(client, key('last-runs')),
      readHash(client, key('skipped')),
    ]);
    return Array.from(definitions, ([name, definition]) =>
      toStored(
        queue,
        Buffer.from(name, 'latin1').toString(),
        definition,
        lastRuns.get(name),
        skipped.get(name),
      ),
    );
  }

  async function queuesAmong({ queue }: Among): Promise<readonly string[]> {
    return (await client.smembers(QUEUES_KEY)).filter((name) => queue(name));
  }

  async function list(among: Among): Promise<readonly StoredSchedule[]> {
    const found = await Promise.all((await queuesAmong(among)).map(listQueue));
    return found
      .flat()
      .filter(({ schedule }) => isSeen(schedule, among))
      .sort((one, other) => (one.name < other.name ? -1 : 1));
  }

  async function nameIn(queue: string, name: string): Promise<Buffer> {
    if (!name.includes(NOT_UTF8)) return Buffer.from(name);
    const names = [...(await readHash(client, keyOf(homeOf(queue), 'schedules'))).keys()];
    const bytes = names.map((one) => Buffer.from(one, 'latin1')).find((one) => one.toString() === name);
    return bytes ?? Buffer.from(name);
  }

  async function findAll(name: string, among: Among): Promise<FoundSchedule[]> {
    const queues = (await queuesAmong(among)).toSorted();
    const found = await Promise.all(
      queues.map(async (queue) => {
        const bytes = await nameIn(queue, name);
        const home = homeOf(queue);
        const [definition, parked, planned] = await Promise.all([
          client.hgetBuffer(keyOf(home, 'schedules'), bytes),
          client.hget(keyOf(home, 'parked'), bytes),
          client.zscore(keyOf(home, 'ticks'), bytes),
        ]);
        if (!definition) return undefined;
        const schedule = readSchedule(definition);
        if (!isSeen(schedule, among)) return undefined;
        const isPlanned = planned !== null;
        return { queue, name: bytes, definition, schedule, parked: timeOf(parked), isPlanned };
      }),
    );
    return found.filter((one) => one !== undefined);
  }

  async function find(name: string, among: Among): Promise<StoredSchedule | undefined> {
    const found = onlyOne(await findAll(name, among));
    if (!found) return undefined;
    const [lastRun, skipped] = await Promise.all([
      client.hgetBuffer(keyOf(homeOf(found.queue), 'last-runs'), found.name),
      client.hgetBuffer(keyOf(homeOf(found.queue), 'skipped'), found.name),
    ]);
    return toStored(found.queue, name, found.definition, lastRun ?? undefined, skipped ?? undefined);
  }

  return { list, find, findAll };
}

/** @throws PopfleetError `ambiguous-name` */
export function onlyOne(found: readonly FoundSchedule[]): FoundSchedule | undefined {
  const [first, ...others] = found;
  if (others.length === 0) return first;
  const queues = found.map(({ queue }) => queue).join(', ');
  throw new PopfleetError(
    'ambiguous-name',
    `There are schedules of this name in several queues (${queues}). Say with \`?queue=\` which one is meant.`,
  );
}

function toStored(
  queue: string,
  name: string,
  definition: Buffer,
  lastRun: Buffer | undefined,
  skipped: Buffer | undefined,
): StoredSchedule {
  const schedule = readSchedule(definition);
  const run = lastRun && readLastRun(lastRun.toString());
  const isReadable = typeof schedule !== 'string';
  return {
    name,
    queue,
    schedule: isReadable ? schedule : undefined,
    fault: isReadable ? (lastRun && !run ? 'its last run cannot be read' : undefined) : schedule,
    lastRun: run,
    skipped: skipped && readSkipped(skipped.toString()),
  };
}

function timeOf(text: string | null): number | undefined {
  const time = Number(text ?? Number.NaN);
  return Number.isSafeInteger(time) ? time : undefined;
}
