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
import { readChildSource } from '../protocol/source.ts';
import { derivedTaskId, newTaskId, timeOfTaskId } from '../protocol/task-id.ts';
import { tokenOf } from '../protocol/token.ts';
import { invalidInput } from '../protocol/validate.ts';
import type { OutcomeWord } from '../store/consumer.ts';
import type { Stored } from '../task-handle.ts';
import type { WaitRequest } from '../store/waits.ts';
import type { SpawnOptions, TaskContext, TaskDefinition, Waited, WaitFor } from '../tasks/define.ts';
import { validateInput } from '../tasks/input-schema.ts';
import { toRegistry } from '../tasks/registry.ts';
import { outcomeOf } from '../worker/outcome.ts';
import { createPrefetch } from '../worker/prefetch.ts';
import { readKept } from '../worker/runners/kept.ts';
import { createInline } from '../worker/runners/inline.ts';
import { type HandlerLink, type Report, StopSource, type WaitedBytes } from '../worker/runners/runner.ts';
import { createSemaphore, limitRunner } from '../worker/runners/semaphore.ts';
import { VERSION } from '../version.ts';

export interface RunTaskOptions
  extends Partial<Pick<TaskContext, 'id' | 'attempt' | 'cause' | 'traceparent' | 'lastCheckpoint'>> {
  /** What the wait of an earlier run has brought. */
  readonly waited?: Partial<Waited> | undefined;
  /** Milliseconds that it may run; those of the definition unless given. */
  readonly timeoutMs?: number;
  /** Cancels the task when it fires. */
  readonly cancel?: AbortSignal;
}

/** A child that was not sent anywhere. */
export interface SpawnedChild extends SpawnOptions {
  readonly id: string;
  readonly type: string;
  readonly input: unknown;
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
  /** The children that the handler has asked for, in its order, with the ids that it was given. The same one is asked for once. */
  readonly spawned: readonly SpawnedChild[];
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
  const spawned = new Map<string, SpawnedChild>();
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
      if (request.kind === 'spawn') {
        const childId = derivedTaskId(timeOfTaskId(id), `${id} ${request.key}`);
        const call = decodeStored(request.call) as SpawnedChild;
        const key = request.key.startsWith('=') ? request.key.slice(1) : undefined;
        spawned.set(childId, compact<SpawnedChild>({ ...call, id: childId, key }));
        return { value: childId };
      }
      const { value } = request;
      checkpoints.push(value.length === 0 ? undefined : readKept(value).value);
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
  const waited = options.waited && toWaitedBytes(options.waited);
  const job = { queue, id, type: definition.type, claim: 1, content, attempt, timeoutMs, checkpoint, waited };
  const end = await runner.run(job, stop);
  cancel?.removeEventListener('abort', onCancel);

  const claimed = { queue, id, token: '', claim: 1, content, failures: attempt - 1, crashes: 0 };
  const { type } = definition;
  const ran = {
    task: claimed,
    type,
    options: { ...run, timeoutMs },
    resultTtlMs: undefined,
    version: VERSION,
  };
  const outcome = outcomeOf(ran, end, Math.random);
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
    spawned: [...spawned.values()],
    waitsFor: end.kind === 'suspended' ? waitForOf(end.wait, id) : undefined,
  };
}

function toWaitedBytes({ timedOut = false, payload, children = [] }: Partial<Waited>): WaitedBytes {
  const bytesOf = (value: unknown): Uint8Array | undefined =>
    value === undefined ? undefined : Uint8Array.from(encodeCbor(value));
  return {
    timedOut,
    payload: bytesOf(payload),
    children: children.map(({ id, state, result, error }) => ({
      id,
      state,
      value: bytesOf(error ?? result),
    })),
  };
}

/** As the handler has said it. */
function waitForOf({ sources, timeoutMs, untilMs }: WaitRequest, id: string): WaitFor {
  if (untilMs !== undefined) return { untilMs };
  const children = sources.flatMap((one) => readChildSource(one) ?? []);
  const [source] = sources;
  if (source === undefined || children.length > 0) return compact<WaitFor>({ children, timeoutMs });
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
