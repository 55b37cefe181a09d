// Runs one job where the handlers are: decodes the message, checks its input again, runs, encodes the result.

import * as v from 'valibot';
import { encodeCbor } from '../protocol/cbor.ts';
import { CborFault, scanCbor } from '../protocol/cbor-scan.ts';
import { decodeContent, readTick, type TaskContent } from '../protocol/message.ts';
import { toTaskError } from '../protocol/task-error.ts';
import type { TaskContext, TaskDefinition } from '../tasks/define.ts';
import { PermanentError } from '../tasks/permanent-error.ts';
import type { Registry } from '../tasks/registry.ts';
import { RetryLater } from '../tasks/retry-later.ts';
import type { Answer, Job, StopRequest, Told } from './job.ts';
import { createVoice, type Voice } from './voice.ts';

export interface JobRunner {
  /** What the handler throws comes back as a value, so that a rejection always means that the runner itself is lost. */
  run(job: Job): Promise<Answer>;
  /** Fires the signal of the run, when it is the one that runs here. */
  stop(request: StopRequest): void;
}

/** One run at a time: a thread and a process of its own both run one task only. */
export function createJobRunner(
  registry: Registry,
  resultLimitBytes: number,
  tell: (told: Told) => void,
): JobRunner {
  let current: { readonly job: Job; readonly controller: AbortController } | undefined;

  async function runHandler(job: Job, voice: Voice, signal: AbortSignal): Promise<Uint8Array> {
    const message = decodeContent(job.content);
    const definition = registry.get(message.type);
    if (!definition) throw new PermanentError(`no handler for task type "${message.type}" in this thread`);
    const input = parseInput(definition, message);
    const context = contextOf(job, message, voice, signal);
    return encodeResult(await definition.run(input, context), resultLimitBytes);
  }

  return {
    async run(job) {
      const controller = new AbortController();
      current = { job, controller };
      const voice = createVoice(job, tell);
      try {
        const result = await runHandler(job, voice, controller.signal);
        return { kind: 'result', result, told: voice.rest() };
      } catch (error) {
        return toAnswer(error, voice.rest());
      } finally {
        current = undefined;
      }
    },

    stop({ id, claim, reason }) {
      if (current?.job.id !== id || current.job.claim !== claim) return;
      current.controller.abort(new DOMException(`the task was stopped: ${reason}`, 'AbortError'));
    },
  };
}

function contextOf(job: Job, message: TaskContent, voice: Voice, signal: AbortSignal): TaskContext {
  const { traceparent } = message.options;
  const tick = readTick(message.options);
  return {
    id: job.id,
    type: message.type,
    attempt: job.attempt,
    signal,
    deadline: job.deadlineAt === undefined ? undefined : new Date(job.deadlineAt),
    progress: voice.progress,
    log: voice.log,
    schedule: tick && { name: tick.name, due: new Date(tick.due) },
    traceparent: typeof traceparent === 'string' ? traceparent : undefined,
  };
}

function toAnswer(error: unknown, told: Told | undefined): Answer {
  if (isNamed(error, RetryLater.name)) {
    return {
      kind: 'later',
      delayMs: Number((error as RetryLater).delayMs) || 0,
      error: toTaskError(error),
      told,
    };
  }
  // Whatever fails before the handler runs, or in its result, fails the same way next time.
  const permanent = isNamed(error, PermanentError.name) || error instanceof CborFault;
  return { kind: 'error', error: toTaskError(error), permanent, told };
}

/** By name: a program may carry two copies of this package, and their classes are not the same. */
function isNamed(error: unknown, name: string): boolean {
  return error instanceof Error && error.name === name;
}

/** The input may come from a program that is not popfleet, or from a release with another schema. */
function parseInput(definition: TaskDefinition, message: TaskContent): unknown {
  const parsed = v.safeParse(definition.input, message.input);
  if (parsed.success) return parsed.output;
  const [issue] = parsed.issues;
  const path = v.getDotPath(issue);
  throw new PermanentError(`the input is not valid${path ? ` at ${path}` : ''}: ${issue.message}`);
}

/** @throws PermanentError when the result cannot be told to a caller as JSON or CBOR, or is too large */
function encodeResult(result: unknown, limitBytes: number): Uint8Array {
  if (result === undefined) return new Uint8Array(0);
  let bytes: Uint8Array;
  try {
    bytes = encodeCbor(result);
    scanCbor(bytes);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new PermanentError(`the handler's result is no plain value (${reason})`);
  }
  if (bytes.length > limitBytes) {
    throw new PermanentError(
      `the handler's result has ${bytes.length} bytes, ${limitBytes} are allowed: store it elsewhere and return where`,
    );
  }
  return Uint8Array.from(bytes); // Its own buffer: the encoder's is shared with later results.
}
