// Follows a stream of events over breaks: it comes back where it was, so that no move of a task is missed.

import { isPassing } from './api-error.ts';
import { createEventStreamReader, type EventStreamReader, type ServerEvent } from './event-stream.ts';
import { pause } from './pause.ts';
import type { ApiRequest, Transport } from './transport.ts';

/** The server writes every 15 s: a stream that is silent for longer than this is broken. */
const SILENCE_MS = 40_000;
const RECONNECT_MS = 2_000;
/** A server that was there before may be away for so long. */
export const PATIENCE_MS = 60_000;

/**
 * Events as they happen, until the server says that nothing more will come. The caller ends it sooner by leaving its loop.
 * @throws ApiError when the server cannot be reached at first, although it has not answered within the last minute either, or is away for
 * longer than that
 */
export async function* followEvents(
  transport: Transport,
  request: ApiRequest,
  lastEventId?: string,
): AsyncGenerator<ServerEvent, void, void> {
  let lastId = lastEventId;
  let seenAt = transport.answeredAt();
  for (;;) {
    const leave = new AbortController();
    const onAbort = (): void => leave.abort(request.signal?.reason);
    if (request.signal?.aborted) onAbort();
    request.signal?.addEventListener('abort', onAbort);
    try {
      const headers: Record<string, string> = lastId === undefined ? {} : { 'last-event-id': lastId };
      const stream = await transport.stream({ ...request, signal: leave.signal }, headers);
      if (!stream) return;
      seenAt = performance.now();
      const reader = createEventStreamReader(lastId);
      for await (const event of readStream(stream, reader)) {
        yield event;
        if (event.name === 'end') return;
      }
      lastId = reader.lastId();
      // It broke just now, or a moment ago: what keeps it alive is no event.
      seenAt = performance.now();
    } catch (error) {
      request.signal?.throwIfAborted();
      const isAway = isPassing(error) && performance.now() - seenAt < PATIENCE_MS;
      if (!isAway) throw error;
    } finally {
      leave.abort();
      request.signal?.removeEventListener('abort', onAbort);
    }
    await pause(reconnectMs(), request.signal);
  }
}

/** How long to wait before another try: callers that lost their server together do not come back together. */
export function reconnectMs(): number {
  return RECONNECT_MS * (0.5 + Math.random());
}

/** Ends without an error when the connection breaks. */
async function* readStream(
  stream: ReadableStream<Uint8Array>,
  reader: EventStreamReader,
): AsyncGenerator<ServerEvent, void, void> {
  const source = stream.getReader();
  const decoder = new TextDecoder();
  let timer: ReturnType<typeof setTimeout> | undefined;
  try {
    for (;;) {
      clearTimeout(timer);
      timer = setTimeout(() => void source.cancel().catch(() => undefined), SILENCE_MS);
      const { done, value } = await source.read().catch(() => ({ done: true, value: undefined }));
      if (done || value === undefined) return;
      yield* reader.read(decoder.decode(value, { stream: true }));
    }
  } finally {
    clearTimeout(timer);
    await source.cancel().catch(() => undefined);
  }
}
