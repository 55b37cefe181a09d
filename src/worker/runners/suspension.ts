// What a handler says when it waits for something without a slot, and what it finds when it runs again.

import { decodeStored } from '../../protocol/cbor.ts';
import { isInstant, LONGEST_DELAY_MS } from '../../protocol/instant.ts';
import { compact } from '../../protocol/compact.ts';
import { TASK_ID } from '../../protocol/names.ts';
import { childSource, MOST_SOURCES } from '../../protocol/source.ts';
import { readTaskError } from '../../protocol/task-error.ts';
import { readToken } from '../../protocol/token.ts';
import type { WaitRequest } from '../../store/waits.ts';
import type { ChildEnd, Waited, WaitFor } from '../../tasks/define.ts';
import type { ChildBytes, WaitedBytes } from './runner.ts';

/** Stands for `context.waitFor(…)`: a handler that returns it waits. */
export class Suspension {
  readonly wait: WaitRequest;

  constructor(wait: WaitRequest) {
    this.wait = wait;
  }
}

/** @param task whose handler asks @throws TypeError that says what may be waited for */
export function toSuspension(what: WaitFor, task: string): Suspension {
  const { token, children, untilMs, timeoutMs } = (what ?? {}) as Readonly<Record<string, unknown>>;
  if ([token, children, untilMs].filter((one) => one !== undefined).length !== 1) {
    throw new TypeError('waitFor needs one of these: token, children, untilMs');
  }
  if (untilMs !== undefined) {
    if (timeoutMs !== undefined) throw new TypeError('untilMs is a time limit itself: it needs no timeoutMs');
    if (!isInstant(untilMs)) throw new TypeError('untilMs must be a time in milliseconds since 1970');
    return new Suspension({ sources: [], untilMs });
  }
  const limit = readTimeout(timeoutMs);
  if (children !== undefined) return new Suspension({ sources: sourcesOf(children), ...limit });
  const read = typeof token === 'string' ? readToken(token) : undefined;
  if (read?.task !== task) {
    throw new TypeError('token must be one of this task, as `await context.token(name)` gives it');
  }
  return new Suspension({ sources: [read.source], ...limit });
}

function sourcesOf(children: unknown): string[] {
  const ids = Array.isArray(children) ? children.map((one) => String(one).toLowerCase()) : [''];
  if (ids.length > MOST_SOURCES) throw new RangeError(`children must be ${MOST_SOURCES} at most`);
  if (!ids.every((id) => TASK_ID.test(id))) {
    throw new TypeError('children must be a list of ids, as `await context.spawn(…)` gives them');
  }
  return [...new Set(ids)].map(childSource);
}

function readTimeout(timeoutMs: unknown): { readonly timeoutMs?: number } {
  if (timeoutMs === undefined) return {};
  if (typeof timeoutMs === 'number' && timeoutMs >= 0 && timeoutMs <= LONGEST_DELAY_MS) {
    return { timeoutMs: Math.round(timeoutMs) };
  }
  throw new TypeError(`timeoutMs must be milliseconds from 0 to ${LONGEST_DELAY_MS}`);
}

export function readWaited(waited: WaitedBytes | undefined): Waited | undefined {
  if (!waited) return undefined;
  const { timedOut, payload, children = [] } = waited;
  return { timedOut, payload: payload && decodeStored(payload), children: children.map(toChildEnd) };
}

function toChildEnd({ id, state, value }: ChildBytes): ChildEnd {
  if (!value) return { id, state };
  if (state === 'succeeded') return { id, state, result: decodeStored(value) };
  const { name, message } = readTaskError(value);
  return compact<ChildEnd>({ id, state, error: { name, message } });
}
