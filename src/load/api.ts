// Reads the answers of the HTTP API for the load tool: one function for each answer, none of which throws.

import { isTaskState, isTerminal } from '../protocol/task-state.ts';
import type { Reply } from './http-client.ts';

/** The outcome of one `POST /v1/tasks`. */
export type SendAnswer =
  | { readonly kind: 'accepted'; readonly id: string }
  /** Certainly not accepted; another try makes sense after `retryAfterMs` milliseconds. */
  | { readonly kind: 'busy'; readonly why: StopCode; readonly retryAfterMs: number; readonly reason: string }
  /** Certainly not accepted, and a repeat would be refused too. */
  | { readonly kind: 'rejected'; readonly why: StopCode; readonly reason: string }
  /** It is not known whether it was accepted. */
  | { readonly kind: 'unknown'; readonly reason: string };

/** Why sending ends before every task was sent. */
export type StopCode = 'unreachable' | 'denied' | 'rejected' | 'over-limit';

/** A task as one request showed it. `unseen`: the server gave no usable answer. Times are milliseconds since 1970. */
export type TaskSight =
  | { readonly kind: 'ended'; readonly state: EndState; readonly times: TaskTimes }
  | { readonly kind: 'open' }
  | { readonly kind: 'missing' }
  | { readonly kind: 'unseen'; readonly retryAfterMs: number; readonly reason: string };

type EndState = 'succeeded' | 'dead' | 'cancelled';

export interface TaskTimes {
  readonly acceptedAtMs: number;
  /** NaN for a task that was cancelled before it ran. */
  readonly startedAtMs: number;
  readonly finishedAtMs: number;
}

const RECONNECT_MS = 1_000;

export function readSendAnswer(reply: Reply): SendAnswer {
  if (reply.kind === 'not-sent') {
    return { kind: 'busy', why: 'unreachable', retryAfterMs: RECONNECT_MS, reason: reply.reason };
  }
  if (reply.kind === 'broken') return { kind: 'unknown', reason: reply.reason };
  const { status, body, retryAfterMs } = reply;
  if (status >= 200 && status < 300) {
    const { id } = fieldsOf(body);
    if (typeof id === 'string') return { kind: 'accepted', id };
    return {
      kind: 'rejected',
      why: 'rejected',
      reason: `HTTP ${status} without a task id: is this popfleet?`,
    };
  }
  const reason = problemOf(status, body);
  if (status === 429 || status === 503) return { kind: 'busy', why: 'over-limit', retryAfterMs, reason };
  // A server or proxy that failed half-way may have passed the task on.
  if (status >= 500) return { kind: 'unknown', reason };
  return { kind: 'rejected', why: status === 401 || status === 403 ? 'denied' : 'rejected', reason };
}

export function readTaskSight(reply: Reply): TaskSight {
  if (reply.kind !== 'answer') return { kind: 'unseen', retryAfterMs: RECONNECT_MS, reason: reply.reason };
  const { status, body, retryAfterMs } = reply;
  if (status === 404) return { kind: 'missing' };
  const { state, acceptedAt, startedAt, finishedAt } = fieldsOf(body);
  if (status !== 200 || typeof state !== 'string' || !isTaskState(state)) {
    return { kind: 'unseen', retryAfterMs, reason: problemOf(status, body) };
  }
  if (!isTerminal(state)) return { kind: 'open' };
  const times = {
    acceptedAtMs: parseTimeMs(acceptedAt),
    startedAtMs: parseTimeMs(startedAt),
    finishedAtMs: parseTimeMs(finishedAt),
  };
  return { kind: 'ended', state: state as EndState, times };
}

/** The queue as one request showed it. */
export interface QueueSight {
  /** Tasks of the queue that have ended so far, including those that were removed. */
  readonly ended: number;
  /** Why no task runs, when the answer gives a reason. */
  readonly hindrance: string | null;
}

/** Null when the answer is not the state of a queue. */
export function readQueueSight(reply: Reply): QueueSight | null {
  if (reply.kind !== 'answer' || reply.status !== 200) return null;
  const { counts, paused, workers } = fieldsOf(reply.body);
  const number = fieldsOf(counts);
  const ended = ['succeeded', 'dead', 'cancelled', 'removed'].reduce(
    (sum, name) => sum + (Number(number[name]) || 0),
    0,
  );
  if (paused === true) return { ended, hindrance: 'the queue is paused' };
  return { ended, hindrance: workers === 0 ? 'no worker serves the queue' : null };
}

function problemOf(status: number, body: unknown): string {
  const { title, detail } = fieldsOf(body);
  return [`HTTP ${status}`, title, detail]
    .filter((part) => typeof part === 'string' && part !== '')
    .join(': ');
}

function parseTimeMs(value: unknown): number {
  return typeof value === 'string' ? Date.parse(value) : Number.NaN;
}

function fieldsOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}
