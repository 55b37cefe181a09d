// Waits for the end of something, in long polls one after the other; or asks now and then for what the server does not wait for.

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
  /** The server does not wait for it: it is asked again after a pause, which grows with the time so far. */
  readonly answersAtOnce?: boolean;
}

/** A long poll stays below the 60 s after which load balancers usually give up. */
const LONG_POLL_SECONDS = 50;
const LONG_POLL_MARGIN_MS = 10_000;
/** Of the time so far: so much later an end is known at most. */
const PAUSE_PART = 0.1;
const SHORTEST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 5_000;

/** How long to leave a server alone that was asked for so long already. */
function pauseMs(askedForMs: number): number {
  return Math.min(LONGEST_PAUSE_MS, Math.max(SHORTEST_PAUSE_MS, askedForMs * PAUSE_PART));
}

/** Whether nothing of a task, a workflow or a batch runs any more, unless it is retried. */
export function hasEnded({ state }: { readonly state: string }): boolean {
  return state === 'succeeded' || state === 'dead' || state === 'cancelled';
}

/** What stands under a path once it has ended. The server may go away meanwhile for up to a minute. @throws ApiError, WaitTimeout */
export async function longPoll<Seen extends { readonly state: string }>(
  transport: Transport,
  { what, id, path, answersAtOnce = false }: Awaited,
  { timeoutMs = Number.POSITIVE_INFINITY, signal }: WaitOptions = {},
): Promise<Seen> {
  const startedAt = performance.now();
  const deadline = startedAt + timeoutMs;
  let seenAt: number | undefined;
  for (;;) {
    const left = Math.max(0, deadline - performance.now());
    const wait = answersAtOnce ? 0 : Math.min(LONG_POLL_SECONDS, Math.ceil(left / 1_000));
    try {
      const limitMs = Math.min(wait * 1_000, left) + LONG_POLL_MARGIN_MS;
      const query = answersAtOnce ? {} : { wait };
      const seen = await transport.json<Seen>({ path, query, timeoutMs: limitMs, signal });
      seenAt = performance.now();
      if (hasEnded(seen)) return seen;
      if (answersAtOnce && seenAt < deadline) {
        await pause(Math.min(pauseMs(seenAt - startedAt), deadline - seenAt), signal);
        // Looks once more when the time is over.
        continue;
      }
    } catch (error) {
      const isAway = isPassing(error) && seenAt !== undefined && performance.now() - seenAt < PATIENCE_MS;
      if (!isAway || (error.retryAfterMs ?? 0) > PATIENCE_MS) throw error;
      const leftMs = Math.max(0, deadline - performance.now());
      await pause(Math.min(error.retryAfterMs ?? reconnectMs(), leftMs), signal);
    }
    if (performance.now() >= deadline) throw new WaitTimeout(id, what);
  }
}
