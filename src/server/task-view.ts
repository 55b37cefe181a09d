// A task as callers see it.

import { decodeTrusted } from '../protocol/cbor.ts';
import type { Lane } from '../protocol/lane.ts';
import { decodeContent, type MessageOptions, readTick } from '../protocol/message.ts';
import { type RunOptions, resolveRunOptions } from '../protocol/options.ts';
import type { TaskError } from '../protocol/task-error.ts';
import type { TaskState } from '../protocol/task-state.ts';
import type { FailedAttempt } from '../store/inspector.ts';
import type { TaskRecord } from '../store/record.ts';
import type { Registry } from '../tasks/registry.ts';
import { compact } from './compact.ts';

/** Times are RFC 3339 in UTC with milliseconds; what is not known, or does not apply, is absent. */
export interface TaskView {
  readonly id: string;
  readonly type: string;
  readonly state: TaskState;
  readonly queue: string;
  readonly priority: Lane;
  readonly input: unknown;
  /** What holds for its runs: the call's options, else the type's, else the defaults. */
  readonly options?: RunOptions;
  /** The attempt that runs, or the last one that ran; workers that were lost do not count. */
  readonly attempt: number;
  readonly crashes: number;
  readonly worker?: string;
  readonly acceptedAt: string;
  readonly dueAt?: string;
  readonly expiresAt?: string;
  readonly startedAt?: string;
  readonly finishedAt?: string;
  /** When it was asked to be cancelled. */
  readonly cancelRequestedAt?: string;
  readonly progress?: unknown;
  readonly result?: unknown;
  readonly error?: TaskError;
  /** How its latest attempts failed, oldest first. */
  readonly errors: readonly object[];
  /** The tick that made it, and when it was due. */
  readonly schedule?: { readonly name: string; readonly due: string };
  readonly traceparent?: string;
  readonly links: { readonly self: string; readonly log: string };
}

export function toTaskView(
  record: TaskRecord,
  attempts: readonly FailedAttempt[],
  registry: Registry,
): TaskView {
  const { type, input, options } = readContent(record.content);
  const { traceparent } = options;
  const tick = readTick(options);
  return compact<TaskView>({
    id: record.id,
    type,
    state: record.state,
    queue: record.queue,
    priority: record.lane,
    input,
    options: runOptions(options, type, registry),
    attempt: record.state === 'dead' ? Math.max(1, record.failures) : record.failures + 1,
    crashes: record.crashes,
    worker: record.worker,
    acceptedAt: toTime(record.acceptedAt),
    dueAt: toTime(record.dueAt),
    expiresAt: toTime(record.expiresAt),
    startedAt: toTime(record.startedAt),
    finishedAt: toTime(record.finishedAt),
    cancelRequestedAt: toTime(record.cancelAt),
    progress: record.progress && decodeTrusted(record.progress),
    result: record.result && decodeTrusted(record.result),
    // What an earlier attempt left; `errors` still tells it.
    error:
      record.error && record.state !== 'succeeded' ? (decodeTrusted(record.error) as TaskError) : undefined,
    errors: attempts.map(toAttemptView),
    schedule: tick && { name: tick.name, due: toTime(tick.due) },
    traceparent: typeof traceparent === 'string' ? traceparent : undefined,
    links: { self: taskPath(record.id), log: `${taskPath(record.id)}/log` },
  });
}

/** A row of a list of dead tasks: no payload, no stack. */
export function toDeadView(record: TaskRecord): object {
  const { name, message, fingerprint, killCause } = record.error
    ? (decodeTrusted(record.error) as TaskError)
    : ({} as Partial<TaskError>);
  return {
    id: record.id,
    type: readContent(record.content).type,
    queue: record.queue,
    attempt: Math.max(1, record.failures),
    crashes: record.crashes,
    finishedAt: toTime(record.finishedAt),
    error: { name, message, fingerprint, killCause },
    links: { self: taskPath(record.id) },
  };
}

export function taskPath(id: string): string {
  return `/v1/tasks/${id}`;
}

function toAttemptView({ startedAt, endedAt, claim, worker, error }: FailedAttempt): object {
  return { claim, worker, startedAt: toTime(startedAt), endedAt: toTime(endedAt), error };
}

/** Options of a foreign message may mean nothing: then its error tells. */
function runOptions(options: MessageOptions, type: string, registry: Registry): RunOptions | undefined {
  try {
    return resolveRunOptions(options, registry.get(type)?.defaults ?? {});
  } catch {
    return undefined;
  }
}

/** A message of another program may be no plain CBOR behind its head; its record is shown all the same. */
function readContent(content: Buffer): { type: string; input: unknown; options: MessageOptions } {
  try {
    return decodeContent(content);
  } catch {
    return { type: 'unknown', input: null, options: {} };
  }
}

function toTime(ms: number): string;
function toTime(ms: number | undefined): string | undefined;
function toTime(ms: number | undefined): string | undefined {
  return ms === undefined ? undefined : new Date(ms).toISOString();
}
