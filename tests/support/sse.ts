// A client of event streams: reads what the server writes, as a browser does, but can be cut, paused and looked into.

import { type Agent, type IncomingMessage, request } from 'node:http';
import { createParser } from 'eventsource-parser';
import { onTestFinished } from 'vitest';
import { eventually } from './eventually.ts';

export interface SseEvent {
  readonly name: string;
  readonly id: string | undefined;
  readonly data: Record<string, unknown>;
}

export interface SseClient {
  readonly response: IncomingMessage;
  readonly events: readonly SseEvent[];
  readonly comments: readonly string[];
  /** Everything that was read. */
  raw(): string;
  /** As a browser would send it: also blocks without data count. */
  lastId(): string;
  named(name: string): readonly SseEvent[];
  /** Waits until so many events of that name have come. */
  until(name: string, count?: number): Promise<readonly SseEvent[]>;
  isOver(): boolean;
  /** Resolves when the stream ends, in good order or not. */
  readonly over: Promise<void>;
  /** Breaks the connection; what comes meanwhile is not read. */
  cut(): void;
}

export interface SseOptions {
  readonly headers?: Record<string, string>;
  readonly agent?: Agent;
  /** The connection breaks as soon as so many events were read. */
  readonly cutAfter?: number;
}

/** As `openSse`; the client is gone when the test is. */
export async function openForTest(url: string, options: SseOptions = {}): Promise<SseClient> {
  const client = await openSse(url, options);
  onTestFinished(() => client.cut());
  return client;
}

/** What a browser sends when it comes back. */
export function resumeFrom(id: string): Pick<SseOptions, 'headers'> {
  return { headers: { 'last-event-id': id } };
}

/** Task and state of each move, as the event stream in Redis has them. */
export function movesOf({ events }: Pick<SseClient, 'events'>): string[] {
  return events
    .filter(({ name }) => name === 'state')
    .map(({ data }) => `${String(data['task'])}${String(data['state'])}`);
}

/** Resolves with the head of the answer, whatever its status. */
export async function openSse(url: string, options: SseOptions = {}): Promise<SseClient> {
  const { headers = {}, agent, cutAfter = Number.POSITIVE_INFINITY } = options;
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const sent = request(url, { headers, ...(agent ? { agent } : {}) }, resolve);
    sent.once('error', reject);
    sent.end();
  });
  const events: SseEvent[] = [];
  const comments: string[] = [];
  let raw = '';
  let lastId = headers['last-event-id'] ?? '';
  let isCut = false;
  const parser = createParser({
    onEvent({ event = 'message', id, data }) {
      events.push({ name: event, id, data: JSON.parse(data) as Record<string, unknown> });
    },
    onComment: (comment) => comments.push(comment),
  });

  function cut(): void {
    isCut = true;
    response.destroy();
  }

  response.setEncoding('utf8');
  let rest = '';
  response.on('data', (text: string) => {
    raw += text;
    const blocks = (rest + text).split('\n\n');
    rest = blocks.pop() ?? '';
    for (const block of blocks) {
      if (isCut) return;
      parser.feed(`${block}\n\n`);
      lastId = /^id: (.*)$/m.exec(block)?.[1] ?? lastId;
      if (events.length >= cutAfter) cut();
    }
  });
  response.on('error', () => undefined);
  const over = new Promise<void>((resolve) => response.once('close', resolve));
  const named = (name: string): SseEvent[] => events.filter((event) => event.name === name);
  return {
    response,
    events,
    comments,
    raw: () => raw,
    lastId: () => lastId,
    named,
    until: (name, count = 1) =>
      eventually(() => {
        const found = named(name);
        return found.length >= count && found;
      }),
    isOver: () => response.closed,
    over,
    cut,
  };
}
