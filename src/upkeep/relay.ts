// Has what follows the ends of tasks accepted: takes entries of an outbox, sends their followers, and notes that; and has tasks that
// move to another queue accepted there. It may break off after any step, and several may do the same at once: a follower has an id that derives from the end that it follows, and the
// place that accepts it marks that id, so it is accepted once.

import { delay } from '../lifecycle.ts';
import type { Log } from '../log.ts';
import { decodeStored } from '../protocol/cbor.ts';
import { type Cause, decodeContent, encodeContent } from '../protocol/message.ts';
import { derivedTaskId } from '../protocol/task-id.ts';
import { WEBHOOK_QUEUE } from '../protocol/webhook.ts';
import { homeOf, nameOf, type Place } from '../store/keys.ts';
import {
  type Follower,
  type Link,
  markOf,
  type Outbox,
  type OutboxEntry,
  type RelayNote,
  TAKEN_BYTES,
} from '../store/outbox.ts';
import type { NewTask } from '../store/new-task.ts';
import type { Producer } from '../store/producer.ts';
import type { TaskRecord } from '../store/record.ts';
import { demandInTime } from '../store/relay-time.ts';
import { steadyNow } from '../steady-now.ts';
import { isOutage } from '../store/store-error.ts';
import { errorOfEnd } from '../workflows/error-of-end.ts';
import type { Links } from '../workflows/links.ts';
import { deliveryContent, isAbout, isWebhook, kindOf, recordDeliveryContent } from '../webhooks/delivery.ts';

export interface Relay {
  /** Relays what the outbox of a place has: at once, or again once it is done with what it does there. */
  soon(place: Place): void;
  /** Resolves when nothing is under way. */
  settled(): Promise<void>;
}

export interface RelayDeps {
  readonly outbox: Pick<Outbox, 'take' | 'note' | 'rows' | 'transfer'>;
  readonly producer: Producer;
  readonly links: Links;
  readonly log: Log;
}

/**
 * The first end of a while is followed at once; those that come soon after it share calls. Not so the ends of steps that come one after
 * the other, because others need them: a chain would take this long for each step.
 */
const GATHER_MS = 50;
const FEW_ENTRIES = 3;
const ENTRIES_A_CALL = 50;
/** Followers of one entry that are sent before it is noted how far they are. */
const FOLLOWERS_A_CALL = 100;
/** Each brings the whole result of the task that it follows. */
const TASKS_A_CALL = 250;
const BYTES_A_CALL = 4_194_304;

/** A follower on its way: a task to accept, or a link to tell. */
interface Sending {
  readonly entry: OutboxEntry;
  /** Among all that follow the task. */
  readonly position: number;
  readonly queue: string;
  readonly what: NewTask | Link;
}

/** `soon`: what it does has appended to the outbox of a place. */
type RelayParts = RelayDeps & Partial<Pick<Relay, 'soon'>>;

/** What is done about one place. */
interface PlaceRelay {
  /** The relay that is under way, or waits to begin. */
  running?: Promise<void> | undefined;
  /** When the latest relay began, by `performance.now()`, how many entries it took, and whether tasks waited for any of these ends. */
  begunAt: number;
  entries: number;
  wasNeeded: boolean;
  isWanted: boolean;
  /** What was relayed and is not noted yet: the next call that takes entries notes it. */
  notes: RelayNote[];
  /** The failure that was logged last: each is logged once. */
  logged?: string | undefined;
}

function newPlace(): PlaceRelay {
  return { begunAt: Number.NEGATIVE_INFINITY, entries: 0, wasNeeded: false, isWanted: false, notes: [] };
}

export function createRelay(deps: RelayDeps): Relay {
  const places = new Map<string, PlaceRelay>();

  function soon(place: Place): void {
    const name = nameOf(place);
    const one = places.get(name) ?? newPlace();
    places.set(name, one);
    one.isWanted = true;
    one.running ??= run(place, one).finally(() => {
      one.running = undefined;
      if (one.isWanted) soon(place);
    });
  }

  async function run(place: Place, one: PlaceRelay): Promise<void> {
    const isChain = one.wasNeeded && one.entries <= FEW_ENTRIES;
    const waitMs = one.begunAt + GATHER_MS - performance.now();
    if (waitMs > 0 && !isChain) await delay(waitMs);
    one.isWanted = false;
    one.begunAt = performance.now();
    one.entries = 0;
    one.wasNeeded = false;
    try {
      await relayAll(place, one, { ...deps, soon });
      one.logged = undefined;
    } catch (error) {
      report(place, one, error);
    }
  }

  /** Its entries are due again. Why Redis is away, the connection says. */
  function report(place: Place, one: PlaceRelay, error: unknown): void {
    const message = String(error);
    if (isOutage(error) || one.logged === message) return;
    one.logged = message;
    deps.log.warn({ err: error, ...place }, 'what follows the ends of tasks waits to be accepted');
  }

  return {
    soon,
    async settled() {
      const underWay = (): Promise<void>[] => [...places.values()].flatMap(({ running }) => running ?? []);
      for (let busy = underWay(); busy.length > 0; busy = underWay()) await Promise.all(busy);
    },
  };
}

