// Runs one claimed task from its message to its outcome, as named steps.

import { type Soon, whenThere } from '../lifecycle.ts';
import type { Log } from '../log.ts';
import { backoffMs } from '../protocol/backoff.ts';
import { encodeCbor } from '../protocol/cbor.ts';
import { fingerprintOf } from '../protocol/fingerprint.ts';
import { hasOptions, type MessageOptions, optionsOfContent, typeOfContent } from '../protocol/message.ts';
import { type RunOptions, resolveRunOptions, resultTtlOf } from '../protocol/options.ts';
import { type KillCause, type TaskError, toTaskError } from '../protocol/task-error.ts';
import type { ClaimedTask, Outcome } from '../store/consumer.ts';
import type { TaskDefinition } from '../tasks/define.ts';
import type { Registry } from '../tasks/registry.ts';
import type { Ahead } from './ahead.ts';
import type { Job } from './job.ts';
import { type EndedRun, reportEnd, type Verdict } from './report-end.ts';
import type { RunEnd, Runner, Stop } from './runner.ts';
import type { HeldTask } from './slots.ts';

/** Runs a task; `undefined` when it belongs to somebody else by now and there is nothing to report. Never rejects. */
export type Execute = (held: HeldTask) => Soon<Outcome | undefined>;

export interface ExecuteParts {
  readonly registry: Registry;
  readonly threads: Runner;
  /** The main thread: for types that say so. */
  readonly inline: Runner;
  /** For tasks that lost a worker before. */
  readonly isolated: Runner;
  readonly ahead: Ahead;
  readonly log: Log;
  readonly random?: () => number;
}

/** A type nobody here knows yet: a newer release may. It waits for it, and costs no attempt. */
const UNKNOWN_TYPE_DELAY_MS = 10_000;

const NOTHING = Buffer.alloc(0);

export function createExecute(parts: ExecuteParts): Execute {
  const { registry, ahead, log, random = Math.random } = parts;
  const optionsOf = createRunOptions();

  function runnerOf(task: ClaimedTask, definition: TaskDefinition): Runner {
    if (task.crashes > 0) return parts.isolated;
    return definition.runIn === 'inline' ? parts.inline : parts.threads;
  }

  return function execute(held) {
    const { task } = held;
    const type = typeOfContent(task.content);
    const definition = type === undefined ? undefined : registry.get(type);
    if (!definition) return postpone(task, type, log);
    const options = optionsOf(task, definition);
    if ('fault' in options) {
      const { fault, resultTtlMs } = options;
      const error = { ...fault, fingerprint: fingerprintOf(definition.type, fault) };
      const run = { task, type: definition.type, maxAttempts: undefined, resultTtlMs };
      return settle(run, { word: 'dead', error }, log);
    }
    const { maxAttempts, resultTtlMs } = options;
    const one: Case = { task, type: definition.type, maxAttempts, resultTtlMs, options, random };
    const runner = runnerOf(task, definition);
    return whenThere(runner.run(jobOf(one), held), (ended) => {
      if (ended.kind === 'not-begun') return settle(one, judgeNotBegun(one, held, ahead), log);
      // A handler that finished in spite of being asked to stop has finished.
      if (ended.kind === 'answered' && ended.answer.kind === 'result') {
        return succeed(one, ended.answer.result, log);
      }
      return settle(one, judge(one, ended), log);
    });
  };
}

function jobOf({ task, type, options: { timeoutMs } }: Case): Job {
  return {
    queue: task.queue,
    id: task.id,
    type,
    claim: task.claim,
    content: task.content,
    attempt: task.failures + 1,
    timeoutMs,
  };
}

/** It found no place in time, or shall not run any more. */
function judgeNotBegun(one: Case, { reason }: HeldTask, ahead: Ahead): Verdict | undefined {
  if (reason) return judgeStopped(one, { reason, latencyMs: 0 });
  ahead.refused();
  return { word: 'released' };
}

function postpone(task: ClaimedTask, type: string | undefined, log: Log): Outcome {
  log.warn(
    { task: task.id, queue: task.queue, type },
    'no handler for this task type: it waits for another worker',
  );
  const error = {
    name: 'UnknownType',
    message: `no worker that took this task knows its type "${type ?? ''}"`,
  };
  return toOutcome(task, { word: 'postponed', error, delayMs: UNKNOWN_TYPE_DELAY_MS });
}

type ReadOptions = RunOptions | { readonly fault: TaskError; readonly resultTtlMs: number | undefined };

