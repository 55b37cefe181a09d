// The events that wait for one client of an event stream, written as server-sent events (HTML, section 9.2).

import type { TaskMove } from '../../store/event-entry.ts';
import { type EventPosition, timeOfPosition } from '../../store/event-entry.ts';
import { bytesOf, type Frame, framesOf } from './frames.ts';
import { formatEventId } from './id.ts';

/** Never `error`: browsers name a broken connection so. */
export type EventName =
  | 'snapshot'
  | 'state'
  | 'progress'
  | 'operation'
  | 'workflow'
  | 'batch'
  | 'reset'
  | 'end';

/** Events that may wait: a client with more of them is too slow. */
export const MOST_WAITING = 256;
/** Pieces that are written to the socket together. */
const PIECES_A_WRITE = 16;
/** Milliseconds after which a browser that was cut off connects again. */
const RETRY_MS = 2_000;

/** One or more events, and the position of the client once it has read them, if they change it. */
interface Waiting {
  readonly events: number;
  readonly content: string | Frame;
  readonly stands?: { readonly queue: string; readonly position: EventPosition } | string;
}

export class EventBuffer {
  /** By queue: the last entry that was handed in, or that is not about this client. */
  readonly handed = new Map<string, EventPosition>();
  /** By queue: the last entry that was written. An `id` is made of these. */
  readonly #written = new Map<string, EventPosition>();
  #waiting: Waiting[] = [];
  #events = 0;
  #beatIsDue = false;
  #opening: string | undefined = `retry: ${RETRY_MS}\n: popfleet\n`;
  #onEmpty: (() => void)[] = [];

  /** More events wait than `MOST_WAITING`: the client is too slow. */
  get isFull(): boolean {
    return this.#events > MOST_WAITING;
  }

  /** Begins a queue: the client gets the entries after the position. */
  begin(queue: string, position: EventPosition): void {
    this.handed.set(queue, position);
    this.#written.set(queue, position);
  }

  /** Adds the moves of one entry. @param isWhole false when they are not all that the client gets of the entry */
  moves(queue: string, moves: readonly TaskMove[], position: EventPosition, isWhole = true): void {
    if (isWhole) this.handed.set(queue, position);
    const frames = framesOf(moves, timeOfPosition(position));
    for (const frame of frames) {
      const isLast = frame === frames.at(-1);
      this.#add(frame.events, frame, isWhole && isLast ? { queue, position } : undefined);
    }
  }

  /** @param json on one line, as `JSON.stringify` writes it @param stands an id, or the position once the event was read */
  event(name: EventName, json: string, stands?: Waiting['stands']): void {
    if (typeof stands === 'object') this.handed.set(stands.queue, stands.position);
    this.#add(1, `event: ${name}\ndata: ${json}\n`, stands);
  }

  /** Replaces all that waits by a `reset`, after which the client must read the state anew. */
  overflow(): void {
    this.#waiting = [];
    this.#events = 0;
    this.event('reset', JSON.stringify({ reason: 'slow' }), formatEventId(this.handed));
  }

  /** @param comment without line breaks */
  comment(comment: string): void {
    this.#add(1, `: ${comment}\n`);
  }

  /** @returns false when nothing was taken since the last beat, which still waits */
  beat(): boolean {
    if (this.#beatIsDue) return false;
    this.#beatIsDue = true;
    return true;
  }

  /** Resolves when nothing waits. */
  emptied(): Promise<void> {
    if (this.#waiting.length === 0) return Promise.resolve();
    return new Promise((resolve) => this.#onEmpty.push(resolve));
  }

  /** Drops what waits, and resolves `emptied`. */
  release(): void {
    this.#waiting = [];
    this.#empty();
  }

  /** Takes what is written next; empty = nothing. Clients may share these bytes. */
  take(): readonly Buffer[] {
    const pieces: Buffer[] = [];
    if (this.#opening !== undefined) {
      pieces.push(Buffer.from(`${this.#opening}${idLine(formatEventId(this.#written))}\n`));
      this.#opening = undefined;
    }
    for (let taken = 0; taken < PIECES_A_WRITE && this.#waiting.length > 0; taken += 1)
      pieces.push(this.#next());
    if (this.#waiting.length === 0) this.#empty();
    if (pieces.length === 0 && this.#beatIsDue) pieces.push(Buffer.from(`: \n${idLine(this.#standing())}\n`));
    if (pieces.length > 0) this.#beatIsDue = false;
    return pieces;
  }

  #add(events: number, content: Waiting['content'], stands?: Waiting['stands']): void {
    this.#events += events;
    this.#waiting.push({ events, content, ...(stands === undefined ? {} : { stands }) });
  }

  #next(): Buffer {
    const first = this.#waiting.shift();
    if (!first) return Buffer.alloc(0);
    this.#events -= first.events;
    const id = idLine(this.#idAfter(first));
    const { content } = first;
    return typeof content === 'string' ? Buffer.from(`${content}${id}\n`) : bytesOf(content, id);
  }

  /** The `id` of the event; '' = none. */
  #idAfter({ stands }: Waiting): string {
    if (stands === undefined) return '';
    if (typeof stands === 'string') return stands;
    this.#written.set(stands.queue, stands.position);
    return this.#standing();
  }

  /** The current `id`. When nothing waits, all that was handed in was written. */
  #standing(): string {
    if (this.#waiting.length === 0)
      for (const [queue, position] of this.handed) this.#written.set(queue, position);
    return formatEventId(this.#written);
  }

  #empty(): void {
    const resolvers = this.#onEmpty;
    this.#onEmpty = [];
    for (const resolve of resolvers) resolve();
  }
}

function idLine(id: string): string {
  return id === '' ? '' : `id: ${id}\n`;
}