/**
 * Relays a place until nothing is due there. A call that takes entries also notes those that were relayed before; the last of them
 * are noted by a call of their own, unless the place is to be looked at again at once.
 * @throws Error of ioredis, PopfleetError of the producer
 */
async function relayAll(place: Place, one: PlaceRelay, deps: RelayParts): Promise<void> {
  const withNotes = async <T>(call: (notes: readonly RelayNote[]) => Promise<T>): Promise<T> => {
    const notes = one.notes;
    one.notes = [];
    try {
      return await call(notes);
    } catch (error) {
      // To note twice is to note once.
      one.notes.unshift(...notes);
      throw error;
    }
  };
  const note = async (_: Place, notes: readonly RelayNote[]): Promise<void> => void one.notes.push(...notes);
  const noteLater = { ...deps, outbox: { ...deps.outbox, note } };
  try {
    for (;;) {
      const readAt = steadyNow();
      const entries = await withNotes((notes) => deps.outbox.take(place, ENTRIES_A_CALL, notes));
      one.entries += entries.length;
      one.wasNeeded ||= entries.some(isNeeded);
      if (entries.length > 0) await relayEntries(entries, readAt, noteLater);
      if (entries.length < ENTRIES_A_CALL && !isCut(entries) && one.notes.every(({ done }) => done === 'all'))
        break;
    }
  } finally {
    if (!one.isWanted) await withNotes((notes) => deps.outbox.note(place, notes));
  }
}

/** Whether their call may have stopped at the bytes that it answers at most. One result has no more than a quarter of them unless the limit is raised. */
function isCut(entries: readonly OutboxEntry[]): boolean {
  return entries.reduce((sum, { result }) => sum + (result?.length ?? 0), 0) > TAKEN_BYTES / 4;
}

function isNeeded({ followers }: OutboxEntry): boolean {
  return followers.some((one) => one !== undefined && 'kind' in one && one.kind === 'need');
}

/** @param readAt when the entries were asked for, by `steadyNow()` */
export async function relayEntries(
  entries: readonly OutboxEntry[],
  readAt: number,
  deps: RelayParts,
): Promise<void> {
  const moving = entries.filter(({ state }) => state === 'moved');
  const ends = entries.filter(({ state }) => state !== 'moved');
  // Each goes on whatever becomes of the other.
  const both = await Promise.allSettled([deps.outbox.transfer(moving), relayEnds(ends, readAt, deps)]);
  for (const one of both) if (one.status === 'rejected') throw one.reason;
}

/** Entries of tasks that have ended. */
async function relayEnds(entries: readonly OutboxEntry[], readAt: number, deps: RelayParts): Promise<void> {
  const { outbox, log } = deps;
  const rows = await rowsForWebhooks(entries, outbox);
  const ended: Ended = { rows, records: await recordsForWebhooks(entries, deps.links) };
  /** Of each entry that has any: the position of the first follower that was not accepted. */
  const failed = new Map<string, number>();
  let failure: unknown;
  for (const call of callsOf(entries.flatMap((entry) => sendingsOf(entry, ended, log)))) {
    try {
      demandInTime(readAt);
      await send(call, deps);
    } catch (error) {
      failure ??= error;
      for (const { entry, position } of call.sendings) {
        failed.set(entry.name, Math.min(position, failed.get(entry.name) ?? position));
      }
    }
  }
  const place = entries[0]?.place;
  if (place)
    await outbox.note(
      place,
      entries.map((entry) => noteOf(entry, failed.get(entry.name))),
    );
  if (failure !== undefined) throw failure;
}

interface Call {
  /** `task`, or that of the links. */
  readonly kind: Link['kind'] | 'task';
  readonly queue: string;
  readonly sendings: Sending[];
  /** Of all their contents. */
  bytes: number;
}

/** @throws Error of ioredis, PopfleetError of the producer */
async function send({ kind, queue, sendings }: Call, { producer, links, soon }: RelayParts): Promise<void> {
  if (kind === 'task') {
    await producer.enqueue(
      queue,
      sendings.map(({ what }) => what as NewTask),
    );
    return;
  }
  const tellings = sendings.map(({ entry, what }) => ({ entry, link: what as Link }));
  for (const appendedTo of await links.tell(kind, queue, tellings)) soon?.(homeOf(appendedTo));
}

