// What follows the ends of tasks: entries that the scripts append to the outbox of a place in the step in which a followed task
// ends (lua/lib/outbox.lua). A relay takes them, has their followers accepted, and notes that.

import type { Redis } from 'ioredis';
import { decodeStored, encodeCbor } from '../protocol/cbor.ts';
import { compact } from '../protocol/compact.ts';
import type { Lane } from '../protocol/lane.ts';
import { TASK_ID_CHARS } from '../protocol/names.ts';
import { keyOf, nameOf, type Place, placeOf, placesOf } from './keys.ts';
import type { TaskExtras } from './new-task.ts';
import { readTasks } from './read-tasks.ts';
import { readStep, type StepOf, type TaskRecord } from './record.ts';
import { runScript } from './scripts.ts';
import { acceptMoving, dropMoved, readMoving } from './transfer.ts';

/** A task that is accepted when the one that it follows has ended. It was checked when that one was accepted. */
export interface Follower {
  readonly queue: string;
  readonly lane: Lane;
  /** As `encodeContent` made it; its cause is added when it is accepted. */
  readonly content: Buffer;
  readonly extras?: Pick<TaskExtras, 'ttlMs' | 'resultTtlMs' | 'terms' | 'follower'> | undefined;
}

/** What else follows an end: something that is told of it. */
export interface Link {
  /**
   * `need`: a task that waits for this end; `workflow`: the record that counts it; `step`: a step of the workflow that the entry is about;
   * `child`: the task whose child has ended; `children`: this task itself, whose children are told; `batch`: a batch and the number of the
   * member in it, with a slash between; `begin`: a workflow itself whose steps are to be accepted.
   */
  readonly kind: 'need' | 'workflow' | 'step' | 'child' | 'children' | 'batch' | 'begin';
  readonly queue: string;
  readonly id: string;
}

const LINK = /^(need|workflow|step|child|children|batch|begin):([^ :]+):([^ :]+)$/;

/** One end of a followed task, with the followers that are still to be accepted. */
export interface OutboxEntry {
  readonly place: Place;
  /** `<id>:<number of the end>`. */
  readonly name: string;
  readonly id: string;
  /** `gone`: there was no such task when something wanted to follow it. `moved`: the task itself goes to another queue. */
  readonly state: string;
  /** It was deleted before it had ended, which ends it as `cancelled`; whoever needs it is told that it is gone. */
  readonly isDeleted?: boolean;
  /** Milliseconds of the Redis clock. */
  readonly endedAt: number;
  /** Position of the first of `followers` among all that follow the task. */
  readonly from: number;
  /** `undefined` for one that cannot be read. */
  readonly followers: readonly (Follower | Link | undefined)[];
  /** CBOR, as the row has it now. */
  readonly result: Buffer | undefined;
  readonly error: Buffer | undefined;
  /** What its task says as a step of a workflow. */
  readonly step?: StepOf | undefined;
}

/** `done`: how many followers of the entry, counted from the first, are accepted; `all`: the entry goes. */
export interface RelayNote {
  readonly name: string;
  readonly done: number | 'all';
}

/** How a task stands that something wants to follow; `moved`: it is on its way to another queue, ask there. */
type FollowAnswer = 'known' | 'following' | 'ended' | 'gone' | 'moved';

/** All calls reject with the plain ioredis error. They work in a full Redis. */
export interface Outbox {
  /**
   * Notes what was relayed, then takes entries that are due, oldest first. They are due again later unless they are noted as done.
   */
  take(place: Place, most: number, notes?: readonly RelayNote[]): Promise<readonly OutboxEntry[]>;
  note(place: Place, notes: readonly RelayNote[]): Promise<void>;
  /** The rows of tasks that have ended, as they are now; those that are gone are left out. */
  rows(place: Place, ids: readonly string[]): Promise<readonly TaskRecord[]>;
  /**
   * Has tasks that are on their way to other queues accepted there, and drops them here. Those that another one is in the way of,
   * or for which Redis is full, are due again later.
   */
  transfer(entries: readonly OutboxEntry[]): Promise<void>;
  /**
   * Lets something follow a task from now on. Of one that has ended, or is gone, the follower is relayed as if it ended now.
   * Following twice is following once.
   */
  follow(queue: string, id: string, follower: Follower): Promise<FollowAnswer>;
  /** Drops those of a place's old marks whose entries are gone. @param marks as a sweep named them */
  settleMarks(place: Place, marks: readonly string[]): Promise<void>;
}

/** Bytes of results that one call answers, about. */
export const TAKEN_BYTES = 4_194_304;

