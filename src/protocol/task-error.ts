// The stored form of an error that ended a task: plain, bounded, safe to encode.

import { decodeTrusted } from './cbor.ts';
import { cutText, isErrorLike, readProperty, valueText } from './value-text.ts';

/** Most characters that are stored: a message may quote a whole payload, a stack may be endless. */
export const ERROR_MESSAGE_CHARS = 4_096;
export const ERROR_STACK_CHARS = 8_192;
const NAME_CHARS = 256;
const CODE_CHARS = 128;
/** The same for a cause, or one of several errors, and for all of them together. */
const NESTED_MESSAGE_CHARS = 1_024;
const NESTED_STACK_CHARS = 2_048;
export const ALL_NESTED_CHARS = 8_192;
/** Most levels of causes, and most errors of one `AggregateError`. */
export const MOST_LEVELS = 6;
export const MOST_ERRORS = 10;
/** A stack begins with the message, which is cut to this many characters there, so that the frames are kept. */
const MESSAGE_IN_STACK_CHARS = 512;

/** An error, or the cause of one. */
export interface ErrorCause {
  readonly name: string;
  readonly message: string;
  /** The first of the error's `code`, `errno`, `status` and `statusCode`: `ECONNREFUSED`, `23505`, `404`. */
  readonly code?: string;
  readonly stack?: string;
  readonly cause?: ErrorCause;
  /** The errors of an `AggregateError`. */
  readonly errors?: ErrorCause[];
}

export interface TaskError extends ErrorCause {
  /** Equal for failures with the same cause (`fingerprintOf`). */
  readonly fingerprint?: string;
  /** Set when the thread of the task was ended from outside, or ended while the task ran. */
  readonly killCause?: KillCause;
  /** Milliseconds from the order to end the thread until it had ended. */
  readonly killLatencyMs?: number;
}

export const KILL_CAUSES = ['timeout', 'cancel', 'out-of-memory', 'thread-exit', 'process-exit'] as const;
export type KillCause = (typeof KILL_CAUSES)[number];

/** Turns any value that a handler threw into a bounded, plain error. Never throws, not even for hostile getters. */
export function toTaskError(thrown: unknown): TaskError {
  return describe(thrown, { level: 0, left: { chars: ALL_NESTED_CHARS }, above: [] });
}

/** Position of a value within the thrown value. */
interface Place {
  /** 0 for the thrown value itself. */
  readonly level: number;
  /** Characters that all nested errors together may still take. */
  readonly left: { chars: number };
  /** The values around it, by which a cycle is found. */
  readonly above: readonly unknown[];
}

function describe(thrown: unknown, place: Place): ErrorCause {
  try {
    return typeof thrown === 'object' && thrown !== null
      ? describeObject(thrown, place)
      : {
          name: 'Error',
          message: fit(
            wordsFor(thrown as Primitive, place),
            place,
            ERROR_MESSAGE_CHARS,
            NESTED_MESSAGE_CHARS,
          ),
        };
  } catch {
    return { name: 'Error', message: 'the handler threw a value that cannot be read' };
  }
}

function describeObject(thrown: object, place: Place): ErrorCause {
  const isError = isErrorLike(thrown);
  const code = codeOf(thrown);
  const message = isError ? messageOf(thrown) : objectText(thrown, place);
  const stack = isError ? stackOf(thrown, message) : undefined;
  const below = { ...place, level: place.level + 1, above: [...place.above, thrown] };
  // In this order, because each leaves fewer characters for those after it.
  const own = {
    name: fit(nameOf(thrown, isError), place, NAME_CHARS, NAME_CHARS),
    message: fit(
      message || wordsForSilence(thrown, code, isError),
      place,
      ERROR_MESSAGE_CHARS,
      NESTED_MESSAGE_CHARS,
    ),
    ...(code === undefined ? {} : { code: fit(code, place, CODE_CHARS, CODE_CHARS) }),
    ...(stack === undefined ? {} : { stack: fit(stack, place, ERROR_STACK_CHARS, NESTED_STACK_CHARS) }),
  };
  const cause = describeCause(thrown, below);
  const errors = describeErrors(thrown, below);
  return { ...own, ...(cause ? { cause } : {}), ...(errors ? { errors } : {}) };
}

function describeCause(thrown: object, below: Place): ErrorCause | undefined {
  const cause = readProperty(thrown, 'cause');
  return cause === undefined || cause === null || !hasRoom(cause, below) ? undefined : describe(cause, below);
}

function describeErrors(thrown: object, below: Place): ErrorCause[] | undefined {
  const errors = readProperty(thrown, 'errors');
  if (!Array.isArray(errors) || errors.length === 0) return undefined;
  const kept: ErrorCause[] = [];
  for (const one of errors.slice(0, MOST_ERRORS) as unknown[]) {
    if (!hasRoom(one, below)) break;
    kept.push(describe(one, below));
  }
  const others = errors.length - kept.length;
  if (others > 0) kept.push({ name: 'Error', message: `${others} more errors were not kept` });
  return kept;
}

function hasRoom(value: unknown, { level, left, above }: Place): boolean {
  return level < MOST_LEVELS && left.chars > 0 && !above.includes(value);
}

/** Cuts a text to the limit of its place, and subtracts it from the characters that are left. */
function fit(text: string, { level, left }: Place, chars: number, nestedChars: number): string {
  if (level === 0) return cutText(text, chars);
  const cut = cutText(text, Math.max(1, Math.min(nestedChars, left.chars)));
  left.chars -= cut.length;
  return cut;
}

