// Reads the bodies of batches: arrays, and sequences of items that are parsed while they come in.

import type { Context } from 'hono';
import { decodeTrusted } from '../../protocol/cbor.ts';
import { BREAK, CborEndsEarly, CborFault, INDEFINITE, readHead, scanCbor } from '../../protocol/cbor-scan.ts';
import { PopfleetError } from '../../protocol/errors.ts';
import { skipJsonSpace, withoutByteOrderMark } from '../../protocol/json-scan.ts';
import type { AppEnv } from '../app-env.ts';
import { mediaTypeOf, parseJson, parseScannedJson, readBytes, readChunks, scanJsonValue } from '../body.ts';
import { createGrowingBytes } from '../growing-bytes.ts';
import { nextTurn } from './next-turn.ts';

export interface BatchLimits {
  readonly items: number;
  readonly bodyBytes: number;
  /** Largest item of a sequence, in bytes. */
  readonly itemBytes: number;
}

/** Some items, in their order: few enough that other requests get their turn between two slices. */
type Slices = AsyncGenerator<readonly unknown[]>;

const READERS = {
  'application/json': readJsonArray,
  'application/cbor': readCborArray,
  'application/x-ndjson': readLines,
  'application/jsonl': readLines,
  'application/cbor-seq': readCborSequence,
} satisfies Record<string, (c: Context<AppEnv>, limits: BatchLimits) => Slices>;
export type BatchMedia = keyof typeof READERS;
export const BATCH_MEDIA = Object.keys(READERS) as readonly BatchMedia[];

const ITEMS_A_SLICE = 250;
const BYTES_A_SLICE = 65_536;
/** Lines that a body may have for each item, the empty ones that are skipped included. */
const LINES_AN_ITEM = 10;
const NEWLINE = 0x0a;
const COMMA = 0x2c;
const ARRAY_OPEN = 0x5b;
const ARRAY_CLOSE = 0x5d;

/** @throws PopfleetError `unsupported-media-type` */
export function batchMediaOf(c: Context<AppEnv>): BatchMedia {
  const given = mediaTypeOf(c);
  const media = BATCH_MEDIA.find((name) => name === given);
  if (media) return media;
  throw new PopfleetError('unsupported-media-type', `Send one of ${BATCH_MEDIA.join(', ')}.`);
}

/**
 * The items of the body, plain values.
 * @throws PopfleetError `malformed-body` that names the line or the item, `too-large`
 */
export async function* readItems(c: Context<AppEnv>, media: BatchMedia, limits: BatchLimits): Slices {
  let items = 0;
  for await (const slice of READERS[media](c, limits)) {
    items += slice.length;
    if (items > limits.items) throw tooMany(limits);
    yield slice;
  }
}

/** From the first byte of an item to behind its last. */
type Range = readonly [from: number, to: number];

/** Bytes that are scanned in one turn of the event loop. */
const BYTES_A_TURN = 1_048_576;

/**
 * Scans the whole array before any of it is parsed: a batch that is refused for its shape costs no more than the scan.
 */
async function* readJsonArray(c: Context<AppEnv>, limits: BatchLimits): Slices {
  const bytes = withoutByteOrderMark(await readBytes(c, limits.bodyBytes));
  const ranges: Range[] = [];
  for await (const range of jsonItems(bytes)) {
    if (ranges.push(range) > limits.items) throw tooMany(limits);
  }
  yield* slicesOf(ranges, ([from, to], index) =>
    parseScannedJson(bytes.subarray(from, to), `Item ${index}`, `/${index}`),
  );
}

async function* jsonItems(bytes: Uint8Array): AsyncGenerator<Range> {
  let at = skipJsonSpace(bytes, 0);
  if (at === bytes.length)
    throw new PopfleetError('malformed-body', 'The body is no JSON: it ends too early.');
  if (bytes[at] !== ARRAY_OPEN) throw noArray();
  at = skipJsonSpace(bytes, at + 1);
  const isEmpty = bytes[at] === ARRAY_CLOSE;
  const turns = createTurns();
  for (let index = 0; !isEmpty; index += 1) {
    const from = at;
    const to = scanJsonValue(bytes, from, `Item ${index}`, `/${index}`);
    yield [from, to];
    if (turns.isOver(to)) await nextTurn();
    at = skipJsonSpace(bytes, to);
    if (bytes[at] !== COMMA) break;
    at = skipJsonSpace(bytes, at + 1);
  }
  const end = skipJsonSpace(bytes, at + 1);
  if (bytes[at] === ARRAY_CLOSE && end === bytes.length) return;
  const place = bytes[at] === ARRAY_CLOSE ? end : at;
  throw new PopfleetError('malformed-body', `The body is no JSON: it cannot be read at position ${place}.`);
}

/** As `readJsonArray`, for CBOR. */
async function* readCborArray(c: Context<AppEnv>, limits: BatchLimits): Slices {
  const bytes = await readBytes(c, limits.bodyBytes);
  const head = arrayHead(bytes);
  const isOpen = head.argument === INDEFINITE;
  const count = isOpen ? Number.POSITIVE_INFINITY : head.argument;
  if (!isOpen && count > limits.items) throw tooMany(limits);
  const ranges: Range[] = [];
  const turns = createTurns();
  let at = head.next;
  while (ranges.length < count && !(isOpen && bytes[at] === BREAK)) {
    const end = itemEnd(bytes, at, ranges.length);
    if (ranges.push([at, end]) > limits.items) throw tooMany(limits);
    at = end;
    if (turns.isOver(at)) await nextTurn();
  }
  if (isOpen) at += 1;
  if (at !== bytes.length) throw new PopfleetError('malformed-body', 'Bytes follow the array.');
  yield* slicesOf(ranges, ([from, to]) => decodeTrusted(bytes.subarray(from, to)));
}

