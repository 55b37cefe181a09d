// A task as callers see it.

import { decodeTrusted } from '../protocol/cbor.ts';
import type { Lane } from '../protocol/lane.ts';
import { decodeMessage } from '../protocol/message.ts';
import type { TaskState } from '../protocol/task-state.ts';
import type { TaskRecord } from '../store/record.ts';

/** Times are RFC 3339 in UTC with milliseconds; what is not known yet is absent. */
export interface TaskView {
  readonly id: string;
  readonly type: string;
  readonly state: TaskState;
  readonly queue: string;
  readonly priority: Lane;
  readonly input: unknown;
  /** The attempt that runs, or the last one that ran; workers that were lost do not count. */
  readonly attempt: number;
  readonly crashes: number;
  readonly worker?: string;
  readonly acceptedAt: string;
  readonly dueAt?: string;
  readonly startedAt?: string;
  readonly finishedAt?: string;
  readonly result?: unknown;
  readonly error?: unknown;
  readonly links: { readonly self: string };
}

export function toTaskView(record: TaskRecord): TaskView {
  const { type, input } = readMessage(record.message);
  return {
    id: record.id,
    type,
    state: record.state,
    queue: record.queue,
    priority: record.lane,
    input,
    attempt: record.state === 'dead' ? Math.max(1, record.failures) : record.failures + 1,
    crashes: record.crashes,
    ...(record.worker === undefined ? {} : { worker: record.worker }),
    acceptedAt: toTime(record.acceptedAt),
    ...(record.dueAt === undefined ? {} : { dueAt: toTime(record.dueAt) }),
    ...(record.startedAt === undefined ? {} : { startedAt: toTime(record.startedAt) }),
    ...(record.finishedAt === undefined ? {} : { finishedAt: toTime(record.finishedAt) }),
    ...(record.result === undefined ? {} : { result: decodeTrusted(record.result) }),
    ...(record.error === undefined ? {} : { error: decodeTrusted(record.error) }),
    links: { self: taskPath(record.id) },
  };
}

export function taskPath(id: string): string {
  return `/v1/tasks/${id}`;
}

/** A message of another program may be no plain CBOR behind its head; its record is shown all the same. */
function readMessage(message: Buffer): { type: string; input: unknown } {
  try {
    return decodeMessage(message);
  } catch {
    return { type: 'unknown', input: null };
  }
}

function toTime(ms: number): string {
  return new Date(ms).toISOString();
}
