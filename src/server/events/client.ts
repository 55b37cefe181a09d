// One client of an event stream: sends live events and those that it missed while away, and ends it when it is too slow.

import { createSerial, delay } from '../../lifecycle.ts';
import type { Log } from '../../log.ts';
import { PopfleetError } from '../../protocol/errors.ts';
import { isTerminal } from '../../protocol/task-state.ts';
import { toTime } from '../../protocol/time-text.ts';
import {
  type EventEntry,
  type EventPosition,
  type News,
  isAfter,
  STREAM_START,
  type TaskMove,
  timeOfPosition,
} from '../../store/event-entry.ts';
import type { EventHub } from '../../store/event-hub.ts';
import type { EventLog } from '../../store/event-log.ts';
import { EventBuffer, MOST_WAITING } from './buffer.ts';
import { movesTo } from './frames.ts';
import { END_ID } from './id.ts';
import { createOutlet, type Outlet } from './outlet.ts';
import type { TaskLook } from './task-looks.ts';

export interface Subscription {
  /** Queues of which it gets all events. */
  readonly queues: ReadonlySet<string>;
  /** Task id → its queue, for tasks of other queues. */
  readonly tasks: ReadonlyMap<string, string>;
  /** Id → its queue, for the operations, workflows and batches that are named. */
  readonly named: ReadonlyMap<string, string>;
  /** Only moves to these states; progress only with `running`, and operations, workflows and batches only when they are named. */
  readonly states: ReadonlySet<string> | undefined;
  /** Which of the queues that come into being later it follows; `undefined` = none. */
  readonly later: ((queue: string) => boolean) | undefined;
  /** Position in each queue up to which a client that came back has read; `undefined` = it is new. */
  readonly from: ReadonlyMap<string, EventPosition> | undefined;
  /** Id of the only task that the stream is about: it begins with a snapshot of the task and ends when the task ends. */
  readonly only: string | undefined;
  /** Destroys the connection. */
  readonly cut: () => void;
  /** Whether the session of a browser is still valid; called at each heartbeat. */
  readonly isSignedIn?: (() => Promise<boolean>) | undefined;
}

export interface ClientDeps {
  readonly hub: EventHub;
  readonly eventLog: EventLog;
  /** @throws PopfleetError `redis-unavailable` */
  readonly look: (queue: string, id: string) => Promise<TaskLook>;
  /** How far an operation, a workflow or a batch is; `undefined` when it is forgotten. @throws PopfleetError `redis-unavailable` */
  readonly findNews: (queue: string, id: string) => Promise<News | undefined>;
  readonly log: Log;
  /** Called for tasks whose progress has changed and is to be sent to the client. */
  readonly onProgress: (client: EventClient, queue: string, ids: readonly string[]) => void;
  /** Called once, when the stream is over: ended by the server, or closed by the client. */
  readonly onOver: (client: EventClient) => void;
}

/** When the only task is read: at the start, when an entry says that it ended, or before a client that is back goes live. */
type Look = 'begin' | 'end' | 'resume';

/** How the client follows one queue. */
interface Track {
  /** Live entries that came while older ones are read; `undefined` = entries are sent as they come. */
  held: EventEntry[] | undefined;
  /** Too many live entries came to hold them: they must be read from Redis. */
  missed: boolean;
}

const ENTRIES_A_PAGE = 50;
const TRY_AGAIN_MS = 1_000;

export class EventClient {
  readonly subscription: Subscription;
  readonly #deps: ClientDeps;
  readonly #buffer = new EventBuffer();
  readonly #outlet: Outlet;
  readonly #tracks = new Map<string, Track>();
  /** Older entries are read one queue at a time, which bounds what is buffered. */
  readonly #serial = createSerial();
  readonly #gone = new AbortController();
  /** The last event is in the buffer: no further one is added. */
  #isEnding = false;