/** @param client a connection of `openCommandConnection` */
export function createOutbox(client: Redis): Outbox {
  async function relay(place: Place, most: number, notes: readonly RelayNote[]): Promise<OutboxEntry[]> {
    const noted = notes.flatMap(({ name, done }) => [name, done === 'all' ? '' : done]);
    const args = [most, TAKEN_BYTES, ...noted];
    const flat = (await runScript(client, 'relay', place, args)) as (Buffer | null)[];
    const entries: OutboxEntry[] = [];
    for (let at = 0; at + 5 < flat.length; at += 6) entries.push(readEntry(place, flat.slice(at, at + 6)));
    return entries;
  }

  return {
    take: (place, most, notes = []) => relay(place, most, notes),

    async note(place, notes) {
      if (notes.length > 0) await relay(place, 0, notes);
    },

    rows: (place, ids) => readTasks(client, place, ids),

    async transfer(entries) {
      const [first] = entries;
      if (!first) return;
      const { place } = first;
      const names = entries.map(({ name }) => name);
      for (let at = 0; at < names.length; ) {
        const { lookedAt, tasks } = await readMoving(client, place, names.slice(at));
        for (const queue of new Set(tasks.map(({ to }) => to))) {
          const theirs = tasks.filter(({ to }) => to === queue);
          await dropMoved(client, place, await acceptMoving(client, place, theirs));
        }
        at += lookedAt;
      }
    },

    async follow(queue, id, follower) {
      const reply = await runScript(client, 'follow', placeOf(queue, id), [id, writeFollower(follower)]);
      return String((reply as readonly unknown[])[0]) as FollowAnswer;
    },

    async settleMarks(place, marks) {
      if (marks.length === 0) return;
      const args: string[] = [];
      for (const mark of marks) args.push(mark, (await hasEntry(client, mark)) ? 'there' : 'gone');
      await runScript(client, 'marks', place, args);
    },
  };
}

/** What names an entry to the place of its follower (`TaskExtras.mark`). */
export function markOf({ place, name }: OutboxEntry): string {
  return `${nameOf(place)} ${name}`;
}

/**
 * Asks the place that a mark is about: id of the follower, queue, partition, name of the entry in its outbox, or id of the task whose child
 * the follower is, or of the batch of which it is a member, with a slash.
 */
async function hasEntry(client: Redis, mark: string): Promise<boolean> {
  const [, queue = '', partition, name = ''] = mark.split(' ');
  const source = placesOf(queue).find((place) => place.partition === Number(partition));
  if (!source) return false;
  if (name.includes(':')) return (await client.hexists(keyOf(source, 'outbox'), name)) === 1;
  // Members of a batch are sent for a minute at most.
  if (name.includes('/')) return false;
  return (await client.hexists(keyOf(source, 'sources'), name)) === 1;
}

/** As the column `followers` keeps it. */
export function writeFollower(follower: Follower): string {
  const { extras, ...rest } = follower;
  return encodeCbor({ ...rest, ...(extras && { extras: compact(extras) }) }).toString('base64');
}

/** As the column `followers` keeps it. */
export function writeLink({ kind, queue, id }: Link): string {
  return `${kind}:${queue}:${id}`;
}

/** @param text of the column; `undefined` for each that another program has spoilt */
export function readFollowers(text: string): readonly (Follower | Link | undefined)[] {
  return text.split(' ').map((one) => {
    const [, kind, to = '', id = ''] = LINK.exec(one) ?? [];
    if (kind !== undefined) return { kind: kind as Link['kind'], queue: to, id };
    const value = decodeStored(Buffer.from(one, 'base64')) as Partial<Follower> | null | undefined;
    const { queue, lane, content, extras } = value ?? {};
    if (typeof queue !== 'string' || typeof lane !== 'string' || !(content instanceof Uint8Array)) {
      return undefined;
    }
    return { queue, lane, content: Buffer.from(content), extras };
  });
}

function readEntry(
  place: Place,
  [name, words, followers, result, error, step]: (Buffer | null)[],
): OutboxEntry {
  const [word = '', endedAt, done, until] = String(words).split(' ');
  const isDeleted = word === 'deleted';
  return {
    place,
    name: String(name),
    id: String(name).slice(0, TASK_ID_CHARS),
    state: isDeleted ? 'cancelled' : word,
    ...(isDeleted && { isDeleted }),
    endedAt: Number(endedAt),
    from: Number(done),
    followers: readFollowers(String(followers)).slice(Number(done), Number(until)),
    result: result ?? undefined,
    error: error ?? undefined,
    step: step ? readStep(step.toString()) : undefined,
  };
}

/** Entries that wait to be relayed. */
export interface OutboxGauge {
  readonly length: number;
  /** How long the oldest has waited, in milliseconds; 0 when there is none. */
  readonly oldestMs: number;
}

/** @throws Error of ioredis */
export async function gaugeOutbox(client: Redis, place: Place): Promise<OutboxGauge> {
  const ages = keyOf(place, 'outbox-ages');
  const [length, [, oldestAt], [wall, skew]] = await Promise.all([
    client.zcard(ages),
    client.zrange(ages, '0', '0', 'WITHSCORES'),
    // When a script last looked at the clock of the queue: a sweep has, a few seconds ago at most.
    client.hmget(keyOf(place, 'queue'), 'wall', 'skew'),
  ]);
  const oldestMs = oldestAt === undefined ? 0 : Number(wall) + Number(skew ?? 0) - Number(oldestAt);
  return { length, oldestMs: Math.max(0, oldestMs) };
}
