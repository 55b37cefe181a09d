// Runs one claimed task from its message to its outcome, as named steps.

import { type Soon, whenThere } from '../lifecycle.ts';
import type { Log } from '../log.ts';
import type { RunMetrics } from '../metrics/run-metrics.ts';
import { fingerprintOf } from '../protocol/fingerprint.ts';
import { hasOptions, type MessageOptions, optionsOfContent, typeOfContent } from '../protocol/message.ts';
import { overrideRunOptions, type RunOptions, resultTtlOf, runOptionsOfType } from '../protocol/options.ts';
import { type TaskError, toTaskError } from '../protocol/task-error.ts';
import type { ClaimedTask, Outcome, OutcomeWord } from '../store/consumer.ts';
import type { TaskDefinition } from '../tasks/define.ts';
import type { Registry } from '../tasks/registry.ts';
import { logRunEnd } from './log-run-end.ts';
import type { Checkpoints } from './checkpoints.ts';
import type { Sources } from './sources.ts';
import { dead, outcomeOf, type RunTask, toOutcome } from './outcome.ts';
import type { Prefetch } from './prefetch.ts';
import type { Job, RunEnd, Runner, Stop } from './runners/runner.ts';
import type { HeldTask } from './slots.ts';
import type { ThreadRoom } from './thread-room.ts';

/** Runs a task; `undefined` when it belongs to another worker by now and there is nothing to record. Never rejects. */
export type Execute = (held: HeldTask) => Soon<Outcome | undefined>;

export interface ExecuteDeps {
  readonly registry: Registry;
  readonly threads: Runner;
  /** The main thread: for types that say so. */
  readonly inline: Runner;
  /** For tasks that lost a worker before. */
  readonly processes: Runner;
  readonly prefetch: Prefetch;
  readonly threadRoom: Pick<ThreadRoom, 'refused' | 'spared'>;
  readonly checkpoints: Pick<Checkpoints, 'read' | 'readNeeds'>;
  readonly sources: Pick<Sources, 'read'>;
  /** Of the code that handlers are. */
  readonly version: string;
  readonly log: Log;
  readonly metrics?: RunMetrics | undefined;
  /** Called with each attempt that has failed. */
  readonly onFailed?: (queue: string, type: string) => void;
  readonly random?: () => number;
}

/** The name of the error of a task whose type its worker did not know. */
export const UNKNOWN_TYPE = 'UnknownType';
/** A type that this worker does not know yet: a newer release may. It waits for that one, and costs no attempt. */
const UNKNOWN_TYPE_DELAY_MS = 10_000;

const FAILURES: ReadonlySet<string> = new Set(['failed', 'dead', 'crashed'] satisfies OutcomeWord[]);

const NOT_BEGUN: RunEnd = { kind: 'not-begun' };

export function createExecute(deps: ExecuteDeps): Execute {
  const { registry, prefetch, version, log, metrics, random = Math.random } = deps;
  const optionsOf = createRunOptions();

  function runnerOf(task: ClaimedTask, definition: TaskDefinition): Runner {
    if (task.crashes > 0) return deps.processes;
    return definition.runIn === 'inline' ? deps.inline : deps.threads;
  }

  /** What a run finds of earlier ones. */
  async function findings(
    held: HeldTask,
    hasNeeds: boolean | undefined,
  ): Promise<Pick<Job, 'checkpoint' | 'waited' | 'needs'>> {
    const isFirst = held.task.claim === 1;
    const [checkpoint, waited, needs] = await Promise.all([
      isFirst ? undefined : deps.checkpoints.read(held),
      isFirst ? undefined : deps.sources.read(held),
      hasNeeds ? deps.checkpoints.readNeeds(held) : undefined,
    ]);
    return { checkpoint, waited, needs };
  }

  return function execute(held) {
    const { task } = held;
    const type = typeOfContent(task.content);
    const definition = type === undefined ? undefined : registry.get(type);
    if (!definition) return snoozeUnknown(task, type, log);
    const options = optionsOf(task, definition);
    const { resultTtlMs } = options;
    const known = { task, type: definition.type, resultTtlMs, version };
    if ('fault' in options) return refuse(known, options.fault, log);
    const run = { ...known, options };
    const ofType = metrics?.of(task.queue, definition.type);
    ofType?.claimed(task);
    const runner = runnerOf(task, definition);
    held.needsThread = runner !== deps.inline;
    if (!held.needsThread) deps.threadRoom.spared(task.queue);
    const begin = (job: Job): Soon<RunEnd> => (held.reason ? NOT_BEGUN : runner.run(job, held));
    const running =
      task.claim === 1 && !options.hasNeeds
        ? begin(jobOf(run))
        : findings(held, options.hasNeeds).then((found) => begin({ ...jobOf(run), ...found }));
    return whenThere(running, (ended) => {
      if (ended.kind === 'not-begun' && !held.reason) {
        prefetch.refused();
        if (held.needsThread) deps.threadRoom.refused(task.queue);
      }
      held.needsThread = false;
      const outcome = outcomeOf(run, whyNotBegun(ended, held), random);
      if (outcome) ofType?.ended(outcome.word, stopOf(ended)?.latencyMs);
      if (outcome && FAILURES.has(outcome.word)) deps.onFailed?.(task.queue, definition.type);
      logRunEnd(log, run, outcome);
      return outcome;
    });
  };
}

