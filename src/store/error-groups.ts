// Dead letters by fingerprint: how often each kind of failure has ended a task for good, and how many of these tasks are dead now.
// The scripts count (lua/lib/error-groups.lua); here stands what a worker tells them, and what reads it.

import type { Redis } from 'ioredis';
import { messageOfGroup, MOST_VERSIONS } from '../protocol/fingerprint.ts';
import type { TaskError } from '../protocol/task-error.ts';
import { cutText } from '../protocol/value-text.ts';
import { keyOf, type Place, placesOf } from './keys.ts';
import { runScript } from './scripts.ts';
import { withStoreErrors } from './store-error.ts';
import { escapeText } from './terms.ts';

/** Names a group: a fingerprint, or `other` for all failures of kinds that are beyond the thousand of a queue. */
export const FINGERPRINT = /^(?:[0-9a-f]{16}|other)$/;
const NAME_CHARS = 256;
/** Groups that one call reads. */
const READ_AT_ONCE = 100;

export interface ErrorGroup {
  readonly queue: string;
  /** 16 hexadecimal digits, or `other`. */
  readonly fingerprint: string;
  /** `undefined` of the group `other`. */
  readonly type: string | undefined;
  /** Name and message of the error, without what differs from task to task. */
  readonly name: string;
  readonly message: string;
  /** Tasks of the group that are dead now. */
  readonly dead: number;
  /** How often a task has died of it. */
  readonly total: number;
  /** Milliseconds of the Redis clock. */
  readonly firstSeenAt: number;
  readonly lastSeenAt: number;
  /** Id of the newest task of it that is dead now; when none is, of the one that died last. */
  readonly sample: string;
  /** `undefined`: it has died of it under a release that did not count them. */
  readonly hours: Hours | undefined;
  /** The fewest and the most attempts that a task had had when it died of it; `undefined` likewise. */
  readonly attempts: Attempts | undefined;
  /** Versions of the code under which tasks have died of it, as workers have said them: the latest five, the latest first. */
  readonly versions: readonly string[];
  /** Nobody wants to be warned of it as long as this holds; `undefined`: it is not ignored, or no longer. */
  readonly ignored: Ignored | undefined;
}

interface Attempts {
  readonly least: number;
  readonly most: number;
}

/** What ends it; nothing of both: it is ignored until it is heeded again, or the group goes. */
interface Ignored {
  /** Milliseconds since 1970. */
  readonly until: number | undefined;
  /** It is over once `total` is beyond this. */
  readonly untilTotal: number | undefined;
}

/** How a group shall be ignored from now on. */
export interface Ignoring {
  /** Milliseconds since 1970. */
  readonly until: number | undefined;
  /** It is over once so many more tasks have died of it, and one. */
  readonly moreDeaths: number | undefined;
}

/** Deaths by the hour. */
interface Hours {
  /** When the newest hour that has any began, in milliseconds since 1970. */
  readonly latestAt: number;
  /** In each hour up to that one, the newest last; 24 at most. */
  readonly counts: readonly number[];
}

const HOUR_MS = 3_600_000;

/** A group among those of all queues, which are in the order of `lastSeenAt`, the latest first. */
export type GroupPosition = Pick<ErrorGroup, 'queue' | 'fingerprint' | 'lastSeenAt'>;

interface GroupQuery {
  readonly queues: readonly string[];
  /** Of this task type alone. */
  readonly type: string | undefined;
  /** Last seen then or later, in milliseconds since 1970. */
  readonly since: number | undefined;
  /** Those that are ignored alone, or all others alone. */
  readonly ignored: boolean | undefined;
  /** Of each queue, first seen then or later, in milliseconds since 1970; a queue that is missing has none. */
  readonly firstSince: ReadonlyMap<string, number> | undefined;
  readonly limit: number;
  /** Behind this one. */
  readonly behind: GroupPosition | undefined;
}

/** @throws PopfleetError `redis-unavailable` from every method when Redis does not answer */
export interface ErrorGroups {
  /** @returns also whether there are more behind the last one */
  list(query: GroupQuery): Promise<{ readonly groups: readonly ErrorGroup[]; readonly hasMore: boolean }>;
  /** The group of each of these queues that has it. */
  find(queues: readonly string[], fingerprint: string): Promise<readonly ErrorGroup[]>;
  /** Ignores the group in each of these queues that has it. @param how `undefined`: it is heeded again */
  ignore(queues: readonly string[], fingerprint: string, how: Ignoring | undefined): Promise<void>;
}

