// Batches: records that count tasks of any queues, in a home queue (lua/lib/batches.lua). A member gets its number first, and is accepted
// under the id that derives from it; then its number is confirmed.

import type { Redis } from 'ioredis';
import { derivedTaskId, timeOfTaskId } from '../protocol/task-id.ts';
import { endpointRulesOf, recordWebhooks } from './endpoint-rules.ts';
import { failedMembers } from './failed-members.ts';
import { homeOf, keyOf, nameOf, type Place } from './keys.ts';
import { writeLink } from './outbox.ts';
import { type FoundRecords, readPage, type RecordPage } from './record-pages.ts';
import { registerQueues } from './queue-names.ts';
import type { ScriptArgument } from './script-call.ts';
import { runScript, type ScriptName } from './scripts.ts';
import { withStoreErrors } from './store-error.ts';
import type { UnconfirmedMembers } from './sweeper.ts';
import { twice } from './twice.ts';

/** What was asked for. It never changes. */
export interface BatchPlan {
  readonly id: string;
  /** The queue that has the record. */
  readonly home: string;
  readonly name?: string | undefined;
  readonly key?: string | undefined;
  /** Types and queues of what follows, to be shown. */
  readonly success?: ThenOf | undefined;
  readonly complete?: ThenOf | undefined;
}

interface ThenOf {
  readonly type: string;
  readonly queue: string;
}

/** How far it is. Times are milliseconds of the clock of Redis. */
interface BatchProgress {
  /** It takes no more members. */
  readonly isClosed: boolean;
  /** Members that were confirmed, and how many of all have ended, and how. */
  readonly members: number;
  readonly ended: number;
  readonly succeeded: number;
  readonly dead: number;
  readonly cancelled: number;
  /** Of those cancelled: members that were never accepted, because their sending broke off. */
  readonly missing?: number;
  /** Numbers that are given, but not confirmed. */
  readonly pending: number;
  /** The next number. */
  readonly next: number;
  readonly acceptedAt: number;
  /** When members whose sending broke off were sent again last. */
  readonly sentAt?: number;
  /** When all had ended for the first time, or had succeeded. */
  readonly endedAt?: number;
}

export interface BatchRecord {
  readonly plan: BatchPlan;
  readonly progress: BatchProgress;
}

export const BATCH_STATES = ['open', 'running', 'succeeded', 'dead', 'cancelled'] as const;
export type BatchState = (typeof BATCH_STATES)[number];

export function stateOfBatch(progress: BatchProgress): BatchState {
  const { isClosed, pending, members, ended, dead, cancelled } = progress;
  if (!isClosed) return 'open';
  if (pending > 0 || ended < members) return 'running';
  if (dead > 0) return 'dead';
  return cancelled > 0 ? 'cancelled' : 'succeeded';
}

export function isOverBatch({ progress }: BatchRecord): boolean {
  const state = stateOfBatch(progress);
  return state !== 'open' && state !== 'running';
}

interface Opened {
  readonly word: 'opened' | 'known' | 'replayed' | 'resumed' | 'conflict';
  readonly id: string;
  readonly missing: readonly number[];
}

/** How many members each queue gets, in the order of their numbers. */
export type MemberQueues = UnconfirmedMembers['queues'];

/** An end of a member, or that it runs again (`retried`). */
export interface MemberEnd {
  readonly batch: string;
  readonly number: number;
  /** Of its ends and retries. */
  readonly latest: number;
  readonly state: string;
}

/** How long members may be on their way, in milliseconds: then they are looked for, and those that are not there are never accepted. */
export const CONFIRM_WITHIN_MS = 60_000;

/**
 * All calls reject with PopfleetError `redis-unavailable`; `open` and `reserve` also with `redis-full`. They are repeated after a lost reply when
 * that does the same; a reservation whose reply was lost is looked for later.
 */
export interface Batches {
  /**
   * Writes a record. A repeat finds it by its id; its key finds one that was asked for before. One whose sending broke off less than
   * `CONFIRM_WITHIN_MS` ago is `resumed`: the caller is to send those parts of its members that begin at `missing`.
   * @param then what follows, as `writeFollower` writes it
   * @param members all of them, when it takes no others
   */
  open(
    plan: BatchPlan,
    digest: string,
    then: { readonly success?: string | undefined; readonly complete?: string | undefined },
    members?: MemberQueues,
  ): Promise<Opened>;
  /** Gives numbers to members. @returns the first */
  reserve(
    home: string,
    id: string,
    members: MemberQueues,
  ): Promise<{ readonly word: 'reserved' | 'unknown' | 'closed' | 'full'; readonly from: number }>;
  /** @param none those of the numbers that no member has */
  confirm(
    home: string,
    id: string,
    from: number,
    members: MemberQueues,
    none: readonly number[],
  ): Promise<void>;
  /** Takes no more members. @returns false when there is no such batch */
  close(home: string, id: string): Promise<boolean>;
  find(id: string, queues: readonly string[]): Promise<BatchRecord | undefined>;
  /**
   * Members whose latest end was no success, in the order of their numbers.
   * @param from the first number that is looked at
   * @returns at most `limit` numbers; `next`: where to go on, when there may be more
   */
  failed(
    record: BatchRecord,
    limit: number,
    from: number,
  ): Promise<{ readonly numbers: readonly number[]; readonly next?: number }>;
  /** Newest first. */
  list(queues: readonly string[], page: RecordPage<BatchState>): Promise<FoundRecords<BatchRecord>>;
}