type Primitive = string | number | bigint | boolean | symbol | null | undefined;

/** Message for a thrown value that is no object. */
function wordsFor(thrown: Primitive | (() => unknown), { level }: Place): string {
  const wasThrown = level === 0 ? ' was thrown' : '';
  if (typeof thrown === 'string') return thrown.trim() === '' ? `an empty text${wasThrown}` : thrown;
  if (typeof thrown === 'function') return `a function${wasThrown} (${thrown.name})`;
  const text = String(thrown);
  return thrown === undefined || thrown === null ? `${text}${wasThrown}` : text;
}

/** Message for objects without one. */
function wordsForSilence(thrown: object, code: string | undefined, isError: boolean): string {
  const errors = readProperty(thrown, 'errors');
  if (Array.isArray(errors) && errors.length > 0) {
    const [first] = errors as unknown[];
    const { name, message } = isErrorLike(first)
      ? { name: textOf(first, 'name') ?? 'Error', message: messageOf(first) }
      : { name: 'Error', message: valueText(first) ?? '' };
    return `${errors.length} errors, the first of them: ${name}: ${message}`;
  }
  if (code !== undefined) return code;
  return isError ? 'an error without a message' : 'an object without a message';
}

/** Members with the message of objects that are no errors, such as error events and responses of `fetch`. */
const MESSAGES = ['message', 'reason', 'statusText'] as const;
const SHOWN_OTHERWISE: ReadonlySet<string> = new Set(['name', 'code', 'stack', 'cause', 'errors']);

/** The message of an object that is no error, and its other members as JSON. */
function objectText(thrown: object, { level }: Place): string {
  const said = MESSAGES.find((name) => textOf(thrown, name) !== undefined);
  if (said !== undefined) {
    const message = textOf(thrown, said) ?? '';
    const others = level === 0 ? valueText(thrown, new Set([...SHOWN_OTHERWISE, said])) : undefined;
    return others === undefined ? message : `${message} ${others}`;
  }
  const members = valueText(thrown, new Set(['stack', 'cause', 'errors']));
  if (members !== undefined) return members;
  const own: unknown = (thrown as { toString(): unknown }).toString();
  return typeof own === 'string' && !own.startsWith('[object ') ? own : '';
}

function nameOf(thrown: object, isError: boolean): string {
  const name = textOf(thrown, 'name');
  if (name !== undefined && (isError || textOf(thrown, 'message') !== undefined)) return name;
  const kind = readProperty(thrown, 'constructor');
  const isPlain = isError || typeof kind !== 'function' || ['', 'Object', 'Array'].includes(kind.name);
  return isPlain ? 'Error' : kind.name;
}

function messageOf(error: object): string {
  const message = readProperty(error, 'message');
  if (typeof message === 'string') return message.trim() === '' ? '' : message;
  return message === undefined ? '' : (valueText(message) ?? '');
}

function stackOf(error: object, message: string): string | undefined {
  const stack = readProperty(error, 'stack');
  if (typeof stack !== 'string') return undefined;
  const at = message.length > MESSAGE_IN_STACK_CHARS ? stack.indexOf(message) : -1;
  if (at < 0) return stack;
  return stack.slice(0, at) + cutText(message, MESSAGE_IN_STACK_CHARS) + stack.slice(at + message.length);
}

function codeOf(thrown: object): string | undefined {
  for (const name of ['code', 'errno', 'status', 'statusCode']) {
    const code = readProperty(thrown, name);
    if (typeof code === 'string' && code !== '') return code;
    // A number that every error of a class has, as the `code` of a DOMException, adds nothing to its name.
    if (typeof code === 'number' && (name !== 'code' || Object.hasOwn(thrown, name))) return String(code);
  }
  return undefined;
}

function textOf(from: object, name: string): string | undefined {
  const value = readProperty(from, name);
  return typeof value === 'string' && value.trim() !== '' ? value : undefined;
}

/** Reads a stored error, which may have any shape when another program or release has written it. Never throws. */
export function readTaskError(bytes: Uint8Array): TaskError {
  try {
    const stored = decodeTrusted(bytes);
    const { fingerprint, killCause, killLatencyMs } = (stored ?? {}) as Record<string, unknown>;
    return {
      ...readCause(stored, 0),
      ...(typeof fingerprint === 'string' ? { fingerprint } : {}),
      ...(isKillCause(killCause) ? { killCause } : {}),
      ...(typeof killLatencyMs === 'number' ? { killLatencyMs } : {}),
    };
  } catch {
    return { name: 'Error', message: 'what is stored of the error cannot be read' };
  }
}

function readCause(stored: unknown, level: number): ErrorCause {
  if (typeof stored !== 'object' || stored === null) return toTaskError(stored);
  const { name, message, code, stack, cause, errors } = stored as Record<string, unknown>;
  const isNested = level < MOST_LEVELS;
  return {
    name: typeof name === 'string' ? name : 'Error',
    message: typeof message === 'string' ? message : (valueText(stored) ?? 'an error without a message'),
    ...(typeof code === 'string' ? { code } : {}),
    ...(typeof stack === 'string' ? { stack } : {}),
    ...(isNested && cause !== undefined ? { cause: readCause(cause, level + 1) } : {}),
    ...(isNested && Array.isArray(errors) ? { errors: errors.map((one) => readCause(one, level + 1)) } : {}),
  };
}

function isKillCause(value: unknown): value is KillCause {
  return (KILL_CAUSES as readonly unknown[]).includes(value);
}
