// Runs one job where the handlers are: decodes the message, checks its input again, runs, encodes the result.

import type { Soon } from '../lifecycle.ts';
import { encodeCbor } from '../protocol/cbor.ts';
import { CborFault } from '../protocol/cbor-scan.ts';
import { LONGEST_DELAY_MS } from '../protocol/instant.ts';
import { decodeContent, type MessageOptions, readTick, type TaskContent } from '../protocol/message.ts';
import { faultText, toPlain } from '../protocol/plain-value.ts';
import { toTaskError } from '../protocol/task-error.ts';
import { isErrorLike, readProperty } from '../protocol/value-text.ts';
import type { TaskContext, TaskDefinition } from '../tasks/define.ts';
import { checkInput, pathOf } from '../tasks/input-schema.ts';
import { PermanentError } from '../tasks/permanent-error.ts';
import type { Registry } from '../tasks/registry.ts';
import { RetryLater } from '../tasks/retry-later.ts';
import type { Answer, Job, Told } from './job.ts';
import { createVoice, type KeepProgress, type Voice } from './voice.ts';

const NOTHING = new Uint8Array(0);

/**
 * Runs one job. What the handler throws comes back as a value, so that a rejection always means that the place where it
 * runs is lost.
 * @param source has the handler's signal, asked for when the handler does
 * @param tell takes what the handler tells while it runs
 */
export function runJob(
  registry: Registry,
  resultLimitBytes: number,
  job: Job,
  source: { readonly signal: AbortSignal },
  tell: (told: Told) => void,
  keep: KeepProgress,
): Soon<Answer> {
  const voice = createVoice(job, tell, keep);
  const succeed = (result: unknown): Answer => ({
    kind: 'result',
    result: encodeResult(result, resultLimitBytes),
    told: voice.rest(),
  });
  const fail = (error: unknown): Answer => toAnswer(error, voice.rest());
  try {
    const content = decodeContent(job.content);
    const definition = registry.get(content.type);
    if (!definition) throw new PermanentError(`no handler for task type "${content.type}" here`);
    const input = parseInput(definition, content);
    const result = definition.run(input, new RunContext(job, content, voice, source));
    return isThenable(result) ? Promise.resolve(result).then(succeed).catch(fail) : succeed(result);
  } catch (error) {
    return fail(error);
  }
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function';
}

/** Gives a result a buffer of its own: the encoder's is shared with others, and would be sent to another thread whole. */
export function ownBytes(answer: Answer): Answer {
  return answer.kind === 'result' ? { ...answer, result: Uint8Array.from(answer.result) } : answer;
}

/** What a handler sees of its run. A class, because each task makes one. */
class RunContext implements TaskContext {
  readonly id: string;
  readonly type: string;
  readonly attempt: number;
  readonly deadline: Date | undefined;
  readonly progress: Voice['progress'];
  readonly log: Voice['log'];
  readonly #options: MessageOptions;
  readonly #source: { readonly signal: AbortSignal };

  constructor(job: Job, content: TaskContent, voice: Voice, source: { readonly signal: AbortSignal }) {
    this.id = job.id;
    this.type = content.type;
    this.attempt = job.attempt;
    this.deadline = job.timeoutMs === undefined ? undefined : new Date(Date.now() + job.timeoutMs);
    this.progress = voice.progress;
    this.log = voice.log;
    this.#options = content.options;
    this.#source = source;
  }

  get signal(): AbortSignal {
    return this.#source.signal;
  }

  get schedule(): TaskContext['schedule'] {
    const tick = readTick(this.#options);
    return tick && { name: tick.name, due: new Date(tick.due) };
  }

  get traceparent(): string | undefined {
    const { traceparent } = this.#options;
    return typeof traceparent === 'string' ? traceparent : undefined;
  }
}

/** What a run answers that has failed with `error`. */
export function toAnswer(error: unknown, told: Told | undefined): Answer {
  if (isNamed(error, RetryLater.name)) {
    return {
      kind: 'later',
      // Only the name is certain: its class may be that of another copy, or of the program itself.
      delayMs: Math.min(
        Math.max(Math.round(Number(readProperty(error as RetryLater, 'delayMs'))) || 0, 0),
        LONGEST_DELAY_MS,
      ),
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
 * @throws PermanentError when the result cannot be told to a caller as JSON or CBOR, or is too large. Its work is done:
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
  // What a class tells of itself may be nothing.
  if (plain.value === undefined) return NOTHING;
  const bytes = encodeCbor(plain.value);
  if (bytes.length > limitBytes) {
    throw new PermanentError(
      `the handler's result has ${bytes.length} bytes, ${limitBytes} are allowed: store it elsewhere and return where`,
    );
  }
  return bytes;
}
