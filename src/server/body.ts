// Reads untrusted request bodies: bounded, JSON or CBOR, plain values only.

import type { IncomingMessage } from 'node:http';
import type { Context } from 'hono';
import { BIG_INTEGER_FAULT, findBigInteger } from '../protocol/big-integers.ts';
import { decodeCbor } from '../protocol/cbor.ts';
import { CborFault, DEFAULT_SCAN_LIMITS, type ScanLimits } from '../protocol/cbor-scan.ts';
import { type FieldFault, PopfleetError } from '../protocol/errors.ts';
import { JsonFault, scanJson, skipJsonSpace, withoutByteOrderMark } from '../protocol/json-scan.ts';
import { LIMITS_OF_MANY } from '../protocol/many-tasks.ts';
import { faultText, readPlain } from '../protocol/plain-value.ts';
import { pointerBelow } from '../protocol/validate.ts';
import type { AppEnv } from './app-env.ts';
import { nextTurn } from './batch/next-turn.ts';
import { bodyPieces, readAtOnce } from './body-pieces.ts';
import { createGrowingBytes } from './growing-bytes.ts';
import { listElements } from './header-list.ts';

/** Bytes up to which a body is read at once; larger ones, and those of unknown length, are joined while they come in. */
const SMALL_BODY_BYTES = 65_536;

/** Tasks that are checked in one turn of the event loop. */
const TASKS_A_TURN = 250;

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * Reads and parses the body.
 * @throws PopfleetError `unsupported-media-type`, `too-large` or `malformed-body`
 */
export async function readBody(
  c: Context<AppEnv>,
  limitBytes: number,
  limits: ScanLimits = DEFAULT_SCAN_LIMITS,
): Promise<unknown> {
  const parse = parserOf(c, limits);
  return parse(await readBytes(c, limitBytes));
}

/**
 * The body of an operation that takes `tasks`, an array or an object of them: each may have as many values as a body by itself,
 * and so may what is beside them.
 * @throws as `readBody`
 */
export async function readBodyOfMany(c: Context<AppEnv>, limitBytes: number): Promise<unknown> {
  const body = await readBody(c, limitBytes, LIMITS_OF_MANY);
  // Of anything else the schema says what is wrong.
  if (!hasParts(body)) return body;
  const { tasks = {}, ...rest } = body as { readonly tasks?: unknown };
  plainOf(rest, 'The body', '');
  if (!hasParts(tasks)) return body;
  for (const [index, [name, task]] of Object.entries(tasks).entries()) {
    plainOf(task, 'The body', pointerBelow('/tasks', [name]).slice(1));
    if (index % TASKS_A_TURN === TASKS_A_TURN - 1) await nextTurn();
  }
  return body;
}

function hasParts(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !(value instanceof Uint8Array);
}

/** The body of an operation that needs none: an empty object stands for it. @throws as `readBody` */
export async function readOptionalBody(c: Context<AppEnv>, limitBytes: number): Promise<unknown> {
  return hasBody(c) ? readBody(c, limitBytes) : {};
}

/** Whether the request has a body (RFC 9112, section 6.3). */
function hasBody(c: Context<AppEnv>): boolean {
  return c.req.header('transfer-encoding') !== undefined || Number(c.req.header('content-length') ?? 0) > 0;
}

/**
 * The media type of the body, without parameters; an empty text when none is given.
 * @throws PopfleetError `unsupported-media-type` when the body is encoded
 */
