// Lists the tasks of a queue in pages. Each page costs a bounded amount of work, however many tasks there are.

import type { Redis } from 'ioredis';
import type { TaskState } from '../protocol/task-state.ts';
import { type Place, placesOf } from './keys.ts';
import { BYTES_A_CALL, readRows } from './read-tasks.ts';
import type { TaskRecord } from './record.ts';
import { runScript } from './scripts.ts';
import { throwStoreError } from './store-error.ts';
import { taskIdsBy } from './terms.ts';

export interface PageQuery {
  readonly queue: string;
  /** Undefined = all. */
  readonly state: TaskState | undefined;
  /** Only tasks that have all of these (terms.ts); when there are any, the index is read, and not all tasks are looked at. */
  readonly terms: readonly string[];
  /** Whether a task is wanted; its content is cut behind its type, and it has no result. */
  readonly accept: (record: TaskRecord) => boolean;
  readonly limit: number;
  /** `next` of the page before, for which `isCursor` said yes. */
  readonly cursor: string | undefined;
}

export interface Page {
  readonly records: readonly TaskRecord[];
  /** Where the next page begins; `undefined` after the last one. A page may be short, or empty, and have a next one. */
  readonly next: string | undefined;
}

/** Tasks that are looked at for one page, in all and at once; a look that finds none counts as some. */
const LOOKED_AT = 5_000;
const MOST_AT_ONCE = 500;
const LEAST_AT_ONCE = 50;

/** `o.<score>.<id>` is behind a member of a sorted set, `i.<id>` behind a task of the index; `w.<cursor>.` at a bucket of a walk,
 * and `w.<cursor>.<next>.<id>` behind an id in it. */
const ORDERED = /^o\.(-?[\d.]{1,20}(?:e-?\d{1,3})?|-?inf)\.([0-9a-f-]{36})$/;
const INDEXED = /^i\.([0-9a-f-]{36})$/;
const WALKING = /^w\.(\d{1,20})\.(?:(\d{1,20})\.[0-9a-f-]{36})?$/;
/** A cursor begins with its partition, but for the first. */
const PLACED = /^(?:(\d{1,4})~)?(.*)$/;
/** Redis reads cursors as unsigned numbers of 64 bits. */
const CURSOR_END = 2n ** 64n;

/** Whether a text may be where a page of this state, or of these terms, begins. */
export function isCursor(text: string, { state, terms }: Pick<PageQuery, 'state' | 'terms'>): boolean {
  const { position = '' } = readCursor(text);
  if (terms.length > 0) return INDEXED.test(position);
  if (isOrdered(state)) return ORDERED.test(position);
  const numbers = WALKING.exec(position);
  return numbers !== null && numbers.slice(1).every((number) => BigInt(number ?? 0) < CURSOR_END);
}

function isOrdered(state: TaskState | undefined): boolean {
  return state === 'dead' || state === 'scheduled';
}

/**
 * Tasks with certain terms come newest first, by when they were accepted. Of the others, dead ones come by when they died, the
 * latest first, scheduled ones by their due time. All others are in no certain order, which nothing keeps: each page has some of them, the
 * newest first, and each task that is there all the time is in one page at least.
 * @param client a connection of `openCommandConnection`
 * @throws PopfleetError `redis-unavailable`
 */
export function listTasks(client: Redis, query: PageQuery): Promise<Page> {
  const page = fillPage(client, query).catch(throwStoreError);
  if (query.terms.length > 0 || isOrdered(query.state)) return page;
  // An id begins with the time when its task was accepted.
  return page.then(({ records, next }) => ({
    records: records.toSorted((one, other) => (one.id < other.id ? 1 : -1)),
    next,
  }));
}

/** Place after place. */
async function fillPage(client: Redis, query: PageQuery): Promise<Page> {
  const records: TaskRecord[] = [];
  let begin = readCursor(query.cursor);
  const places = placesOf(query.queue);
  for (const [at, place] of places.entries()) {
    if (place.partition < begin.partition) continue;
    const limit = query.limit - records.length;
    const page = await fillFromPlace(client, place, { ...query, limit, cursor: begin.position });
    records.push(...page.records);
    if (page.next !== undefined) return { records, next: writeCursor(place.partition, page.next) };
    begin = { partition: place.partition + 1, position: undefined };
    const following = places[at + 1];
    if (following && records.length >= query.limit)
      return { records, next: writeCursor(following.partition, '') };
  }
  return { records, next: undefined };
}

function readCursor(text: string | undefined): { partition: number; position: string | undefined } {
  const [, partition = '0', position = ''] = PLACED.exec(text ?? '') ?? [];
  return { partition: Number(partition), position: position === '' ? undefined : position };
}

function writeCursor(partition: number, position: string): string {
  return partition === 0 ? position : `${partition}~${position}`;
}