function jobOf({ task, type, options }: RunTask): Job {
  return {
    queue: task.queue,
    id: task.id,
    type,
    claim: task.claim,
    content: task.content,
    attempt: task.failures + 1,
    timeoutMs: options?.timeoutMs,
  };
}

function stopOf(end: RunEnd): Stop | undefined {
  return 'stop' in end ? end.stop : undefined;
}

/** A run that was stopped before it began ends as one that was stopped, unless that gives it back anyway. */
function whyNotBegun(end: RunEnd, { reason }: HeldTask): RunEnd {
  if (end.kind !== 'not-begun' || !reason || reason === 'shutting-down') return end;
  return { kind: 'killed', stop: { reason, latencyMs: 0 } };
}

function snoozeUnknown(task: ClaimedTask, type: string | undefined, log: Log): Outcome {
  log.warn(
    { task: task.id, queue: task.queue, type },
    'no handler for this task type: it waits for another worker',
  );
  const error = {
    name: UNKNOWN_TYPE,
    message: `no worker that took this task knows its type "${type ?? ''}"`,
  };
  return toOutcome({ task, resultTtlMs: undefined }, 'snoozed', error, UNKNOWN_TYPE_DELAY_MS);
}

/** Options that mean nothing fail a task for good. */
function refuse(run: Omit<RunTask, 'options'>, fault: TaskError, log: Log): Outcome {
  const outcome = dead(run, { ...fault, fingerprint: fingerprintOf(run.type, fault) });
  logRunEnd(log, { ...run, options: undefined }, outcome);
  return outcome;
}

interface Unreadable {
  readonly fault: TaskError;
  readonly resultTtlMs: number | undefined;
}

/** Of a step of a workflow, `hasNeeds`. */
type TaskOptions = RunOptions & { readonly hasNeeds?: true };

/** The options of a task's runs. Those of each type are read once; most calls bring none of their own. */
function createRunOptions(): (task: ClaimedTask, definition: TaskDefinition) => TaskOptions | Unreadable {
  const ofTypes = new Map<TaskDefinition, RunOptions>();
  return ({ content }, definition) => {
    let ofType = ofTypes.get(definition);
    if (!ofType) {
      ofType = runOptionsOfType(definition.defaults ?? {});
      ofTypes.set(definition, ofType);
    }
    return hasOptions(content) ? readOptions(content, ofType) : ofType;
  };
}

/** A foreign program may have written options that mean nothing. */
function readOptions(content: Uint8Array, ofType: RunOptions): TaskOptions | Unreadable {
  let own: MessageOptions = {};
  try {
    own = optionsOfContent(content);
    const options = overrideRunOptions(ofType, own);
    return own['workflow'] === undefined ? options : { ...options, hasNeeds: true };
  } catch (error) {
    const { message } = toTaskError(error);
    return {
      fault: { name: 'InvalidOptions', message: `the options of the message are not valid: ${message}` },
      resultTtlMs: resultTtlOf(own, ofType),
    };
  }
}