/**
 * What a worker says of the error of a task that is dead; `''` without a fingerprint. As error-groups.lua reads it.
 * @param version of the code that ran it; unless given none has
 */
export function writeErrorGroup(
  type: string,
  { fingerprint, name, message }: TaskError,
  version = '-',
): string {
  if (fingerprint === undefined) return '';
  const shortName = cutText(name, NAME_CHARS) || 'Error';
  const about = { type, name: shortName, message: messageOfGroup(message) };
  return `${fingerprint} ${escapeText(shortName)} ${version} ${JSON.stringify(about)}`;
}

/** @param client a connection of `openCommandConnection` */
export function createErrorGroups(client: Redis): ErrorGroups {
  return withStoreErrors<ErrorGroups>({
    async list({ queues, type, since, ignored, firstSince, limit, behind }) {
      const seen = await Promise.all(queues.map((queue) => positionsOf(client, queue, since)));
      const wanted = seen.flat().sort(comparePositions);
      const rest = behind ? wanted.filter((one) => comparePositions(one, behind) > 0) : wanted;
      const groups: ErrorGroup[] = [];
      for (let at = 0; at < rest.length && groups.length <= limit; at += READ_AT_ONCE) {
        const read = await Promise.all(
          rest.slice(at, at + READ_AT_ONCE).map((one) => readGroup(client, one.queue, one.fingerprint)),
        );
        const found = read.filter((one) => one !== undefined);
        const isWanted = (one: ErrorGroup): boolean =>
          (type === undefined || one.type === type) &&
          (ignored === undefined || (one.ignored !== undefined) === ignored) &&
          (firstSince === undefined || one.firstSeenAt >= (firstSince.get(one.queue) ?? Infinity));
        groups.push(...found.filter(isWanted));
      }
      return { groups: groups.slice(0, limit), hasMore: groups.length > limit };
    },

    async find(queues, fingerprint) {
      const found = await Promise.all(queues.map((queue) => readGroup(client, queue, fingerprint)));
      return found.filter((one) => one !== undefined);
    },

    async ignore(queues, fingerprint, how) {
      const args = how ? ['ignore', how.until ?? '', how.moreDeaths ?? ''] : ['heed', '', ''];
      const places = queues.flatMap((queue) => placesOf(queue));
      await Promise.all(places.map((place) => runScript(client, 'ignore', place, [fingerprint, ...args])));
    },
  });
}

/** The latest first; of those that were seen at one time in the order of their names. */
function comparePositions(one: GroupPosition, other: GroupPosition): number {
  const [name, otherName] = [`${one.queue} ${one.fingerprint}`, `${other.queue} ${other.fingerprint}`];
  return other.lastSeenAt - one.lastSeenAt || (name < otherName ? -1 : name > otherName ? 1 : 0);
}

async function positionsOf(
  client: Redis,
  queue: string,
  since: number | undefined,
): Promise<readonly GroupPosition[]> {
  const latest = new Map<string, number>();
  for (const place of placesOf(queue)) {
    const key = keyOf(place, 'error-groups-seen');
    const flat = await client.zrangebyscore(key, since ?? '-inf', '+inf', 'WITHSCORES');
    for (let at = 0; at + 1 < flat.length; at += 2) {
      const fingerprint = flat[at] as string;
      latest.set(fingerprint, Math.max(Number(flat[at + 1]), latest.get(fingerprint) ?? 0));
    }
  }
  return Array.from(latest, ([fingerprint, lastSeenAt]) => ({ queue, fingerprint, lastSeenAt }));
}

async function readGroup(client: Redis, queue: string, fingerprint: string): Promise<ErrorGroup | undefined> {
  const parts = await Promise.all(placesOf(queue).map((place) => readPart(client, place, fingerprint)));
  return parts.reduce((one, other) => (one && other ? together(one, other) : (one ?? other)), undefined);
}

