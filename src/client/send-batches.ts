// Sends many tasks, so many a request that neither side holds much of them.

import { ApiError, type Fault } from './api-error.ts';
import { keyed } from './keyed.ts';
import { toJson } from './to-json.ts';
import type { CallOptions, Transport } from './transport.ts';

export interface BatchOptions extends CallOptions {
  /** Tasks of one request at most, up to 10,000; 500 unless given. */
  readonly size?: number;
  /** How tasks go over the wire; a JSON text a line unless given. */
  readonly format?: BatchFormat;
}

export interface BatchFormat {
  /** A media type of `POST /v1/tasks/batch` in which one task stands behind the other, such as `application/cbor-seq`. */
  readonly type: string;
  /** A task as bytes, with whatever stands between two. An ApiError that it throws is the problem of that task. */
  write(task: object): Uint8Array<ArrayBuffer>;
}

interface Refused {
  readonly index: number;
  readonly problem: { readonly code: string; readonly detail: string; readonly errors: readonly Fault[] };
}

/** What became of one task, at its place in the order of sending. */
export type SentItem =
  | {
      readonly index: number;
      readonly id: string;
      readonly queue: string;
      readonly replayed?: true;
      /** As of a single task (`Receipt`). */
      readonly durability?: 'memory' | 'disk' | 'replicas';
    }
  | Refused;

type Bytes = Uint8Array<ArrayBuffer>;

interface Report {
  readonly items: readonly SentItem[];
}

/** A task as it goes over the wire. */
interface Written {
  /** Its place among all. */
  readonly index: number;
  readonly bytes: Bytes;
}

/** Tasks of one request, and those between them that have no form to be sent in. */
interface Batch {
  readonly written: readonly Written[];
  readonly refused: readonly Refused[];
}

const TASKS_A_REQUEST = 500;
/** The server takes 16 MB unless it is told otherwise. */
const BYTES_A_REQUEST = 1_000_000;
const utf8 = new TextEncoder();
const NDJSON: BatchFormat = {
  type: 'application/x-ndjson',
  write: (task) => utf8.encode(`${toJson(task)}\n`),
};

/** A task that the server cannot read, or that is too large, has its whole request refused. */
const OF_ONE_TASK: ReadonlySet<string> = new Set(['malformed-body', 'too-large']);

/** @throws ApiError; the tasks that were yielded before are there */
export async function* sendBatches(
  transport: Transport,
  tasks: Iterable<object> | AsyncIterable<object>,
  { size = TASKS_A_REQUEST, format = NDJSON, signal }: BatchOptions = {},
): AsyncGenerator<SentItem, void, void> {
  const post = (written: readonly Written[]): Promise<Report> =>
    transport.json<Report>({
      method: 'POST',
      path: '/v1/tasks/batch',
      query: { partial: true },
      raw: { type: format.type, body: new Blob(written.map(({ bytes }) => bytes)) },
      // None of them is valid: the answer still has the reason of each.
      accepts: [422],
      signal,
    });
  for await (const { written, refused } of inBatches(tasks, size, format)) {
    let at = 0;
    for await (const item of sendBatch(post, written)) {
      for (let next = refused[at]; next && next.index < item.index; next = refused[at]) {
        yield next;
        at += 1;
      }
      yield item;
    }
    yield* refused.slice(at);
  }
}

/** Sends tasks together; when they are refused because of one of them, in halves: what is found twice, its key has sent once. */
async function* sendBatch(
  post: (written: readonly Written[]) => Promise<Report>,
  written: readonly Written[],
): AsyncGenerator<SentItem, void, void> {
  const [first] = written;
  if (!first) return;
  let report: Report;
  try {
    report = await post(written);
  } catch (error) {
    if (!(error instanceof ApiError) || !OF_ONE_TASK.has(error.code)) throw error;
    if (written.length === 1) {
      // It was the first of its request, which is not where it stands for the caller.
      const detail = error.message.replace(/^(?:Line|Item) 1 /, 'It ');
      yield { index: first.index, problem: { code: error.code, detail, errors: error.errors } };
      return;
    }
    const half = Math.ceil(written.length / 2);
    yield* sendBatch(post, written.slice(0, half));
    yield* sendBatch(post, written.slice(half));
    return;
  }
  for (const item of report.items) yield ofAll(item, written[item.index]?.index ?? item.index);
}

/** With its place among all tasks, and pointers that begin at the task instead of the batch. */
function ofAll(item: SentItem, index: number): SentItem {
  if (!('problem' in item)) return { ...item, index };
  const errors = item.problem.errors.map(({ pointer, detail }) => ({
    pointer: pointer.replace(/^#\/\d+/, '#'),
    detail,
  }));
  return { index, problem: { ...item.problem, errors } };
}

async function* inBatches(
  tasks: Iterable<object> | AsyncIterable<object>,
  size: number,
  format: BatchFormat,
): AsyncGenerator<Batch, void, void> {
  let written: Written[] = [];
  let refused: Refused[] = [];
  let length = 0;
  let index = 0;
  for await (const task of tasks) {
    const one = write(task, index, format);
    index += 1;
    const bytes = 'bytes' in one ? one.bytes.length : 0;
    const count = written.length + refused.length;
    if (count > 0 && (count >= size || length + bytes > BYTES_A_REQUEST)) {
      yield { written, refused };
      written = [];
      refused = [];
      length = 0;
    }
    if ('bytes' in one) written.push(one);
    else refused.push(one);
    length += bytes;
  }
  yield { written, refused };
}

/** The key comes before the first try: what a repeat finds is not made twice. */
function write(task: object, index: number, format: BatchFormat): Written | Refused {
  try {
    return { index, bytes: format.write(keyed(task)) };
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    const { code, message, errors } = error;
    return { index, problem: { code, detail: message, errors } };
  }
}