/** What goes to Redis together: of one kind and queue, and neither much nor large. */
function callsOf(all: readonly Sending[]): Call[] {
  const calls: Call[] = [];
  const open = new Map<string, Call>();
  for (const sending of all) {
    const { queue, what, entry } = sending;
    const kind = 'kind' in what ? what.kind : 'task';
    const bytes = 'kind' in what ? (entry.result?.length ?? 0) : what.content.length;
    let call = open.get(`${kind} ${queue}`);
    if (!call || call.sendings.length === TASKS_A_CALL || call.bytes + bytes > BYTES_A_CALL) {
      call = { kind, queue, sendings: [], bytes: 0 };
      calls.push(call);
      open.set(`${kind} ${queue}`, call);
    }
    call.sendings.push(sending);
    call.bytes += bytes;
  }
  // What waits for an end comes before what only counts it.
  return calls.sort((one, other) => Number(other.kind === 'need') - Number(one.kind === 'need'));
}

function noteOf({ name, from, followers }: OutboxEntry, failedAt: number | undefined): RelayNote {
  const sent = Math.min(followers.length, FOLLOWERS_A_CALL);
  if (failedAt === undefined && sent === followers.length) return { name, done: 'all' };
  return { name, done: failedAt ?? from + sent };
}

/** What receivers of webhooks are told stands in the rows of the tasks that ended, by their ids. @throws Error of ioredis */
async function rowsForWebhooks(
  entries: readonly OutboxEntry[],
  outbox: RelayDeps['outbox'],
): Promise<ReadonlyMap<string, TaskRecord>> {
  const ids = new Set(
    entries
      .filter(
        ({ name, followers }) =>
          !END_OF_RECORD.test(name) &&
          followers.some((one) => one?.queue === WEBHOOK_QUEUE && !('kind' in one)),
      )
      .map(({ id }) => id),
  );
  const place = entries[0]?.place;
  const rows = place && ids.size > 0 ? await outbox.rows(place, [...ids]) : [];
  return new Map(rows.map((row) => [row.id, row]));
}

/** The end of a workflow, or of a batch, for its webhooks. */
const END_OF_RECORD = /:ended-\d+$/;

/** The workflows and batches that have ended, by their ids. @throws Error of ioredis */
async function recordsForWebhooks(
  entries: readonly OutboxEntry[],
  links: Links,
): Promise<ReadonlyMap<string, object>> {
  const records = new Map<string, object>();
  for (const { name, id, place } of entries) {
    if (!END_OF_RECORD.test(name)) continue;
    const record = await links.record(place.queue, id);
    if (record) records.set(id, record);
  }
  return records;
}

/** What stands behind the entries of one call. */
interface Ended {
  readonly rows: ReadonlyMap<string, TaskRecord>;
  readonly records: ReadonlyMap<string, object>;
}

function sendingsOf(entry: OutboxEntry, ended: Ended, log: Log): Sending[] {
  const cause = causeOf(entry);
  return entry.followers.slice(0, FOLLOWERS_A_CALL).flatMap((follower, at): Sending[] => {
    const position = entry.from + at;
    // Only batches are told of a retry.
    if (entry.state === 'retried' && !(follower && 'kind' in follower && follower.kind === 'batch'))
      return [];
    if (follower && 'kind' in follower) return [{ entry, position, queue: follower.queue, what: follower }];
    const content = follower && contentOf(follower, entry, cause, ended);
    if (content === 'none') return [];
    if (!content) {
      log.error(
        { queue: entry.place.queue, task: entry.id },
        'what follows this task cannot be read, it is left out',
      );
      return [];
    }
    const { queue, lane, extras } = follower;
    const id = derivedTaskId(entry.endedAt, `${entry.name} ${position}`);
    const what = { id, content, lane, extras: { ...extras, mark: markOf(entry) } };
    return [{ entry, position, queue, what }];
  });
}

/**
 * `undefined` when its bytes are no content: another program has spoilt them.
 * @returns `none` for a webhook that is not about ends like this one
 */
function contentOf(
  follower: Follower,
  entry: OutboxEntry,
  cause: Cause,
  { rows, records }: Ended,
): Buffer | 'none' | undefined {
  try {
    const content = decodeContent(follower.content);
    const { type, input, options } = content;
    if (!isWebhook(follower, content)) return encodeContent(type, input, { ...options, cause });
    if (!isAbout(input, entry.state)) return 'none';
    return kindOf(input) === 'task'
      ? deliveryContent(input, entry, rows.get(entry.id))
      : recordDeliveryContent(input, entry, records.get(entry.id));
  } catch {
    return undefined;
  }
}

function causeOf(entry: OutboxEntry): Cause {
  const { id, state, result } = entry;
  if (state !== 'succeeded')
    return { id, state: state === 'gone' ? 'removed' : state, error: errorOfEnd(entry) };
  const value = result && decodeStored(result);
  return value === undefined ? { id, state } : { id, state, result: value };
}
