// Messages between the worker and a thread, or a process of its own, on a channel that handlers do not see.

import type { TaskError } from '../../protocol/task-error.ts';
import type { Child } from './child-processes.ts';
import type { JobBatch } from './job-batch.ts';
import type { Written } from './output.ts';
import type { OutputOwner } from './output-log.ts';
import type { HandlerEnd, Report, StopReason } from './runner.ts';

export type ToThread =
  | ({ readonly kind: 'run' } & JobBatch)
  /** The signal of this run fires with `reason`. */
  | { readonly kind: 'stop'; readonly run: number; readonly reason: StopReason };

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

/** Whether a message has the shape that its kind promises: nothing else may reach the code of the main thread. */
export function isFromThread(message: unknown): message is FromThread {
  if (!isObject(message)) return false;
  switch (message['kind']) {
    case 'loaded':
      return (
        message['proc'] === undefined ||
        (typeof message['proc'] === 'string' && /^\d+\/task\/\d+$/.test(message['proc']))
      );
    case 'not-loaded':
      return typeof message['reason'] === 'string';
    case 'ended':
      return (
        typeof message['run'] === 'number' &&
        typeof message['ranMs'] === 'number' &&
        isHandlerEnd(message['end'])
      );
    case 'report':
      return isReport(message['report']);
    case 'output':
      return (message['by'] === undefined || isObject(message['by'])) && isWritten(message['written']);
    case 'child':
      return typeof message['run'] === 'number' && isMark(message['mark']);
    case 'child-gone':
      return isPid(message['pid']);
    case 'left-behind':
      return (message['by'] === undefined || isObject(message['by'])) && isError(message['error']);
    default:
      return false;
  }
}

function isHandlerEnd(end: unknown): boolean {
  if (!isObject(end) || end['stop'] !== undefined) return false;
  if (!(end['report'] === undefined || isReport(end['report']))) return false;
  switch (end['kind']) {
    case 'succeeded':
      return end['result'] instanceof Uint8Array;
    case 'failed':
      return isError(end['error']) && typeof end['permanent'] === 'boolean';
    case 'snoozed':
      return isError(end['error']) && typeof end['delayMs'] === 'number';
    default:
      return false;
  }
}

function isReport(report: unknown): boolean {
  if (!isObject(report)) return false;
  const { queue, id, claim, progress, lines } = report;
  return (
    typeof queue === 'string' &&
    typeof id === 'string' &&
    typeof claim === 'number' &&
    (progress === undefined || isProgress(progress)) &&
    Array.isArray(lines) &&
    lines.every((line) => typeof line === 'string')
  );
}

function isWritten(written: unknown): boolean {
  if (!isObject(written)) return false;
  const { stream, line, dropped } = written;
  return (
    typeof dropped === 'number' || (typeof line === 'string' && (stream === 'stdout' || stream === 'stderr'))
  );
}

function isMark(mark: unknown): boolean {
  if (!isObject(mark)) return false;
  const { pid, startTime } = mark;
  return isPid(pid) && (startTime === undefined || typeof startTime === 'string');
}

/** Numbers below that stand for groups of processes, or for the first one of the machine. */
function isPid(pid: unknown): boolean {
  return typeof pid === 'number' && Number.isInteger(pid) && pid > 1 && pid !== process.pid;
}

function isProgress(progress: unknown): boolean {
  if (!isObject(progress)) return false;
  const { percent, note } = progress;
  return typeof percent === 'number' && (note === undefined || typeof note === 'string');
}

function isError(error: unknown): boolean {
  return isObject(error) && typeof error['name'] === 'string' && typeof error['message'] === 'string';
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
