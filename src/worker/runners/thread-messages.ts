// Messages between the worker and a thread, or a process of its own, on a channel that handlers do not see.

import * as v from 'valibot';
import type { TaskError } from '../../protocol/task-error.ts';
import type { Child } from './child-processes.ts';
import type { JobBatch } from './job-batch.ts';
import type { Written } from './output.ts';
import type { OutputOwner } from './output-log.ts';
import type { HandlerEnd, HandlerReply, HandlerRequest, Report, StopReason } from './runner.ts';

export type ToThread =
  | ({ readonly kind: 'run' } & JobBatch)
  /** The signal of this run fires with `reason`. */
  | { readonly kind: 'stop'; readonly run: number; readonly reason: StopReason }
  | ({ readonly kind: 'reply' } & Reply);

/** Of the worker to a request, by its number. */
export interface Reply {
  readonly number: number;
  readonly reply: HandlerReply;
}

export type FromThread =
  /** Its handlers are loaded: it takes jobs. */
  | {
      readonly kind: 'loaded';
      /** Where its children stand below `/proc`; `undefined` on other systems than Linux. */
      readonly proc: string | undefined;
    }
  /** They cannot be loaded, and the thread ends. */
  | { readonly kind: 'not-loaded'; readonly reason: string }
  | Ended
  | { readonly kind: 'report'; readonly report: Report }
  | Request
  | Output
  | Child
  | { readonly kind: 'child-gone'; readonly pid: number }
  | LeftBehind;

export interface Ended {
  readonly kind: 'ended';
  /** Its number, as the batch says; 0 in a process of its own. */
  readonly run: number;
  readonly end: HandlerEnd;
  /** Milliseconds that it ran. */
  readonly ranMs: number;
  /** The thread exits now: its code failed where nothing could catch the error. */
  readonly exits: boolean;
}

export interface Request {
  readonly kind: 'request';
  readonly run: number;
  /** Its own among all of the thread, or of the process. */
  readonly number: number;
  readonly request: HandlerRequest;
}

/** What code of a run has written to stdout or stderr. */
export interface Output {
  readonly kind: 'output';
  /** `undefined`: it belongs to no run, but to a task module. */
  readonly by: OutputOwner | undefined;
  /** The run has ended, and its code writes all the same. */
  readonly isLate: boolean;
  readonly written: Written;
}

/** An error of code that an earlier run left behind, a timer for example. The thread ends for it. */
export interface LeftBehind {
  readonly kind: 'left-behind';
  /** `undefined`: it belongs to no run, but to a task module. */
  readonly by: OutputOwner | undefined;
  readonly error: TaskError;
}

const ErrorSchema = v.looseObject({ name: v.string(), message: v.string() });
const ReportSchema = v.object({
  queue: v.string(),
  id: v.string(),
  claim: v.number(),
  progress: v.optional(v.object({ percent: v.number(), note: v.optional(v.string()) })),
  lines: v.array(v.string()),
});
const WaitSchema = v.object({
  sources: v.array(v.string()),
  timeoutMs: v.optional(v.number()),
  untilMs: v.optional(v.number()),
});
const OwnerSchema = v.optional(v.looseObject({}));
/** Numbers below 2 stand for groups of processes, or for the first one of the machine. */
const PidSchema = v.pipe(v.number(), v.integer(), v.minValue(2), v.notValue(process.pid));

/** Of all messages but `ended`. */
const MessageSchema = v.variant('kind', [
  v.object({
    kind: v.literal('loaded'),
    proc: v.optional(v.pipe(v.string(), v.regex(/^\d+\/task\/\d+$/))),
  }),
  v.object({ kind: v.literal('not-loaded'), reason: v.string() }),
  v.object({ kind: v.literal('report'), report: ReportSchema }),
  v.object({
    kind: v.literal('request'),
    run: v.number(),
    number: v.number(),
    request: v.variant('kind', [
      v.object({ kind: v.literal('checkpoint'), value: v.instance(Uint8Array) }),
      v.object({ kind: v.literal('token'), name: v.string() }),
      v.object({
        kind: v.literal('spawn'),
        key: v.string(),
        call: v.instance(Uint8Array),
        traceparent: v.optional(v.string()),
      }),
    ]),
  }),
  v.object({
    kind: v.literal('output'),
    by: OwnerSchema,
    written: v.union([
      v.object({ dropped: v.number() }),
      v.object({ stream: v.picklist(['stdout', 'stderr']), line: v.string() }),
    ]),
  }),
  v.object({
    kind: v.literal('child'),
    run: v.number(),
    mark: v.object({ pid: PidSchema, startTime: v.optional(v.string()) }),
  }),
  v.object({ kind: v.literal('child-gone'), pid: PidSchema }),
  v.object({ kind: v.literal('left-behind'), by: OwnerSchema, error: ErrorSchema }),
]);

/** Whether a message has the shape that its kind promises: nothing else may reach the code of the main thread. */
export function isFromThread(message: unknown): message is FromThread {
  if (!isObject(message) || message['kind'] !== 'ended') return v.is(MessageSchema, message);
  // By hand: one comes for every task.
  const { run, ranMs, end } = message;
  return typeof run === 'number' && typeof ranMs === 'number' && isHandlerEnd(end);
}

function isHandlerEnd(end: unknown): boolean {
  if (!isObject(end) || end['stop'] !== undefined) return false;
  if (end['report'] !== undefined && !v.is(ReportSchema, end['report'])) return false;
  switch (end['kind']) {
    case 'succeeded':
      return end['result'] instanceof Uint8Array;
    case 'failed':
      return v.is(ErrorSchema, end['error']) && typeof end['permanent'] === 'boolean';
    case 'suspended':
      return v.is(WaitSchema, end['wait']);
    case 'snoozed':
      return v.is(ErrorSchema, end['error']) && typeof end['delayMs'] === 'number';
    default:
      return false;
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
