// What waits for one client of an event stream, and how it is written (HTML, section 9.2: server-sent events).

import type { TaskMove } from '../../store/event-entry.ts';
import { type EventPosition, timeOfPosition } from '../../store/event-entry.ts';
import { bytesOf, type Frame, framesOf } from './frames.ts';
import { formatEventId } from './id.ts';

/** Never `error`: that is what a browser calls a broken connection. */
export type EventName = 'snapshot' | 'state' | 'progress' | 'reset' | 'end';

/** Events that may wait when more come. */
export const MOST_WAITING = 256;
/** Pieces that are written together. */
const PIECES_A_WRITE = 16;
/** A browser that was cut off comes back after this long. */
const RETRY_MS = 2_000;

/** One or more events. They may say where the client then stands. */
interface Waiting {
  readonly events: number;
  readonly content: string | Frame;
  readonly stands?: { readonly queue: string; readonly position: EventPosition } | string;
}

export class EventBuffer {
  /** Everything up to here was handed in, or does not concern the client. */
  readonly handed = new Map<string, EventPosition>();
  /** Everything up to here was written: what an `id` says. */
  readonly #told = new Map<string, EventPosition>();
  #waiting: Waiting[] = [];
  #events = 0;
  #beatIsDue = false;
  #opening: string | undefined = `retry: ${RETRY_MS}\n: popfleet\n`;
  #onEmpty: (() => void)[] = [];

  /** More wait than a client that keeps up ever has. */
  get isFull(): boolean {
    return this.#events > MOST_WAITING;
  }

  /** Begins a queue: what comes after the position is told. */
  begin(queue: string, position: EventPosition): void {
    this.handed.set(queue, position);
    this.#told.set(queue, position);
  }

  /** Moves of one entry. @param isWhole false when the client is not done with the entry once it has read them */
  moves(queue: string, moves: readonly TaskMove[], position: EventPosition, isWhole = true): void {
    if (isWhole) this.handed.set(queue, position);
    const frames = framesOf(moves, timeOfPosition(position));
    for (const frame of frames) {
      const isLast = frame === frames.at(-1);
      this.#add(frame.events, frame, isWhole && isLast ? { queue, position } : undefined);
    }
  }

  /** @param json on one line, as `JSON.stringify` writes it @param stands an id, or where the client then stands */
  event(name: EventName, json: string, stands?: Waiting['stands']): void {
    if (typeof stands === 'object') this.handed.set(stands.queue, stands.position);
    this.#add(1, `event: ${name}\ndata: ${json}\n`, stands);
  }

  /** Drops everything that waits, and says that the client must look again. */
  overflow(): void {
    this.#waiting = [];
    this.#events = 0;
    this.event('reset', JSON.stringify({ reason: 'slow' }), formatEventId(this.handed));
  }

  /** @param comment without line breaks */
  comment(comment: string): void {
    this.#add(1, `: ${comment}\n`);
  }

  /** @returns false when nothing was taken since the last beat, although that one waited */
  beat(): boolean {
    if (this.#beatIsDue) return false;
    this.#beatIsDue = true;
    return true;
  }

  /** Resolves when nothing waits any more. */
  emptied(): Promise<void> {
    if (this.#waiting.length === 0) return Promise.resolve();
    return new Promise((resolve) => this.#onEmpty.push(resolve));
  }

  /** Forgets what waits; whoever waits for that goes on. */
  release(): void {
    this.#waiting = [];
    this.#empty();
  }

  /** What is written next; none = nothing. Other clients may be given the same bytes. */
  take(): readonly Buffer[] {
    const pieces: Buffer[] = [];
    if (this.#opening !== undefined) {
      pieces.push(Buffer.from(`${this.#opening}${idLine(formatEventId(this.#told))}\n`));
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

  /** '' = none. */
  #idAfter({ stands }: Waiting): string {
    if (stands === undefined) return '';
    if (typeof stands === 'string') return stands;
    this.#told.set(stands.queue, stands.position);
    return this.#standing();
  }

  /** When nothing waits, all that was handed in was told. */
  #standing(): string {
    if (this.#waiting.length === 0)
      for (const [queue, position] of this.handed) this.#told.set(queue, position);
    return formatEventId(this.#told);
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
