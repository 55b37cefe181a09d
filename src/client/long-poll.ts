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
/** Who does not listen refuses sooner than this: what breaks later had been taken. */
const REFUSED_WITHIN_MS = 1_000;

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
  let isKnown = performance.now() - transport.answeredAt() < PATIENCE_MS;
  /** When the first try failed since the last answer. */
  let awaySince: number | undefined;
  const onFailure = (error: unknown, openMs: number): void => {
    awaySince ??= performance.now();
    isKnown ||= openMs > REFUSED_WITHIN_MS && hadReached(error);
  };
  for (;;) {
    const left = Math.max(0, deadline - performance.now());
    const wait = Math.min(LONG_POLL_SECONDS, Math.ceil(left / 1_000));
    try {
      const limitMs = Math.min(wait * 1_000, left) + LONG_POLL_MARGIN_MS;
      const seen = await transport.json<Seen>({
        path,
        query: { wait },
        timeoutMs: limitMs,
        onFailure,
        signal,
      });
      isKnown = true;
      awaySince = undefined;
      if (hasEnded(seen)) return seen;
    } catch (error) {
      const awayMs = performance.now() - (awaySince ?? 0);
      if (!isPassing(error) || !isKnown || awayMs >= PATIENCE_MS) throw error;
      if ((error.retryAfterMs ?? 0) > PATIENCE_MS) throw error;
      const leftMs = Math.max(0, deadline - performance.now());
      await pause(Math.min(error.retryAfterMs ?? reconnectMs(), leftMs), signal);
    }
    if (performance.now() >= deadline) throw new WaitTimeout(id, what);
  }
}

/** Whether a try that has failed late had a server at its other end, which is not known of one without an answer in time. */
function hadReached(error: unknown): boolean {
  if (!isPassing(error) || error.code === 'no-answer' || error.status === 504) return false;
  const { cause } = (error.cause ?? {}) as { readonly cause?: { readonly code?: unknown } };
  // How Node says that nobody takes connections at an address.
  return cause?.code !== 'UND_ERR_CONNECT_TIMEOUT';
}