async function fillFromPlace(client: Redis, place: Place, query: PageQuery): Promise<Page> {
  const { state, accept, limit } = query;
  const partsFrom = partsOf(client, place, query);
  const records: TaskRecord[] = [];
  let position = query.cursor;
  for (let seen = 0; seen < LOOKED_AT; ) {
    const count = Math.min(MOST_AT_ONCE, Math.max(LEAST_AT_ONCE, 2 * (limit - records.length)));
    const { parts, next } = await partsFrom(position, count);
    const ids = parts.flatMap((part) => part.ids);
    seen += Math.max(ids.length, LEAST_AT_ONCE);
    const rows = await readAll(client, place, ids, state);
    for (const { ids: ofPart, start, behind, next: nextPart } of parts) {
      const wanted = ofPart.map((id) => rows.get(id)).filter((one) => one !== undefined && accept(one));
      const room = limit - records.length;
      // A part is shown whole, on the next page, or it fills a page alone and is then cut.
      if (wanted.length > room && records.length > 0) return { records, next: start };
      records.push(...(wanted.slice(0, room) as TaskRecord[]));
      const last = wanted[room - 1];
      if (last) return { records, next: wanted.length > room ? behind(last.id) : nextPart };
    }
    position = next;
    if (position === undefined) break;
  }
  return { records, next: position };
}

async function readAll(
  client: Redis,
  place: Place,
  ids: readonly string[],
  state: TaskState | undefined,
): Promise<ReadonlyMap<string, TaskRecord>> {
  const found = new Map<string, TaskRecord>();
  for (let at = 0; at < ids.length; ) {
    const { lookedAt, records } = await readRows(client, place, ids.slice(at), state);
    for (const record of records) found.set(record.id, record);
    at += lookedAt;
  }
  return found;
}

/** Tasks that a page should not divide. */
interface Part {
  readonly ids: readonly string[];
  readonly start: string;
  /** Behind one of `ids`. */
  readonly behind: (id: string) => string;
  /** `undefined`: it is the last one. */
  readonly next: string | undefined;
}

/** @returns parts from a position on with about `count` tasks, and where those after them begin */
type PartsFrom = (
  position: string | undefined,
  count: number,
) => Promise<{ readonly parts: readonly Part[]; readonly next: string | undefined }>;

function partsOf(client: Redis, place: Place, { state, terms }: PageQuery): PartsFrom {
  if (terms.length > 0) return indexedBy(client, place, terms);
  if (state === 'dead') return membersOf(client, place, ['dead', 'down']);
  if (state === 'scheduled') return membersOf(client, place, ['later', 'up']);
  return bucketsOf(client, place, state === undefined || state === 'ready' ? 'all' : 'touched');
}

/** Each task of the index is a part. */
function indexedBy(client: Redis, place: Place, terms: readonly string[]): PartsFrom {
  return async (position, count) => {
    const [, behind] = INDEXED.exec(position ?? '') ?? [];
    const found = await taskIdsBy(client, place, { terms, behind, count });
    const next = found.next === undefined ? undefined : `i.${found.next}`;
    const parts = found.ids.map((id, at): Part => {
      const start = `i.${id}`;
      return { ids: [id], start, behind: () => start, next: at === found.ids.length - 1 ? next : start };
    });
    return { parts, next };
  };
}

/** Each member of a sorted set is a part. */
function membersOf(
  client: Redis,
  place: Place,
  how: readonly [set: string, order: 'up' | 'down'],
): PartsFrom {
  return async (position, count) => {
    const [, score = '', member = ''] = ORDERED.exec(position ?? '') ?? [];
    const flat = ((await runScript(client, 'page', place, [...how, count, score, member])) as Buffer[]).map(
      String,
    );
    const ids = flat.filter((_, at) => at % 2 === 0);
    // A plus would be a blank in a query.
    const positions = ids.map((id, at) => `o.${flat[2 * at + 1]?.replace('+', '')}.${id}`);
    // A member that another program has written need not be an id.
    const next = ids.length < count ? undefined : positions.findLast((one) => ORDERED.test(one));
    const parts = ids.map((id, at): Part => {
      const start = positions[at] ?? '';
      const isLast = at === ids.length - 1;
      return { ids: [id], start, behind: () => start, next: isLast ? next : start };
    });
    return { parts, next };
  };
}

/** Each bucket of a hash is a part: its ids in their order, as far as they are behind the position. */
function bucketsOf(client: Redis, place: Place, which: 'all' | 'touched'): PartsFrom {
  return async (position, count) => {
    const [, begin = '0', nextBefore, after = ''] = position?.split('.') ?? [];
    const [buckets, goOn] = (await runScript(client, 'scan', place, [begin, count, BYTES_A_CALL, which])) as [
      [Buffer, Buffer, Buffer[]][],
      Buffer,
    ];
    const parts = buckets.map(([from, to, found]): Part => {
      const [cursor, next] = [from.toString(), to.toString()];
      // The hash has another size when the bucket ends elsewhere: then it holds others, and is read whole.
      const isCut = cursor === begin && next === nextBefore;
      const ids = found.map(String).filter((id) => !isCut || id > after);
      return {
        ids: ids.sort(),
        start: `w.${cursor}.`,
        behind: (id) => `w.${cursor}.${next}.${id}`,
        next: walkFrom(next),
      };
    });
    return { parts, next: walkFrom(goOn.toString()) };
  };
}

function walkFrom(cursor: string): string | undefined {
  return cursor === '0' ? undefined : `w.${cursor}.`;
}
