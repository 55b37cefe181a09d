// Waits for the end of something, in long polls one after the other.

import { isPassing } from './api-error.ts';
import { PATIENCE_MS, reconnectMs } from './follow-events.ts';
import { pause } from './pause.ts';
import type { CallOptions, Transport } from './transport.ts';

interface LongPollOptions extends CallOptions {
  /** Milliseconds; without end unless given. */
  readonly timeoutMs?: number | undefined;
  /** What is thrown when the time is over. */
  readonly onTimeout: () => Error;
}

/** A long poll stays below the 60 s after which load balancers usually give up. */
const LONG_POLL_SECONDS = 50;
const LONG_POLL_MARGIN_MS = 10_000;

/** What stands under a path once it is over. The server may go away meanwhile for up to a minute. @throws ApiError, and what `onTimeout` says */
export async function longPoll<Seen>(
  transport: Transport,
  path: string,
  isOver: (seen: Seen) => boolean,
  { timeoutMs = Number.POSITIVE_INFINITY, signal, onTimeout }: LongPollOptions,
): Promise<Seen> {
  const deadline = performance.now() + timeoutMs;
  let seenAt: number | undefined;
  for (;;) {
    const left = Math.max(0, deadline - performance.now());
    const wait = Math.min(LONG_POLL_SECONDS, Math.ceil(left / 1_000));
    try {
      const limitMs = Math.min(wait * 1_000, left) + LONG_POLL_MARGIN_MS;
      const seen = await transport.json<Seen>({ path, query: { wait }, timeoutMs: limitMs, signal });
      seenAt = performance.now();
      if (isOver(seen)) return seen;
    } catch (error) {
      const isAway = isPassing(error) && seenAt !== undefined && performance.now() - seenAt < PATIENCE_MS;
      if (!isAway || (error.retryAfterMs ?? 0) > PATIENCE_MS) throw error;
      const leftMs = Math.max(0, deadline - performance.now());
      await pause(Math.min(error.retryAfterMs ?? reconnectMs(), leftMs), signal);
    }
    if (performance.now() >= deadline) throw onTimeout();
  }
}