/** A group is counted in each place of its queue. */
function together(one: ErrorGroup, other: ErrorGroup): ErrorGroup {
  const [latest, before] = one.lastSeenAt < other.lastSeenAt ? [other, one] : [one, other];
  return {
    ...latest,
    dead: one.dead + other.dead,
    total: one.total + other.total,
    firstSeenAt: Math.min(one.firstSeenAt, other.firstSeenAt),
    sample: latest.dead === 0 && before.dead > 0 ? before.sample : latest.sample,
    hours: addHours(one.hours, other.hours),
    attempts: addAttempts(one.attempts, other.attempts),
    versions: [...new Set([...latest.versions, ...before.versions])].slice(0, MOST_VERSIONS),
  };
}

function addAttempts(one: Attempts | undefined, other: Attempts | undefined): Attempts | undefined {
  if (!one || !other) return one ?? other;
  return { least: Math.min(one.least, other.least), most: Math.max(one.most, other.most) };
}

function addHours(one: Hours | undefined, other: Hours | undefined): Hours | undefined {
  if (!one || !other) return one ?? other;
  const latestAt = Math.max(one.latestAt, other.latestAt);
  const countsOf = ({ latestAt: at, counts }: Hours, hour: number): number =>
    counts.at(counts.length - 1 - hour + (latestAt - at) / HOUR_MS) ?? 0;
  const all = Math.max(...[one, other].map((of) => of.counts.length + (latestAt - of.latestAt) / HOUR_MS));
  return {
    latestAt,
    counts: Array.from(
      { length: all },
      (_, nth) => countsOf(one, all - 1 - nth) + countsOf(other, all - 1 - nth),
    ),
  };
}

async function readPart(client: Redis, place: Place, fingerprint: string): Promise<ErrorGroup | undefined> {
  const reply = (await runScript(client, 'group', place, [fingerprint])) as [
    Buffer,
    Buffer,
    number,
    Buffer,
    Buffer,
  ];
  const [entry, seen, dead, newest, ignored] = reply;
  const [, first, total, latest = '', json = ''] = /^(\d+) (\d+) (\S+) (.*)$/s.exec(entry.toString()) ?? [];
  if (first === undefined) return undefined;
  return {
    queue: place.queue,
    fingerprint,
    ...readAbout(json),
    dead,
    total: Number(total),
    firstSeenAt: Number(first),
    lastSeenAt: Number(seen.toString()),
    sample: newest.length === 0 ? latest : newest.toString(),
    ignored: readIgnored(ignored.toString()),
  };
}

const BEYOND = 'failures of further kinds: at most 1,000 are counted one by one';

/** As error-groups.lua writes them, the newest first. */
function readHours(text: string | undefined): Hours | undefined {
  const [, hour, counts] = /^(\d{1,9}) (\d[\d,]*)$/.exec(text ?? '') ?? [];
  if (hour === undefined || counts === undefined) return undefined;
  return { latestAt: Number(hour) * HOUR_MS, counts: counts.split(',').map(Number).toReversed() };
}

/** `<until> <most>`, as lib/ignored.lua has it; `''`: it is not ignored. */
function readIgnored(text: string): Ignored | undefined {
  const [until, most] = text.split(' ');
  if (until === undefined || most === undefined) return undefined;
  const number = (word: string): number | undefined => (word === '-' ? undefined : Number(word));
  return { until: number(until), untilTotal: number(most) };
}

/** `<fewest> <most>`, as error-groups.lua writes them. */
function readAttempts(text: string | undefined): Attempts | undefined {
  const [, least, most] = /^(\d{1,9}) (\d{1,9})$/.exec(text ?? '') ?? [];
  return least === undefined ? undefined : { least: Number(least), most: Number(most) };
}

type About = Pick<ErrorGroup, 'type' | 'name' | 'message' | 'hours' | 'attempts' | 'versions'>;

/** The group `other` has no type, name or message. */
function readAbout(json: string): About {
  const text = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined);
  try {
    const { type, name, message, hours, attempts, versions } = JSON.parse(json) as Partial<
      Record<string, unknown>
    >;
    return {
      type: text(type),
      name: text(name) ?? 'Other',
      message: text(message) ?? BEYOND,
      hours: readHours(text(hours)),
      attempts: readAttempts(text(attempts)),
      versions: (text(versions) ?? '').split(' ').filter((version) => version !== ''),
    };
  } catch {
    return {
      type: undefined,
      name: 'Other',
      message: 'what is stored of these failures cannot be read',
      hours: undefined,
      attempts: undefined,
      versions: [],
    };
  }
}
