// Runs the handler of one job: decodes the message, checks its input again, runs, encodes the result.

import type { Soon } from '../../lifecycle.ts';
import { decodeStored, encodeCbor } from '../../protocol/cbor.ts';
import { CborFault } from '../../protocol/cbor-scan.ts';
import { LONGEST_DELAY_MS } from '../../protocol/instant.ts';
import {
  decodeContent,
  type MessageOptions,
  readCause,
  readTick,
  type TaskContent,
} from '../../protocol/message.ts';
import { faultText, toPlain } from '../../protocol/plain-value.ts';
import { ReferenceFault, resolveReferences } from '../../protocol/references.ts';
import { readTaskError, toTaskError } from '../../protocol/task-error.ts';
import { isErrorLike, readProperty } from '../../protocol/value-text.ts';
import type { WaitRequest } from '../../store/waits.ts';
import type { SpawnOptions, TaskContext, TaskDefinition, Waited, WaitFor } from '../../tasks/define.ts';
import { checkInput, pathOf } from '../../tasks/input-schema.ts';
import { PermanentError } from '../../tasks/permanent-error.ts';
import type { Registry } from '../../tasks/registry.ts';
import { RetryLater } from '../../tasks/retry-later.ts';
import { below } from '../../tracing.ts';
import { readKept, writeKept } from './kept.ts';
import { createReporter, type KeepProgress, type Reporter } from './reporter.ts';
import type { HandlerEnd, HandlerReply, HandlerRequest, Job, Report } from './runner.ts';
import { toSpawnRequest } from './spawned.ts';
import { readWaited, type Suspension, toSuspension } from './suspension.ts';

const NOTHING = new Uint8Array(0);

/** What a handler says while it runs, where it runs. */
export interface HandlerSide {
  /** Has the handler's signal, asked for when the handler does. */
  readonly source: { readonly signal: AbortSignal };
  /** Takes what the handler reports. */
  send(report: Report): void;
  readonly keep: KeepProgress;
  /** Never rejects. */
  request(request: HandlerRequest): Promise<HandlerReply>;
}

/**
 * Runs the handler of a job. What it throws comes back as a value, so that a rejection always means that the place where it
 * runs is lost.
 */
export function runHandler(
  registry: Registry,
  resultLimitBytes: number,
  job: Job,
  side: HandlerSide,
): Soon<HandlerEnd> {
  const reporter = createReporter(job, side.send, side.keep);
  let context: RunContext | undefined;
  const succeed = (result: unknown): HandlerEnd => {
    const wait = context?.waitOf(result);
    if (wait) return { kind: 'suspended', wait, report: reporter.rest() };
    return { kind: 'succeeded', result: encodeResult(result, resultLimitBytes), report: reporter.rest() };
  };
  const fail = (error: unknown): HandlerEnd => toFailedEnd(error, reporter.rest());
  try {
    const content = decodeContent(job.content);
    const definition = registry.get(content.type);
    if (!definition) throw new PermanentError(`no handler for task type "${content.type}" here`);
    const needs = job.needs && readNeeds(job.needs);
    const input = parseInput(definition, needs ? withResults(content, needs) : content);
    const own = new RunContext(job, content, reporter, side, resultLimitBytes, needs);
    context = own;
    const result = below(job.traceparent, () => definition.run(input, own));
    return isThenable(result) ? Promise.resolve(result).then(succeed).catch(fail) : succeed(result);
  } catch (error) {
    return fail(error);
  }
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function';
}

/** Gives a result a buffer of its own: the encoder's is shared with others, and would be sent to another thread whole. */
export function ownBytes(end: HandlerEnd): HandlerEnd {
  return end.kind === 'succeeded' ? { ...end, result: Uint8Array.from(end.result) } : end;
}

const NO_NEEDS: TaskContext['needs'] = Object.freeze({});

/** @param flat as `Job.needs` */
function readNeeds(flat: readonly Uint8Array[]): TaskContext['needs'] {
  const needs: [string, TaskContext['needs'][string]][] = [];
  for (let at = 0; at + 2 < flat.length; at += 3) {
    const [name = '', state = ''] = flat.slice(at, at + 2).map((bytes) => Buffer.from(bytes).toString());
    // What is no name of a step is no business of the handler.
    if (!name.startsWith('(')) needs.push([name, toNeed(state, flat[at + 2] ?? NOTHING)]);
  }
  return Object.fromEntries(needs);
}

function toNeed(state: string, bytes: Uint8Array): TaskContext['needs'][string] {
  if (bytes.length === 0) return { state };
  return state === 'succeeded'
    ? { state, result: decodeStored(bytes) }
    : { state, error: readTaskError(bytes) };
}

/** An input with what its references name. @throws PermanentError */
function withResults(content: TaskContent, needs: TaskContext['needs']): TaskContent {
  try {
    return { ...content, input: resolveReferences(content.input, (step) => needs[step]?.result) };
  } catch (error) {
    if (error instanceof ReferenceFault) throw new PermanentError(error.message);
    throw error;
  }
}

/** What a handler sees of its run. A class, because each task makes one. */
class RunContext implements TaskContext {
  readonly id: string;
  readonly type: string;
  readonly attempt: number;
  readonly deadline: Date | undefined;
  readonly progress: Reporter['progress'];
  readonly log: Reporter['log'];
  readonly needs: TaskContext['needs'];
  readonly #job: Job;
  readonly #options: MessageOptions;
  readonly #side: HandlerSide;
  readonly #limitBytes: number;
  #suspension: Suspension | undefined;
  /** Children without a key that the task has made so far; `undefined`: this run has made none. */
  #spawned: number | undefined;