/** What holds for the runs of a task. Most calls bring no options: what holds then is resolved once for each type. */
function createRunOptions(): (task: ClaimedTask, definition: TaskDefinition) => ReadOptions {
  const defaults = new Map<TaskDefinition, RunOptions>();
  return (task, definition) => {
    if (hasOptions(task.content)) return readOptions(task, definition);
    let resolved = defaults.get(definition);
    if (!resolved) {
      resolved = resolveRunOptions({}, definition.defaults ?? {});
      defaults.set(definition, resolved);
    }
    return resolved;
  };
}

/** A foreign program may have written options that mean nothing. */
function readOptions(task: ClaimedTask, definition: TaskDefinition): ReadOptions {
  const { defaults = {} } = definition;
  let own: MessageOptions = {};
  try {
    own = optionsOfContent(task.content);
    return resolveRunOptions(own, defaults);
  } catch (error) {
    const { message } = toTaskError(error);
    return {
      fault: { name: 'InvalidOptions', message: `the options of the message are not valid: ${message}` },
      resultTtlMs: resultTtlOf(own, defaults),
    };
  }
}

/** What the outcome of one run is judged by. */
interface Case extends EndedRun {
  readonly options: RunOptions;
  readonly random: () => number;
}

function succeed({ task, type, options }: Case, result: Uint8Array, log: Log): Outcome {
  if (log.isLevelEnabled('debug')) {
    log.debug({ task: task.id, queue: task.queue, type, outcome: 'succeeded' }, 'the task ended');
  }
  return {
    id: task.id,
    token: task.token,
    contentBytes: task.content.length,
    word: 'succeeded',
    payload: result.length === 0 ? NOTHING : Buffer.from(result.buffer, result.byteOffset, result.byteLength),
    delayMs: 0,
    resultTtlMs: options.resultTtlMs,
  };
}

/** @param verdict `undefined`: the task belongs to another worker now */
function settle(run: EndedRun, verdict: Verdict | undefined, log: Log): Outcome | undefined {
  reportEnd(log, run, verdict);
  // Also of a run that is to be repeated: its task may have been cancelled meanwhile, or be poison.
  return verdict && toOutcome(run.task, verdict, run.resultTtlMs);
}

function judge(one: Case, ended: Exclude<RunEnd, { kind: 'not-begun' }>): Verdict | undefined {
  switch (ended.kind) {
    case 'answered':
      return judgeAnswer(one, ended);
    case 'killed':
      return judgeStopped(one, ended.stop);
    case 'displaced':
      return { word: 'released' };
    case 'thread-lost':
      return failure(one, { ...toTaskError(ended.error), killCause: ended.cause });
    case 'process-lost':
      return { word: 'crashed', error: { ...toTaskError(ended.error), killCause: 'process-exit' } };
  }
}

function judgeAnswer(
  one: Case,
  { answer, stop }: Extract<RunEnd, { kind: 'answered' }>,
): Verdict | undefined {
  if (stop) return judgeStopped(one, stop);
  switch (answer.kind) {
    case 'later':
      return { word: 'postponed', error: answer.error, delayMs: answer.delayMs };
    case 'error':
      return failure(one, answer.error, answer.permanent);
    case 'result':
      throw new TypeError('a result has no error to be judged by');
  }
}

function judgeStopped({ options, ...one }: Case, stop: Stop): Verdict | undefined {
  const killed = (killCause: KillCause, name: string, message: string): TaskError => ({
    name,
    message,
    killCause,
    killLatencyMs: Math.round(stop.latencyMs * 10) / 10,
  });
  switch (stop.reason) {
    case 'timed-out': {
      const error = killed('timeout', 'TimeoutError', `it ran longer than ${options.timeoutMs} ms`);
      return failure({ options, ...one }, error);
    }
    case 'cancelled': {
      const error = killed('cancel', 'Cancelled', 'it was cancelled while it ran');
      return { word: 'cancelled', error };
    }
    case 'shutting-down':
      return { word: 'released' };
    case 'lease-lost':
      return undefined;
  }
}

/** A failure of the handler: it uses up an attempt. */
function failure({ task, type, options, random }: Case, error: TaskError, permanent = false): Verdict {
  const failures = task.failures + 1;
  const marked = { ...error, fingerprint: fingerprintOf(type, error) };
  if (permanent || failures >= options.maxAttempts) {
    return { word: 'dead', error: marked };
  }
  return { word: 'retry', error: marked, delayMs: backoffMs(options.backoff, failures, random) };
}

function toOutcome(
  { id, token, content }: ClaimedTask,
  { word, error, delayMs = 0 }: Verdict,
  resultTtlMs?: number,
): Outcome {
  const payload = error ? encodeCbor(error) : NOTHING;
  return { id, token, contentBytes: content.length, word, payload, delayMs, resultTtlMs };
}