export function mediaTypeOf(c: Context<AppEnv>): string {
  const encoding = c.req.header('content-encoding');
  // Names of codings are case-insensitive (RFC 9110, section 8.4.1).
  if (encoding !== undefined && !listElements(encoding).every((one) => one.toLowerCase() === 'identity')) {
    throw new PopfleetError('unsupported-media-type', 'Send the body without Content-Encoding.');
  }
  return (c.req.header('content-type') ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? '';
}

function parserOf(c: Context<AppEnv>, limits: ScanLimits): (bytes: Uint8Array) => unknown {
  const type = mediaTypeOf(c);
  if (type === 'application/json') return (bytes) => parseJson(bytes, 'The body', limits);
  if (type === 'application/cbor') return (bytes) => parseCbor(bytes, limits);
  throw new PopfleetError(
    'unsupported-media-type',
    `Send Content-Type: application/json or application/cbor${type ? `, not ${type}` : ''}.`,
  );
}

/**
 * The whole body. The bytes that arrive are counted, because a declared length may be missing (chunked).
 * @throws PopfleetError `too-large`, before anything is read when the declared length says so; `malformed-body` when the
 *   caller breaks off
 */
export async function readBytes(c: Context<AppEnv>, limitBytes: number): Promise<Uint8Array> {
  const declared = Number(c.req.header('content-length') ?? Number.POSITIVE_INFINITY);
  if (declared <= Math.min(limitBytes, SMALL_BODY_BYTES)) {
    // The HTTP parser passes on exactly the declared number of bytes, so the fast path is safe.
    return readAtOnce(incomingOf(c));
  }
  const body = createGrowingBytes();
  for await (const chunk of readChunks(c, limitBytes)) body.append(chunk);
  return body.take();
}

/**
 * The body as it comes in.
 * @throws PopfleetError `too-large` as soon as more than `limitBytes` have come, or were announced; `malformed-body` when the
 *   caller breaks off
 */
export async function* readChunks(c: Context<AppEnv>, limitBytes: number): AsyncGenerator<Uint8Array> {
  if (Number(c.req.header('content-length') ?? 0) > limitBytes) throw tooLarge(limitBytes);
  let bytes = 0;
  for await (const chunk of bodyPieces(incomingOf(c))) {
    bytes += chunk.byteLength;
    if (bytes > limitBytes) throw tooLarge(limitBytes);
    yield chunk;
  }
}

/** The request of Node: that of the platform takes longer to read, and copies the body. */
function incomingOf(c: Context<AppEnv>): IncomingMessage {
  return (c.env as { readonly incoming: IncomingMessage }).incoming;
}

function tooLarge(limitBytes: number): PopfleetError {
  return new PopfleetError('too-large', `The body may have at most ${limitBytes} bytes.`);
}

/**
 * Parses a JSON text. Its depth and values are counted first: a text that is too deep or too large is never parsed.
 * @param what names the text in the message
 * @throws PopfleetError `malformed-body`
 */
export function parseJson(bytes: Uint8Array, what: string, limits?: ScanLimits): unknown {
  const text = withoutByteOrderMark(bytes);
  scanJsonValue(text, skipJsonSpace(text, 0), what, '', limits);
  return parseScannedJson(text, what, '', limits);
}

/**
 * The offset behind a JSON value within bytes.
 * @param at JSON Pointer of the value within the body
 * @throws PopfleetError `malformed-body` when it is too deep or too large
 */
export function scanJsonValue(
  bytes: Uint8Array,
  start: number,
  what: string,
  at = '',
  limits?: ScanLimits,
): number {
  try {
    return scanJson(bytes, start, limits);
  } catch (error) {
    if (!(error instanceof JsonFault)) throw error;
    throw notPlain({ pointer: '#', detail: error.message }, what, at);
  }
}

/** Parses bytes that `scanJsonValue` has walked. @throws PopfleetError `malformed-body` */
export function parseScannedJson(bytes: Uint8Array, what: string, at = '', limits?: ScanLimits): unknown {
  const value = parseText(bytes, what);
  demandPlain(value, bytes, what, at, limits);
  return value;
}

function parseText(bytes: Uint8Array, what: string): unknown {
  try {
    return JSON.parse(utf8.decode(bytes));
  } catch (error) {
    const reason = error instanceof SyntaxError ? syntaxFault(error) : 'it is not UTF-8';
    throw new PopfleetError('malformed-body', `${what} is no JSON: ${reason}.`);
  }
}

/** @param at JSON Pointer of the value within the body, without `#`. @throws PopfleetError `malformed-body` */
function plainOf(
  value: unknown,
  what: string,
  at: string,
  limits?: ScanLimits,
): { readonly hasLarge: boolean } {
  const plain = readPlain(value, limits);
  if ('fault' in plain) throw notPlain(plain.fault, what, at);
  return plain;
}

/**
 * @param bytes the text of the value alone
 * @throws PopfleetError `malformed-body` that names the part that is not plain, or that is an integer which was changed
 */
function demandPlain(value: unknown, bytes: Uint8Array, what: string, at: string, limits?: ScanLimits): void {
  if (!plainOf(value, what, at, limits).hasLarge) return;
  const pointer = findBigInteger(utf8.decode(bytes));
  if (pointer !== undefined) throw notPlain({ pointer, detail: BIG_INTEGER_FAULT }, what, at);
}

function notPlain({ pointer, detail }: FieldFault, what: string, at: string): PopfleetError {
  const fault = { pointer: `#${at}${pointer.slice(1)}`, detail };
  // When the value as a whole is at fault, `what` names it already.
  const message = `${what} cannot be accepted: ${faultText(pointer === '#' ? { pointer, detail } : fault, 'it')}.`;
  return new PopfleetError('malformed-body', message, { faults: [fault] });
}

/** The place of the fault alone: the parser's message may quote the body, and an answer never does. */
function syntaxFault({ message }: SyntaxError): string {
  if (message.includes('end of JSON')) return 'it ends too early';
  const place = /at position \d+/.exec(message)?.[0];
  return place ? `it cannot be read ${place}` : 'it has a character that does not belong there';
}

function parseCbor(bytes: Uint8Array, limits: ScanLimits): unknown {
  try {
    return decodeCbor(bytes, limits);
  } catch (error) {
    if (!(error instanceof CborFault)) throw error;
    throw new PopfleetError('malformed-body', `The body is no plain CBOR: ${error.message}.`);
  }
}
