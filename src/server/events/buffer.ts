// What waits for one client of an event stream, and how it is written (HTML, section 9.2: server-sent events).

import { toTime } from '../../protocol/time-text.ts';
import type { TaskMove } from '../../store/event-entry.ts';
import { type EventPosition, timeOfPosition } from '../../store/event-entry.ts';
import { formatEventId } from './id.ts';

/** Never `error`: that is what a browser calls a broken connection. */
export type EventName = 'snapshot' | 'state' | 'progress' | 'reset' | 'end';

/** Events that may wait when more come. */
export const MOST_WAITING = 256;
const EVENTS_A_WRITE = 256;
/** A browser that was cut off comes back after this long. */
const RETRY_MS = 2_000;

/** One or more events. The last of them may say where the client then stands. */
interface Waiting {
  readonly content: string | { readonly moves: readonly TaskMove[]; readonly at: string };
  readonly stands?: { readonly queue: string; readonly position: EventPosition } | string;
  written: number;
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
    if (moves.length === 0) return;
    const content = { moves, at: toTime(timeOfPosition(position)) };
    this.#add(moves.length, content, isWhole ? { queue, position } : undefined);
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

  /** What is written next; '' = nothing. */
  take(): string {
    let text = '';
    if (this.#opening !== undefined) {
      text = `${this.#opening}${idLine(formatEventId(this.#told))}\n`;
      this.#opening = undefined;
    }
    for (let written = 0; written < EVENTS_A_WRITE && this.#waiting.length > 0; written += 1)
      text += this.#next();
    if (this.#waiting.length === 0) this.#empty();
    if (text === '' && this.#beatIsDue) text = `: \n${idLine(this.#standing())}\n`;
    if (text !== '') this.#beatIsDue = false;
    return text;
  }

  #add(events: number, content: Waiting['content'], stands?: Waiting['stands']): void {
    this.#events += events;
    this.#waiting.push({ content, written: 0, ...(stands === undefined ? {} : { stands }) });
  }

  #next(): string {
    const [first] = this.#waiting;
    if (!first) return '';
    const { content, stands } = first;
    this.#events -= 1;
    first.written += 1;
    if (typeof content === 'object' && first.written < content.moves.length)
      return `${eventOf(content, first.written)}\n`;
    this.#waiting.shift();
    const event = typeof content === 'string' ? content : eventOf(content, first.written);
    if (stands === undefined) return `${event}\n`;
    if (typeof stands === 'string') return `${event}${idLine(stands)}\n`;
    this.#told.set(stands.queue, stands.position);
    return `${event}${idLine(this.#standing())}\n`;
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

/** @param count 1 = the first */
function eventOf(
  { moves, at }: { readonly moves: readonly TaskMove[]; readonly at: string },
  count: number,
): string {
  const move = moves[count - 1];
  if (!move) return '';
  return `event: state\ndata: ${JSON.stringify({ queue: move.queue, task: move.id, state: move.state, at })}\n`;
}

function idLine(id: string): string {
  return id === '' ? '' : `id: ${id}\n`;
}
