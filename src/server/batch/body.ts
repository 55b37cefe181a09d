// Reads the bodies of batches: arrays, and sequences of items that are parsed while they come in.

import type { Context } from 'hono';
import { decodeTrusted } from '../../protocol/cbor.ts';
import { BREAK, CborEndsEarly, CborFault, INDEFINITE, readHead, scanCbor } from '../../protocol/cbor-scan.ts';
import { PopfleetError } from '../../protocol/errors.ts';
import type { AppEnv } from '../app-env.ts';
import { createPlainCheck, mediaTypeOf, parseJsonText, readBytes, readChunks } from '../body.ts';

export interface BatchLimits {
  readonly items: number;
  readonly bodyBytes: number;
  /** Of an item of a sequence. */
  readonly itemBytes: number;
}

/** Some items, in their order: so many that other requests have their turn between two slices. */
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
const NEWLINE = 0x0a;

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

async function* readJsonArray(c: Context<AppEnv>, { bodyBytes, items }: BatchLimits): Slices {
  const bytes = await readBytes(c, bodyBytes);
  const values = parseJsonText(bytes, 'The body');
  if (!Array.isArray(values)) throw noArray();
  if (values.length > items) throw tooMany({ items });
  const check = createPlainCheck(bytes);
  for (let from = 0; from < values.length; from += ITEMS_A_SLICE) {
    const slice: unknown[] = values.slice(from, from + ITEMS_A_SLICE);
    for (const [at, value] of slice.entries()) check(value, `Item ${from + at}`, `/${from + at}`);
    yield slice;
  }
}

async function* readCborArray(c: Context<AppEnv>, limits: BatchLimits): Slices {
  const bytes = await readBytes(c, limits.bodyBytes);
  const head = arrayHead(bytes);
  const count = head.argument === INDEFINITE ? Number.POSITIVE_INFINITY : head.argument;
  if (count !== Number.POSITIVE_INFINITY && count > limits.items) throw tooMany(limits);
  let slice: unknown[] = [];
  let at = head.next;
  let index = 0;
  while (index < count && !(head.argument === INDEFINITE && bytes[at] === BREAK)) {
    const end = itemEnd(bytes, at, index);
    slice.push(decodeTrusted(bytes.subarray(at, end)));
    at = end;
    index += 1;
    if (slice.length === ITEMS_A_SLICE) {
      yield slice;
      slice = [];
    }
  }
  if (head.argument === INDEFINITE) at += 1;
  if (at !== bytes.length) throw new PopfleetError('malformed-body', 'Bytes follow the array.');
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
    if (isBlank(bytes)) return [];
    const value = parseJsonText(bytes, `Line ${line}`);
    createPlainCheck(bytes)(value, `Line ${line}`);
    return [value];
  };
  /** Of a line whose end has not come yet; put together only then, so that a byte at a time costs no more. */
  let pending: Uint8Array[] = [];
  let pendingBytes = 0;
  for await (const chunk of readChunks(c, limits.bodyBytes)) {
    let slice: unknown[] = [];
    let from = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, from)) {
      const bytes = chunk.subarray(from, end);
      slice.push(...parse(pendingBytes === 0 ? bytes : Buffer.concat([...pending, bytes])));
      pending = [];
      pendingBytes = 0;
      from = end + 1;
      if (slice.length === ITEMS_A_SLICE) {
        yield slice;
        slice = [];
      }
    }
    yield slice;
    if (from === chunk.length) continue;
    pending.push(chunk.subarray(from));
    pendingBytes += chunk.length - from;
    if (pendingBytes > limits.itemBytes) throw itemTooLarge(`Line ${line + 1}`, limits);
  }
  yield parse(Buffer.concat(pending));
}

/** A line of white space, as JSON knows it. */
function isBlank(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte === 0x20 || byte === 0x09 || byte === 0x0d);
}

/** Bytes that are looked at together: less is only looked at when the body ends. */
const SCANNED_BYTES = 65_536;

/** CBOR items one after the other (RFC 8742). */
async function* readCborSequence(c: Context<AppEnv>, limits: BatchLimits): Slices {
  let index = 0;
  /** Takes the items that are whole; answers how many bytes they have. */
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
  let chunks: Uint8Array[] = [];
  let bytes = 0;
  /** An item that was not whole is looked at again when there is twice as much of it: the walk begins at its start. */
  let enough = SCANNED_BYTES;
  async function* takeAll(): Slices {
    let left: Uint8Array = Buffer.concat(chunks);
    for (;;) {
      const slice: unknown[] = [];
      left = left.subarray(take(left, slice));
      yield slice;
      if (slice.length < ITEMS_A_SLICE) break;
    }
    if (left.length > limits.itemBytes) throw itemTooLarge(`Item ${index}`, limits);
    chunks = [left];
    bytes = left.length;
    enough = Math.max(SCANNED_BYTES, 2 * bytes);
  }
  for await (const chunk of readChunks(c, limits.bodyBytes)) {
    chunks.push(chunk);
    bytes += chunk.length;
    if (bytes >= enough) yield* takeAll();
  }
  yield* takeAll();
  if (bytes > 0)
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

/** Its byte counts from the start of the item. */
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
