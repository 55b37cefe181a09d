// Runs one task by its definition in the process of a test, without Redis: with the validation, the deadline, the context and the
// outcome that it has on a worker.

import { isDeepStrictEqual } from 'node:util';
import { createLog } from '../log.ts';
import { encodeContent } from '../protocol/message.ts';
import { compact } from '../protocol/compact.ts';
import { decodeStored, encodeCbor } from '../protocol/cbor.ts';
import { DEFAULT_QUEUE } from '../protocol/names.ts';
import { runOptionsOfType } from '../protocol/options.ts';
import { readPlain } from '../protocol/plain-value.ts';
import type { TaskError } from '../protocol/task-error.ts';
import { newTaskId } from '../protocol/task-id.ts';
import { tokenOf } from '../protocol/token.ts';
import { invalidInput } from '../protocol/validate.ts';
import type { OutcomeWord } from '../store/consumer.ts';
import type { Stored } from '../task-handle.ts';
import type { WaitRequest } from '../store/waits.ts';
import type { TaskContext, TaskDefinition, WaitFor } from '../tasks/define.ts';
import { validateInput } from '../tasks/input-schema.ts';
import { toRegistry } from '../tasks/registry.ts';
import { outcomeOf } from '../worker/outcome.ts';
import { createPrefetch } from '../worker/prefetch.ts';
import { createInline } from '../worker/runners/inline.ts';
import { type HandlerLink, type Report, StopSource } from '../worker/runners/runner.ts';
import { createSemaphore, limitRunner } from '../worker/runners/semaphore.ts';

export interface RunTaskOptions
  extends Partial<
    Pick<TaskContext, 'id' | 'attempt' | 'cause' | 'traceparent' | 'lastCheckpoint' | 'waited'>
  > {
  /** Milliseconds that it may run; those of the definition unless given. */
  readonly timeoutMs?: number;
  /** Cancels the task when it fires. */
  readonly cancel?: AbortSignal;
}

/** How a run has ended. */
export interface TaskRun<Result = unknown> {
  /**
   * `failed`: it would run again, `retryInMs` later; `dead`: it would not; `snoozed`: the handler asked to run again later;
   * `suspended`: it waits (`waitsFor`), and would run again with `waited`.
   */
  readonly outcome: Exclude<OutcomeWord, 'crashed' | 'unbegun'>;
  /** As JSON shows it; `undefined` unless it has succeeded, and when there was none. */
  readonly result: Result | undefined;
  readonly error: TaskError | undefined;
  readonly retryInMs: number | undefined;
  /** Everything that the handler has reported, in its order; the same progress twice in turn is shown once. */
  readonly progress: readonly { readonly percent: number; readonly note: string | undefined }[];
  readonly log: readonly string[];
  /** Everything that the handler has kept with `context.checkpoint`, in its order; `undefined` = it has forgotten what was there. */
  readonly checkpoints: readonly unknown[];
  /** What it waits for when it is `suspended`. */
  readonly waitsFor: WaitFor | undefined;
}

const RESULT_LIMIT_BYTES = 1_048_576;

/**
 * Runs the handler once, in this process. At its deadline, or when it is cancelled, its signal fires, and 200 ms later it is given up,
 * as one that runs inline: code that never yields cannot be stopped here as it is in a thread.
 * @param task what `defineTask` returned
 * @param input as a program sends it: the schema of the definition checks it and may transform it
 * @throws PopfleetError `invalid-input` as sending such an input would
 */
export async function runTask<Input, Output, Sent>(
  task: TaskDefinition<Input, Output, Sent>,
  input: NoInfer<Sent>,
  options: RunTaskOptions = {},
): Promise<TaskRun<Stored<Output>>> {
  const definition = task as TaskDefinition;
  const { id = newTaskId(), attempt = 1, cause, traceparent, cancel } = options;
  const run = runOptionsOfType(definition.defaults ?? {});
  const timeoutMs = options.timeoutMs ?? run.timeoutMs;
  const content = encodeContent(definition.type, checked(definition, input), compact({ cause, traceparent }));

  const progress: { percent: number; note: string | undefined }[] = [];
  const lines: string[] = [];
  const checkpoints: unknown[] = [];
  const report = (one: Report): void => {
    const { progress: latest } = one;
    // The end of a run repeats what was reported last.
    if (latest && !isDeepStrictEqual(latest, progress.at(-1))) progress.push(latest);
    lines.push(...one.lines);
  };
  const link: HandlerLink = {
    report,
    async request(_, request) {
      if (request.kind === 'token') return { value: tokenOf(id, request.name) };
      const { value } = request;
      checkpoints.push(value.length === 0 ? undefined : decodeStored(value));
      return {};
    },
  };
  const registry = toRegistry([{ definition, source: 'the test' }]);
  const inline = createInline(registry, RESULT_LIMIT_BYTES, link, createLog('silent', {}));
  const runner = limitRunner(inline, createSemaphore(1), createPrefetch(1));
  const stop = new StopSource();
  const onCancel = (): void => stop.stop('cancelled');
  cancel?.addEventListener('abort', onCancel);
  if (cancel?.aborted) onCancel();
  const queue = definition.defaults?.queue ?? DEFAULT_QUEUE;
  const { lastCheckpoint } = options;
  const checkpoint = lastCheckpoint === undefined ? undefined : encodeCbor(lastCheckpoint);
  const waited = options.waited && {
    timedOut: options.waited.timedOut,
    payload: options.waited.payload === undefined ? undefined : encodeCbor(options.waited.payload),
  };
  const job = { queue, id, type: definition.type, claim: 1, content, attempt, timeoutMs, checkpoint, waited };
  const end = await runner.run(job, stop);
  cancel?.removeEventListener('abort', onCancel);

  const claimed = { queue, id, token: '', claim: 1, content, failures: attempt - 1, crashes: 0 };
  const outcome = outcomeOf(
    { task: claimed, type: definition.type, options: { ...run, timeoutMs }, resultTtlMs: undefined },
    end,
    Math.random,
  );
  // It was stopped before it began.
  const isBack = outcome === undefined || outcome.word === 'unbegun';
  const word = isBack ? 'released' : (outcome.word as TaskRun['outcome']);
  const result = word === 'succeeded' && outcome ? decodeResult(outcome.payload) : undefined;
  const isLater = word === 'failed' || word === 'snoozed';
  return {
    outcome: word,
    result: result as Stored<Output> | undefined,
    error: outcome?.error,
    retryInMs: isLater ? outcome?.delayMs : undefined,
    progress,
    log: lines,
    checkpoints,
    waitsFor: end.kind === 'suspended' ? waitForOf(end.wait, id) : undefined,
  };
}

/** As the handler has said it. */
function waitForOf({ sources: [source], timeoutMs, untilMs }: WaitRequest, id: string): WaitFor {
  if (source === undefined) return { untilMs: untilMs ?? 0 };
  return compact<WaitFor>({ token: `${id}${source}`, timeoutMs });
}

function checked({ input: schema }: TaskDefinition, input: unknown): unknown {
  const plain = readPlain(input);
  if ('fault' in plain) {
    throw invalidInput([{ ...plain.fault, pointer: `#/input${plain.fault.pointer.slice(1)}` }]);
  }
  validateInput(schema, plain.value, '/input');
  return plain.value;
}

function decodeResult(payload: Buffer): unknown {
  return payload.length === 0 ? undefined : decodeStored(payload);
}