  constructor(
    job: Job,
    content: TaskContent,
    reporter: Reporter,
    side: HandlerSide,
    limitBytes: number,
    needs: TaskContext['needs'] | undefined,
  ) {
    this.needs = needs ?? NO_NEEDS;
    this.id = job.id;
    this.type = content.type;
    this.attempt = job.attempt;
    this.deadline = job.timeoutMs === undefined ? undefined : new Date(Date.now() + job.timeoutMs);
    this.progress = reporter.progress;
    this.log = reporter.log;
    this.#job = job;
    this.#options = content.options;
    this.#side = side;
    this.#limitBytes = limitBytes;
  }

  get signal(): AbortSignal {
    return this.#side.source.signal;
  }

  get schedule(): TaskContext['schedule'] {
    const tick = readTick(this.#options);
    return tick && { name: tick.name, due: new Date(tick.due) };
  }

  get cause(): TaskContext['cause'] {
    return readCause(this.#options);
  }

  get lastCheckpoint(): unknown {
    const { checkpoint } = this.#job;
    return checkpoint && readKept(checkpoint).value;
  }

  async checkpoint(value: unknown): Promise<void> {
    await this.#ask({
      kind: 'checkpoint',
      value: writeKept(value, this.#spawned ?? this.#spawnedBefore(), this.#limitBytes),
    });
  }

  async spawn(task: unknown, input: unknown, options?: SpawnOptions): Promise<string> {
    const position = (): number => (this.#spawned = (this.#spawned ?? this.#spawnedBefore()) + 1);
    const request = toSpawnRequest(task, input, options, position);
    return this.#ask({ ...request, traceparent: this.traceparent });
  }

  /** Children without a key that runs before its last checkpoint have made. */
  #spawnedBefore(): number {
    const { checkpoint } = this.#job;
    return checkpoint ? readKept(checkpoint).spawned : 0;
  }

  async token(name: string): Promise<string> {
    return this.#ask({ kind: 'token', name: String(name) });
  }

  waitFor(what: WaitFor): never {
    this.#suspension = toSuspension(what, this.id);
    // What stands behind it is not a result, and a type that says so asks for `return`.
    return this.#suspension as never;
  }

  get waited(): Waited | undefined {
    return readWaited(this.#job.waited);
  }

  /**
   * What the run waits for now that its handler has returned.
   * @throws PermanentError when it has asked to wait and has returned something else
   */
  waitOf(result: unknown): WaitRequest | undefined {
    if (!this.#suspension) return undefined;
    if (result === this.#suspension) return this.#suspension.wait;
    throw new PermanentError('the handler called waitFor and went on: write `return context.waitFor(…)`');
  }

  /** @throws Error when it was refused */
  async #ask(request: HandlerRequest): Promise<string> {
    const { refused, value = '' } = await this.#side.request(request);
    if (refused) throw Object.assign(new Error(refused.message), { name: refused.name });
    return value;
  }

  get traceparent(): string | undefined {
    const { traceparent } = this.#options;
    return this.#job.traceparent ?? (typeof traceparent === 'string' ? traceparent : undefined);
  }
}

/** The end of a run whose handler threw `error`: it failed, or asked to run again later. */
export function toFailedEnd(error: unknown, report: Report | undefined): HandlerEnd {
  if (isNamed(error, RetryLater.name)) {
    // Only the name is certain: its class may be that of another copy, or of the program itself.
    const delayMs = Math.round(Number(readProperty(error as RetryLater, 'delayMs'))) || 0;
    return {
      kind: 'snoozed',
      delayMs: Math.min(Math.max(delayMs, 0), LONGEST_DELAY_MS),
      error: toTaskError(error),
      report,
    };
  }
  // Whatever fails before the handler runs, or in its result, fails the same way next time.
  const permanent = isNamed(error, PermanentError.name) || error instanceof CborFault;
  return { kind: 'failed', error: toTaskError(error), permanent, report };
}

/** By name: a program may carry two copies of this package, and their classes are not the same. */
function isNamed(error: unknown, name: string): boolean {
  return isErrorLike(error) && readProperty(error, 'name') === name;
}

/** The input may come from a program that is not popfleet, or from a release with another schema. */
function parseInput(definition: TaskDefinition, content: TaskContent): unknown {
  const result = checkInput(definition.input, content.input);
  if (result.issues === undefined) return result.value;
  const [issue] = result.issues;
  const path = issue ? pathOf(issue).join('.') : '';
  throw new PermanentError(
    `the input is not valid${path ? ` at ${path}` : ''}: ${issue?.message ?? 'it does not fit its schema'}`,
  );
}

/**
 * The bytes may be a slice of a larger buffer.
 * @throws PermanentError when the result cannot be given to a caller as JSON or CBOR, or is too large. Its work is done:
 *   running it again would bring the same.
 */
function encodeResult(result: unknown, limitBytes: number): Uint8Array {
  if (result === undefined) return NOTHING;
  const plain = toPlain(result);
  if ('fault' in plain) {
    throw new PermanentError(
      `the handler ran to its end, but its result cannot be kept: ${faultText(plain.fault, 'it')}`,
    );
  }
  // The `toJSON` of a class may return nothing.
  if (plain.value === undefined) return NOTHING;
  const bytes = encodeCbor(plain.value);
  if (bytes.length > limitBytes) {
    throw new PermanentError(
      `the handler's result has ${bytes.length} bytes, ${limitBytes} are allowed: store it elsewhere and return where`,
    );
  }
  return bytes;
}
