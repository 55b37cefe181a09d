// What a handler says when it waits for something without a slot, and what it finds when it runs again.

import { decodeStored } from '../../protocol/cbor.ts';
import { isInstant, LONGEST_DELAY_MS } from '../../protocol/instant.ts';
import { readToken } from '../../protocol/token.ts';
import type { WaitRequest } from '../../store/waits.ts';
import type { Waited, WaitFor } from '../../tasks/define.ts';
import type { WaitedBytes } from './runner.ts';

/** Stands for `context.waitFor(…)`: a handler that returns it waits. */
export class Suspension {
  readonly wait: WaitRequest;

  constructor(wait: WaitRequest) {
    this.wait = wait;
  }
}

/** @param task whose handler asks @throws TypeError that says what may be waited for */
export function toSuspension(what: WaitFor, task: string): Suspension {
  const { token, untilMs, timeoutMs } = (what ?? {}) as Readonly<Record<string, unknown>>;
  if ((token === undefined) === (untilMs === undefined)) {
    throw new TypeError('waitFor needs one of these: token, untilMs');
  }
  if (untilMs !== undefined) {
    if (timeoutMs !== undefined) throw new TypeError('untilMs is a time limit itself: it needs no timeoutMs');
    if (!isInstant(untilMs)) throw new TypeError('untilMs must be a time in milliseconds since 1970');
    return new Suspension({ sources: [], untilMs });
  }
  const limit = readTimeout(timeoutMs);
  const read = typeof token === 'string' ? readToken(token) : undefined;
  if (read?.task !== task) {
    throw new TypeError('token must be one of this task, as `await context.token(name)` gives it');
  }
  return new Suspension({ sources: [read.source], ...limit });
}

function readTimeout(timeoutMs: unknown): { readonly timeoutMs?: number } {
  if (timeoutMs === undefined) return {};
  if (typeof timeoutMs === 'number' && timeoutMs >= 0 && timeoutMs <= LONGEST_DELAY_MS) {
    return { timeoutMs: Math.round(timeoutMs) };
  }
  throw new TypeError(`timeoutMs must be milliseconds from 0 to ${LONGEST_DELAY_MS}`);
}

export function readWaited(waited: WaitedBytes | undefined): Waited | undefined {
  return waited && { timedOut: waited.timedOut, payload: waited.payload && decodeStored(waited.payload) };
}