  constructor(subscription: Subscription, deps: ClientDeps) {
    this.subscription = subscription;
    this.#deps = deps;
    this.#outlet = createOutlet(
      () => this.#buffer.take(),
      () => {
        this.#isEnding = true;
        this.#gone.abort();
        this.#buffer.release();
        deps.onOver(this);
      },
    );
  }

  get stream(): ReadableStream<Uint8Array> {
    return this.#outlet.stream;
  }

  /** Begins to follow a queue that the hub watches. @param from `undefined` = from now on */
  follow(queue: string, from: EventPosition | undefined): void {
    const track: Track = { held: undefined, missed: false };
    this.#tracks.set(queue, track);
    const isAboutOne = this.subscription.only !== undefined;
    if (from || !isAboutOne) {
      this.#buffer.begin(queue, from ?? this.#deps.hub.position(queue) ?? STREAM_START);
    }
    if (isAboutOne) this.#read(queue, track, from ? 'resume' : 'begin');
    else if (from) this.#read(queue, track);
    // From here on the events tell how they go on.
    this.#run(() => this.#lookAtNamed(queue));
  }

  /** Takes live entries, in their order. */
  push(queue: string, entries: readonly EventEntry[]): void {
    const track = this.#tracks.get(queue);
    if (!track || this.#isEnding) return;
    if (track.held) {
      hold(track, track.held, entries);
      return;
    }
    if (this.#buffer.isFull) {
      if (!entries.some(({ position }) => this.#isNew(queue, position))) return;
      // A page of another queue fills it, which says nothing about the client: this queue is read after that one.
      if ([...this.#tracks.values()].some((other) => other.held)) {
        this.#read(queue, track);
        return;
      }
      this.#buffer.overflow();
      this.#end();
      return;
    }
    if (this.#acceptAll(queue, entries) === 'ended') this.#read(queue, track, 'end');
    this.#outlet.offer();
  }

  /** Live entries may have been missed: all entries after the client's position are read from Redis. */
  gap(queue: string): void {
    const track = this.#tracks.get(queue);
    if (!track || this.#isEnding) return;
    if (track.held) track.missed = true;
    else this.#read(queue, track);
  }

  /** Sends a progress event; drops it when the buffer is full, since a later one replaces it. @param json on one line */
  progress(json: string): void {
    if (this.#isEnding || this.#buffer.isFull) return;
    this.#buffer.event('progress', json);
    this.#outlet.offer();
  }

  /** Writes a comment that keeps the connection open; cuts a connection that has taken nothing since the last beat. */
  beat(): void {
    for (const [queue, { held }] of this.#tracks) {
      const read = this.#deps.hub.position(queue);
      const handed = this.#buffer.handed.get(queue);
      // Live entries that were read and not handed in are not about this client.
      if (!held && read && handed && isAfter(read, handed)) this.#buffer.handed.set(queue, read);
    }
    if (this.#buffer.beat()) this.#outlet.offer();
    else this.cut();
    this.subscription.isSignedIn?.().then(
      (isSignedIn) => isSignedIn || this.close(),
      () => undefined, // Redis is away: the next heartbeat tries again.
    );
  }

  /** Ends the stream once the client has taken what is in the buffer. */
  close(): void {
    if (this.#isEnding) return;
    this.#buffer.comment('bye');
    this.#end();
  }

  cut(): void {
    this.#outlet.cut();
    this.subscription.cut();
  }

  #end(): void {
    this.#isEnding = true;
    this.#outlet.end();
  }

  /** Whether the client has not been given what stands there. */
  #isNew(queue: string, position: EventPosition): boolean {
    return isAfter(position, this.#buffer.handed.get(queue) ?? STREAM_START);
  }

  /** @returns 'ended' when the only task of the stream has ended: the entries after that are left out */
  #acceptAll(queue: string, entries: readonly EventEntry[]): 'ended' | undefined {
    for (const { position, moves, progress, news } of entries) {
      if (!this.#isNew(queue, position)) continue;
      const chosen = this.#chosen(queue, moves);
      const end = this.subscription.only === undefined ? -1 : chosen.findIndex(({ state }) => isEnd(state));
      if (end >= 0) {
        this.#buffer.moves(queue, chosen.slice(0, end + 1), position, false);
        return 'ended';
      }
      const told = this.#told(queue, news);
      this.#buffer.moves(queue, chosen, position, told.length === 0);
      for (const one of told) {
        const stands = one === told.at(-1) ? { queue, position } : undefined;
        this.#buffer.event(one.kind, jsonOf(one, timeOfPosition(position)), stands);
      }
      this.#wantProgress(queue, progress);
    }
    return undefined;
  }

  #chosen(queue: string, moves: readonly TaskMove[]): readonly TaskMove[] {
    const { queues, tasks, states } = this.subscription;
    const mine =
      queues.has(queue) || this.subscription.later ? moves : moves.filter(({ id }) => tasks.has(id));
    return states ? movesTo(mine, states) : mine;
  }

  #told(queue: string, news: readonly News[]): readonly News[] {
    const { queues, named, states, later } = this.subscription;
    const isWhole = states === undefined && (queues.has(queue) || later !== undefined);
    return isWhole ? news : news.filter(({ id }) => named.has(id));
  }

  #wantProgress(queue: string, ids: readonly string[]): void {
    const { queues, tasks, states, later } = this.subscription;
    if (ids.length === 0 || (states && !states.has('running'))) return;
    const mine = queues.has(queue) || later ? ids : ids.filter((id) => tasks.has(id));
    if (mine.length > 0) this.#deps.onProgress(this, queue, mine);
  }

  #read(queue: string, track: Track, look?: Look): void {
    track.held = [];
    this.#run(() => this.#catchUp(queue, track, look));
  }

  #run(work: () => Promise<void>): void {
    this.#serial(work).catch((error: unknown) => {
      this.#deps.log.error({ err: error }, 'an event stream failed');
      this.cut();
    });
  }

  /** Reads the entries after the client's position, and goes on live without a gap. */
  async #catchUp(queue: string, track: Track, look: Look | undefined): Promise<void> {
    if (look && look !== 'resume') await this.#look(queue, look);
    for (;;) {
      await this.#buffer.emptied();
      if (this.#isEnding) return;
      // The entries that were held until now are in Redis: the next page has them.
      Object.assign(track, { held: [], missed: false } satisfies Track);
      const { length } = await this.#readPage(queue);
      if (length === ENTRIES_A_PAGE) continue;
      await this.#buffer.emptied();
      if (this.#isEnding) return;
      if (!track.missed && length !== undefined) break;
    }
    // The task may have ended before the first entry that was read: then no entry says so.
    if (look === 'resume') await this.#look(queue, look);
    const held = track.held ?? [];
    track.held = undefined;
    this.push(queue, held);
  }

  /** @returns how many entries were read; `undefined` when another page must be read */
  async #readPage(queue: string): Promise<{ readonly length: number | undefined }> {
    const { eventLog } = this.#deps;
    const from = this.#buffer.handed.get(queue) ?? STREAM_START;
    const page = await this.#untilAnswered(() => eventLog.after(queue, from, ENTRIES_A_PAGE));
    if (!page || this.#isEnding) return { length: undefined };
    if (!page.unbroken) {
      const data = JSON.stringify({ reason: 'missed', queue });
      this.#buffer.event('reset', data, { queue, position: page.latest });
      this.#outlet.offer();
      if (this.subscription.only !== undefined) await this.#look(queue, 'begin');
      await this.#lookAtNamed(queue);
      return { length: undefined };
    }
    const ended = this.#acceptAll(queue, page.entries) === 'ended';
    this.#outlet.offer();
    if (ended) await this.#look(queue, 'end');
    return { length: ended ? undefined : page.entries.length };
  }

  /** Sends how far the operations, workflows and batches of a queue are that are named. */
  async #lookAtNamed(queue: string): Promise<void> {
    for (const [id, home] of this.subscription.named) {
      if (home !== queue) continue;
      const news = await this.#untilAnswered(() => this.#deps.findNews(queue, id));
      if (!news || this.#isEnding) continue;
      this.#buffer.event(news.kind, jsonOf(news, Date.now()));
      this.#outlet.offer();
    }
  }

  /** Sends the task as it is now, and ends the stream when the task has ended. */
  async #look(queue: string, why: Look): Promise<void> {
    const id = this.subscription.only ?? '';
    const seen = await this.#untilAnswered(() => this.#deps.look(queue, id));
    if (!seen || this.#isEnding) return;
    const { record, position, json } = seen;
    const ended = !record || isTerminal(record.state);
    if (why === 'resume' && !ended) return;
    // A dead task may have been replayed meanwhile: then the stream goes on with a new snapshot.
    if (json !== undefined && (why === 'begin' || !ended)) {
      this.#buffer.event('snapshot', json, ended ? undefined : { queue, position });
    }
    if (ended) {
      this.#buffer.event('end', json ?? JSON.stringify({ id, queue, state: 'removed' }), END_ID);
      this.#end();
    }
    this.#outlet.offer();
  }

  /** Repeats a read until Redis answers, because the headers are sent already. @returns `undefined` when the client is gone */
  async #untilAnswered<T>(read: () => Promise<T>): Promise<T | undefined> {
    while (!this.#gone.signal.aborted) {
      try {
        return await read();
      } catch (error) {
        if (!(error instanceof PopfleetError) || error.code !== 'redis-unavailable') throw error;
        await delay(TRY_AGAIN_MS, this.#gone.signal);
      }
    }
    return undefined;
  }
}

/** @param ms when it was so, since 1970 */
function jsonOf(news: News, ms: number): string {
  const { queue, id, state } = news;
  const at = toTime(ms);
  if (news.kind === 'workflow')
    return JSON.stringify({ queue, workflow: id, state, generation: news.generation, at });
  if (news.kind === 'batch') return JSON.stringify({ queue, batch: id, state, at });
  const { total, looked, matched, done } = news;
  return JSON.stringify({ queue, operation: id, state, total, looked, matched, done, at });
}

function isEnd(state: TaskMove['state']): boolean {
  return state === 'removed' || isTerminal(state);
}

function hold(track: Track, held: EventEntry[], entries: readonly EventEntry[]): void {
  if (held.length + entries.length > MOST_WAITING) {
    held.length = 0;
    track.missed = true;
  } else if (!track.missed) held.push(...entries);
}
