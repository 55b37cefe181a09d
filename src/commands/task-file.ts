// Files of tasks, read one after the other however long they are: a JSON text a line, or CBOR items (RFC 8742).

import { createHash } from 'node:crypto';
import type { BatchOptions } from '../client/send-batches.ts';
import type { ManyTask } from '../client/task-types.ts';
import { decodeTrusted, encodeCbor } from '../protocol/cbor.ts';
import { CborEndsEarly, CborFault, scanCbor } from '../protocol/cbor-scan.ts';
import { decodeText } from './decode-text.ts';
import { readJson } from './read-json.ts';
import type { UsageError } from './usage-error.ts';

export interface TaskEntry {
  /** In the file, from 1 on. */
  readonly place: number;
  /** Of what stands there. */
  readonly digest: string;
  /** What is wrong with it when it is no task. */
  readonly task: ManyTask | string;
}

/** @param onBytes called with the length of each chunk of the file */
type ReadEntries = (
  stream: AsyncIterable<Buffer | string>,
  onBytes: (bytes: number) => void,
) => AsyncGenerator<TaskEntry, void, void>;

interface TaskFile {
  /** What is counted in it. */
  readonly unit: string;
  readonly read: ReadEntries;
  /** Sent in the same format: only CBOR carries byte strings. */
  readonly wire: Pick<BatchOptions, 'format'>;
}

export const TASK_FILES = {
  ndjson: { unit: 'line', read: readLines, wire: {} },
  'cbor-seq': {
    unit: 'item',
    read: readSequence,
    wire: { format: { type: 'application/cbor-seq', write: (task) => new Uint8Array(encodeCbor(task)) } },
  },
} satisfies Record<string, TaskFile>;
export type TaskFileFormat = keyof typeof TASK_FILES;
export const FORMATS = Object.keys(TASK_FILES) as readonly TaskFileFormat[];

/** No part of another character in UTF-8. */
const LINE_FEED = 0x0a;

async function* readLines(
  stream: AsyncIterable<Buffer | string>,
  onBytes: (bytes: number) => void,
): AsyncGenerator<TaskEntry, void, void> {
  let rest: Buffer = Buffer.alloc(0);
  let place = 0;
  for await (const chunk of endedBy(stream)) {
    if (chunk) onBytes(chunk.length);
    // The last line may have no end of its own.
    const bytes = Buffer.concat([rest, chunk ?? Buffer.of(LINE_FEED)]);
    let start = 0;
    for (let end = bytes.indexOf(LINE_FEED); end >= 0; end = bytes.indexOf(LINE_FEED, start)) {
      place += 1;
      const entry = readLine(bytes.subarray(start, end));
      if (entry) yield { place, ...entry };
      start = end + 1;
    }
    rest = bytes.subarray(start);
  }
}

/** `undefined` for an empty line. */
function readLine(bytes: Uint8Array): Omit<TaskEntry, 'place'> | undefined {
  try {
    const line = decodeText(bytes, 'not accepted');
    if (line.trim() === '') return undefined;
    const task = readJson(line, 'not accepted');
    const digest = digestOf(line);
    if (isTask(task)) return { digest, task };
  } catch (error) {
    return { digest: '', task: (error as UsageError).message };
  }
  return { digest: '', task: 'must be a JSON object, such as {"type":"add","input":{"one":1,"two":2}}' };
}

/** Where an item that is no plain CBOR ends is not known: nothing behind it is read. */
async function* readSequence(
  stream: AsyncIterable<Buffer | string>,
  onBytes: (bytes: number) => void,
): AsyncGenerator<TaskEntry, void, void> {
  let chunks: Buffer[] = [];
  let length = 0;
  /** An item that was not whole is looked at again when twice as many bytes of it are there. */
  let enough = 0;
  let place = 0;
  for await (const chunk of endedBy(stream)) {
    if (chunk) {
      onBytes(chunk.length);
      chunks.push(chunk);
      length += chunk.length;
      if (length < enough) continue;
    }
    let bytes = Buffer.concat(chunks);
    while (bytes.length > 0) {
      const end = endOfItem(bytes);
      if (end === undefined && chunk) break;
      place += 1;
      if (typeof end !== 'number') {
        const why = end?.message ?? 'the file ends in it';
        yield { place, digest: '', task: `${why}; nothing behind it was read` };
        return;
      }
      const item = bytes.subarray(0, end);
      bytes = bytes.subarray(end);
      const task = decodeTrusted(item);
      yield {
        place,
        digest: digestOf(item),
        task: isTask(task) ? task : 'must be a map with the type and the input of a task',
      };
    }
    chunks = [bytes];
    length = bytes.length;
    enough = 2 * length;
  }
}

/** The chunks, and `undefined` behind the last one. */
async function* endedBy(
  stream: AsyncIterable<Buffer | string>,
): AsyncGenerator<Buffer | undefined, void, void> {
  for await (const chunk of stream) yield typeof chunk === 'string' ? Buffer.from(chunk) : chunk;
  yield undefined;
}

/** `undefined` when the bytes end before the first item does. */
function endOfItem(bytes: Uint8Array): number | CborFault | undefined {
  try {
    return scanCbor(bytes);
  } catch (error) {
    if (error instanceof CborEndsEarly) return undefined;
    if (error instanceof CborFault) return error;
    throw error;
  }
}

function isTask(value: unknown): value is ManyTask {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !ArrayBuffer.isView(value);
}

function digestOf(item: string | Uint8Array): string {
  return createHash('sha256').update(item).digest('hex').slice(0, 16);
}