/** The id of a member: of its batch and its number. */
export function memberId(batch: string, number: number): string {
  return derivedTaskId(timeOfTaskId(batch), `${batch} ${number}`);
}

/** What follows the end of a member. */
export function memberLink(home: string, batch: string, number: number): string {
  return writeLink({ kind: 'batch', queue: home, id: `${batch}/${number}` });
}

/** The mark with which a member is accepted: once, and not after it was looked for in vain. */
export function memberMark(home: string, batch: string): string {
  return `${nameOf(homeOf(home))} ${batch}/`;
}

/** How many they are. */
export const countOf = (members: MemberQueues): number => members.reduce((sum, [, count]) => sum + count, 0);

/** Members that are confirmed, looked for, or sent again, together. */
export const CONFIRMED_A_CALL = 1_000;

function partsOf(members: MemberQueues): MemberQueues[] {
  const parts: [queue: string, count: number][][] = [];
  let room = 0;
  for (const [queue, all] of members) {
    for (let left = all; left > 0; ) {
      if (room === 0) {
        parts.push([]);
        room = CONFIRMED_A_CALL;
      }
      const count = Math.min(left, room);
      parts.at(-1)?.push([queue, count]);
      left -= count;
      room -= count;
    }
  }
  return parts;
}

/** As batch-open.lua reads it. */
function reservationOf(members: MemberQueues): ScriptArgument[] {
  return [CONFIRM_WITHIN_MS, ...partsOf(members).flatMap((part) => [countOf(part), JSON.stringify(part)])];
}

/**
 * @param client a connection of `openCommandConnection`
 * @param onAppended told of places whose outbox has more to relay
 */
export function createBatches(client: Redis, onAppended: (place: Place) => void = () => undefined): Batches {
  const run = (name: ScriptName, home: string, args: readonly ScriptArgument[]): Promise<unknown> =>
    twice(client, () => runScript(client, name, homeOf(home), args));

  async function change(home: string, args: readonly ScriptArgument[]): Promise<boolean> {
    const [word, appended] = (await run('batch', home, args)) as [Buffer, number];
    if (appended > 0) onAppended(homeOf(home));
    return String(word) === 'known';
  }

  return withStoreErrors<Batches>({
    async open(plan, digest, { success = '', complete = '' }, members) {
      await registerQueues(client, [plan.home]);
      const { id, home, key = '' } = plan;
      const closed = members === undefined ? '' : '1';
      const parts = reservationOf(members ?? []);
      const webhooks = recordWebhooks(await endpointRulesOf(client).current(), 'batch', home);
      const follow = [success, complete, webhooks.join(' '), webhooks.length];
      const args = ['open', id, key, digest, JSON.stringify(plan), ...follow, closed, ...parts];
      const [word, found, , ...missing] = (await run('batch-open', home, args)) as [
        Buffer,
        Buffer,
        number,
        ...number[],
      ];
      if (members?.length === 0) onAppended(homeOf(home));
      return { word: String(word) as Opened['word'], id: String(found), missing };
    },
    async reserve(home, id, members) {
      const args = ['reserve', id, countOf(members), ...reservationOf(members)];
      const [word, , from] = (await run('batch-open', home, args)) as [Buffer, Buffer, number];
      return { word: String(word) as 'reserved' | 'unknown' | 'closed' | 'full', from };
    },
    async confirm(home, id, from, members, none) {
      let first = from;
      for (const part of partsOf(members)) {
        const count = countOf(part);
        const own = none.filter((number) => number >= first && number < first + count);
        await change(home, ['confirm', id, first, count, ...own]);
        first += count;
      }
    },
    close: (home, id) => change(home, ['close', id]),

    async find(id, queues) {
      const found = await Promise.all(queues.map((queue) => readBatch(client, homeOf(queue), id)));
      return found.find((record) => record !== undefined);
    },
    failed: (record, limit, from) => failedMembers(client, record, limit, from),
    list: (queues, page) =>
      readPage<BatchState, BatchRecord>(client, 'batch-order', queues, page, async (all, state) => {
        const records = await Promise.all(all.map(({ id, home }) => readBatch(client, home, id)));
        return records.filter((one) => one && (state === undefined || stateOfBatch(one.progress) === state));
      }),
  });
}

/** `undefined`: there is none here, or another program has spoilt it. */
async function readBatch(client: Redis, home: Place, id: string): Promise<BatchRecord | undefined> {
  const texts = await Promise.all([
    client.hget(keyOf(home, 'batches'), id),
    client.hget(keyOf(home, 'batch-states'), id),
  ]);
  try {
    const [plan, progress] = texts.map((text) => JSON.parse(text ?? 'null') as unknown);
    return plan && progress ? { plan: plan as BatchPlan, progress: progress as BatchProgress } : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Counts ends of members; each once.
 * @param home queue of the records
 * @returns how many entries that has appended to its outbox
 * @throws Error of ioredis
 */
export async function countEnds(client: Redis, home: string, ends: readonly MemberEnd[]): Promise<number> {
  let appended = 0;
  for (const batch of new Set(ends.map((end) => end.batch))) {
    const own = ends.filter((end) => end.batch === batch);
    const args = own.flatMap(({ number, latest, state }) => [number, latest, state]);
    const reply = (await runScript(client, 'batch', homeOf(home), ['ended', batch, ...args])) as [
      Buffer,
      number,
    ];
    appended += reply[1];
  }
  return appended;
}