/** Reports when the bytes scanned are enough for one turn of the event loop. */
function createTurns(): { isOver(at: number): boolean } {
  let since = 0;
  return {
    isOver(at) {
      if (at - since < BYTES_A_TURN) return false;
      since = at;
      return true;
    },
  };
}

async function* slicesOf(ranges: readonly Range[], parse: (range: Range, index: number) => unknown): Slices {
  let slice: unknown[] = [];
  let bytes = 0;
  for (const [index, range] of ranges.entries()) {
    slice.push(parse(range, index));
    bytes += range[1] - range[0];
    if (slice.length < ITEMS_A_SLICE && bytes < BYTES_A_SLICE) continue;
    yield slice;
    slice = [];
    bytes = 0;
  }
  yield slice;
}

function arrayHead(bytes: Uint8Array): ReturnType<typeof readHead> {
  try {
    const head = readHead(bytes, 0);
    if (head.major === 4) return head;
  } catch (error) {
    if (!(error instanceof CborFault)) throw error;
  }
  throw noArray();
}

/** A JSON text a line. */
async function* readLines(c: Context<AppEnv>, limits: BatchLimits): Slices {
  let line = 0;
  const parse = (bytes: Uint8Array): unknown[] => {
    line += 1;
    if (bytes.length > limits.itemBytes) throw itemTooLarge(`Line ${line}`, limits);
    if (line > limits.items * LINES_AN_ITEM) throw tooMany(limits);
    return isBlank(bytes) ? [] : [parseJson(bytes, `Line ${line}`)];
  };
  /** The bytes of a line whose end has not come yet. */
  const pending = createGrowingBytes();
  for await (const chunk of readChunks(c, limits.bodyBytes)) {
    let slice: unknown[] = [];
    let from = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, from)) {
      const bytes = chunk.subarray(from, end);
      if (pending.length > 0) pending.append(bytes);
      slice.push(...parse(pending.length > 0 ? pending.take() : bytes));
      from = end + 1;
      if (slice.length === ITEMS_A_SLICE) {
        yield slice;
        slice = [];
      }
    }
    yield slice;
    if (from === chunk.length) continue;
    pending.append(chunk.subarray(from));
    if (pending.length > limits.itemBytes) throw itemTooLarge(`Line ${line + 1}`, limits);
  }
  yield parse(pending.take());
}

/** A line of white space as JSON defines it. */
function isBlank(bytes: Uint8Array): boolean {
  return skipJsonSpace(bytes, 0) === bytes.length;
}

/** Bytes that are scanned together: fewer are scanned only when the body ends. */
const SCANNED_BYTES = 65_536;

/** CBOR items one after the other (RFC 8742). */
async function* readCborSequence(c: Context<AppEnv>, limits: BatchLimits): Slices {
  let index = 0;
  /** Takes the items that are whole. Returns how many bytes they have. */
  const take = (bytes: Uint8Array, into: unknown[]): number => {
    let at = 0;
    while (at < bytes.length && into.length < ITEMS_A_SLICE) {
      const end = wholeItemEnd(bytes, at, index);
      if (end === undefined) break;
      if (end - at > limits.itemBytes) throw itemTooLarge(`Item ${index}`, limits);
      into.push(decodeTrusted(bytes.subarray(at, end)));
      index += 1;
      at = end;
    }
    return at;
  };
  const pending = createGrowingBytes();
  /** An item that was not whole is scanned again, from its start, when twice as many bytes of it are there. */
  let enough = SCANNED_BYTES;
  async function* takeAll(): Slices {
    let left = pending.take();
    for (;;) {
      const slice: unknown[] = [];
      left = left.subarray(take(left, slice));
      yield slice;
      if (slice.length < ITEMS_A_SLICE) break;
    }
    if (left.length > limits.itemBytes) throw itemTooLarge(`Item ${index}`, limits);
    pending.append(left);
    enough = Math.max(SCANNED_BYTES, 2 * left.length);
  }
  for await (const chunk of readChunks(c, limits.bodyBytes)) {
    pending.append(chunk);
    if (pending.length >= enough) yield* takeAll();
  }
  yield* takeAll();
  if (pending.length > 0)
    throw new PopfleetError('malformed-body', `Item ${index} is not whole: the body ends in it.`);
}

/** `undefined` when the bytes end before the item does. */
function wholeItemEnd(bytes: Uint8Array, at: number, index: number): number | undefined {
  try {
    return at + scanCbor(bytes.subarray(at));
  } catch (error) {
    if (error instanceof CborEndsEarly) return undefined;
    throw noPlainCbor(error, index);
  }
}

function itemEnd(bytes: Uint8Array, at: number, index: number): number {
  try {
    return at + scanCbor(bytes.subarray(at));
  } catch (error) {
    throw noPlainCbor(error, index);
  }
}

/** The byte in the message counts from the start of the item. */
function noPlainCbor(error: unknown, index: number): unknown {
  if (!(error instanceof CborFault)) return error;
  return new PopfleetError('malformed-body', `Item ${index} is no plain CBOR: ${error.message} of it.`);
}

function noArray(): PopfleetError {
  return new PopfleetError('malformed-body', 'The body must be an array of tasks.');
}

function tooMany({ items }: Pick<BatchLimits, 'items'>): PopfleetError {
  return new PopfleetError('too-large', `A batch may have at most ${items} tasks. Send it in parts.`);
}

function itemTooLarge(what: string, { itemBytes }: BatchLimits): PopfleetError {
  return new PopfleetError('too-large', `${what} may have at most ${itemBytes} bytes.`);
}
