// Runs one claimed task from its message to its outcome, as named steps.

import { type Soon, whenThere } from '../lifecycle.ts';
import type { Log } from '../log.ts';
import { backoffMs } from '../protocol/backoff.ts';
import { encodeCbor } from '../protocol/cbor.ts';
import { fingerprintOf } from '../protocol/fingerprint.ts';
import { hasOptions, optionsOfContent, typeOfContent } from '../protocol/message.ts';
import { type RunOptions, resolveRunOptions } from '../protocol/options.ts';
import { type KillCause, type TaskError, toTaskError } from '../protocol/task-error.ts';
import type { ClaimedTask, Outcome, OutcomeWord } from '../store/consumer.ts';
import type { TaskDefinition } from '../tasks/define.ts';
import type { Registry } from '../tasks/registry.ts';
import type { Ahead } from './ahead.ts';
import type { Job } from './job.ts';
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
    if ('fault' in options)
      return end(task, 'dead', {
        ...options.fault,
        fingerprint: fingerprintOf(definition.type, options.fault),
      });
    const one: Case = { task, type: definition.type, options, random };
    const runner = runnerOf(task, definition);
    return whenThere(runner.run(jobOf(task, options), held), (ended) => {
      if (ended.kind === 'not-begun') return notBegun(one, held, ahead);
      const outcome = toOutcome(one, ended);
      report(one, outcome, log);
      return outcome;
    });
  };
}

function jobOf(task: ClaimedTask, { timeoutMs }: RunOptions): Job {
  return {
    queue: task.queue,
    id: task.id,
    claim: task.claim,
    content: task.content,
    attempt: task.failures + 1,
    timeoutMs,
  };
}

/** It found no place in time, or shall not run any more. */
function notBegun(one: Case, { reason }: HeldTask, ahead: Ahead): Outcome | undefined {
  if (reason) return toStoppedOutcome(one, { reason, latencyMs: 0 });
  ahead.refused();
  return release(one.task);
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
  return end(task, 'postponed', error, { delayMs: UNKNOWN_TYPE_DELAY_MS });
}

type ReadOptions = RunOptions | { readonly fault: TaskError };

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
  try {
    return resolveRunOptions(optionsOfContent(task.content), definition.defaults ?? {});
  } catch (error) {
    const { message } = toTaskError(error);
    return {
      fault: { name: 'InvalidOptions', message: `the options of the message are not valid: ${message}` },
    };
  }
}

/** What the outcome of one run is judged by. */
interface Case {
  readonly task: ClaimedTask;
  readonly type: string;
  readonly options: RunOptions;
  readonly random: () => number;
}

function toOutcome(one: Case, ended: Exclude<RunEnd, { kind: 'not-begun' }>): Outcome | undefined {
  switch (ended.kind) {
    case 'answered':
      return toAnsweredOutcome(one, ended);
    case 'killed':
      return toStoppedOutcome(one, ended.stop);
    case 'thread-lost':
      return failure(one, { ...toTaskError(ended.error), killCause: ended.cause });
    case 'process-lost':
      return end(one.task, 'crashed', { ...toTaskError(ended.error), killCause: 'process-exit' });
  }
}

function toAnsweredOutcome(
  one: Case,
  { answer, stop }: Extract<RunEnd, { kind: 'answered' }>,
): Outcome | undefined {
  const { task, options } = one;
  // A handler that finished in spite of being asked to stop has finished.
  if (answer.kind === 'result') {
    const { result } = answer;
    return {
      id: task.id,
      token: task.token,
      contentBytes: task.content.length,
      word: 'succeeded',
      payload:
        result.length === 0 ? NOTHING : Buffer.from(result.buffer, result.byteOffset, result.byteLength),
      delayMs: 0,
      resultTtlMs: options.resultTtlMs,
    };
  }
  if (stop) return toStoppedOutcome(one, stop);
  if (answer.kind === 'later') return end(task, 'postponed', answer.error, { delayMs: answer.delayMs });
  return failure(one, answer.error, answer.permanent);
}

function toStoppedOutcome(one: Case, stop: Stop): Outcome | undefined {
  const { task, options } = one;
  const killed = (killCause: KillCause, name: string, message: string): TaskError => ({
    name,
    message,
    killCause,
    killLatencyMs: Math.round(stop.latencyMs * 10) / 10,
  });
  switch (stop.reason) {
    case 'timed-out':
      return failure(one, killed('timeout', 'TimeoutError', `it ran longer than ${options.timeoutMs} ms`));
    case 'cancelled':
      return end(task, 'cancelled', killed('cancel', 'Cancelled', 'it was cancelled while it ran'), options);
    case 'shutting-down':
      return release(task);
    case 'lease-lost':
      return undefined;
  }
}

/** A failure of the handler: it uses up an attempt. */
function failure({ task, type, options, random }: Case, error: TaskError, permanent = false): Outcome {
  const failures = task.failures + 1;
  const marked = { ...error, fingerprint: fingerprintOf(type, error) };
  if (permanent || failures >= options.maxAttempts) return end(task, 'dead', marked, options);
  return end(task, 'retry', marked, { delayMs: backoffMs(options.backoff, failures, random) });
}

function end(
  task: ClaimedTask,
  word: OutcomeWord,
  error: TaskError,
  { delayMs = 0, resultTtlMs }: { readonly delayMs?: number; readonly resultTtlMs?: number | undefined } = {},
): Outcome {
  return { ...tokenOf(task), word, payload: encodeCbor(error), delayMs, resultTtlMs };
}

function release(task: ClaimedTask): Outcome {
  return { ...tokenOf(task), word: 'released', payload: NOTHING, delayMs: 0 };
}

function tokenOf({ id, token, content }: ClaimedTask): Pick<Outcome, 'id' | 'token' | 'contentBytes'> {
  return { id, token, contentBytes: content.length };
}

function report({ task, type }: Case, outcome: Outcome | undefined, log: Log): void {
  const fields = (): object => ({ task: task.id, queue: task.queue, type, claim: task.claim });
  if (!outcome) log.warn(fields(), 'stopped: another worker holds this task now');
  else if (outcome.word === 'dead' || outcome.word === 'crashed')
    log.warn({ ...fields(), outcome: outcome.word }, 'the task failed');
  else if (log.isLevelEnabled('debug')) log.debug({ ...fields(), outcome: outcome.word }, 'the task ended');
}
