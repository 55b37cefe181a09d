// Waits for the end of something, in long polls one after the other.

import { isPassing, WaitTimeout } from './api-error.ts';
import { PATIENCE_MS, reconnectMs } from './follow-events.ts';
import { pause } from './pause.ts';
import type { CallOptions, Transport } from './transport.ts';

export interface WaitOptions extends CallOptions {
  /** Milliseconds; without end unless given. */
  readonly timeoutMs?: number | undefined;
}

/** What is waited for. */
interface Awaited {
  readonly what: 'task' | 'workflow' | 'batch';
  readonly id: string;
  readonly path: string;
}

/** A long poll stays below the 60 s after which load balancers usually give up. */
const LONG_POLL_SECONDS = 50;
const LONG_POLL_MARGIN_MS = 10_000;

/** Whether nothing of a task, a workflow or a batch runs any more, unless it is retried. */
export function hasEnded({ state }: { readonly state: string }): boolean {
  return state === 'succeeded' || state === 'dead' || state === 'cancelled';
}

/** What stands under a path once it has ended. The server may go away meanwhile for up to a minute. @throws ApiError, WaitTimeout */
export async function longPoll<Seen extends { readonly state: string }>(
  transport: Transport,
  { what, id, path }: Awaited,
  { timeoutMs = Number.POSITIVE_INFINITY, signal }: WaitOptions = {},
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
      if (hasEnded(seen)) return seen;
    } catch (error) {
      const isAway = isPassing(error) && seenAt !== undefined && performance.now() - seenAt < PATIENCE_MS;
      if (!isAway || (error.retryAfterMs ?? 0) > PATIENCE_MS) throw error;
      const leftMs = Math.max(0, deadline - performance.now());
      await pause(Math.min(error.retryAfterMs ?? reconnectMs(), leftMs), signal);
    }
    if (performance.now() >= deadline) throw new WaitTimeout(id, what);
  }
}
