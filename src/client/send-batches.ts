// Sends many tasks, so many a request that neither side holds much of them.

import { ApiError, type Fault } from './api-error.ts';
import { keyed } from './keyed.ts';
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
  /** A task as bytes, with whatever stands between two. */
  write(task: object): Uint8Array<ArrayBuffer>;
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
  | {
      readonly index: number;
      readonly problem: { readonly code: string; readonly detail: string; readonly errors: readonly Fault[] };
    };

type Bytes = Uint8Array<ArrayBuffer>;

interface Report {
  readonly items: readonly SentItem[];
}

const TASKS_A_REQUEST = 500;
/** The server takes 16 MB unless it is told otherwise. */
const BYTES_A_REQUEST = 1_000_000;
const utf8 = new TextEncoder();
const NDJSON: BatchFormat = {
  type: 'application/x-ndjson',
  write: (task) => utf8.encode(`${JSON.stringify(task)}\n`),
};

/** A task that the server cannot read, or that is too large, has its whole request refused. */
const OF_ONE_TASK: ReadonlySet<string> = new Set(['malformed-body', 'too-large']);

/** @throws ApiError; the tasks that were yielded before are there */
export async function* sendBatches(
  transport: Transport,
  tasks: Iterable<object> | AsyncIterable<object>,
  { size = TASKS_A_REQUEST, format = NDJSON, signal }: BatchOptions = {},
): AsyncGenerator<SentItem, void, void> {
  const post = (bytes: Bytes[]): Promise<Report> =>
    transport.json<Report>({
      method: 'POST',
      path: '/v1/tasks/batch',
      query: { partial: true },
      raw: { type: format.type, body: new Blob(bytes) },
      // None of them is valid: the answer still has the reason of each.
      accepts: [422],
      signal,
    });
  let sent = 0;
  for await (const bytes of inBatches(tasks, size, format)) {
    yield* sendBatch(post, bytes, sent);
    sent += bytes.length;
  }
}

/**
 * Sends tasks together; when they are refused because of one of them, in halves: what is found twice, its key has sent once.
 * @param sent how many were sent before
 */
async function* sendBatch(
  post: (bytes: Bytes[]) => Promise<Report>,
  bytes: Bytes[],
  sent: number,
): AsyncGenerator<SentItem, void, void> {
  let report: Report;
  try {
    report = await post(bytes);
  } catch (error) {
    if (!(error instanceof ApiError) || !OF_ONE_TASK.has(error.code)) throw error;
    if (bytes.length === 1) {
      // It was the first of its request, which is not where it stands for the caller.
      const detail = error.message.replace(/^(?:Line|Item) 1 /, 'It ');
      yield { index: sent, problem: { code: error.code, detail, errors: error.errors } };
      return;
    }
    const half = Math.ceil(bytes.length / 2);
    yield* sendBatch(post, bytes.slice(0, half), sent);
    yield* sendBatch(post, bytes.slice(half), sent + half);
    return;
  }
  for (const item of report.items) yield ofAll(item, sent);
}

/** The place among all tasks, and pointers that begin at the task instead of the batch. */
function ofAll(item: SentItem, sent: number): SentItem {
  const index = sent + item.index;
  if (!('problem' in item)) return { ...item, index };
  const errors = item.problem.errors.map(({ pointer, detail }) => ({
    pointer: pointer.replace(/^#\/\d+/, '#'),
    detail,
  }));
  return { index, problem: { ...item.problem, errors } };
}

/** The key comes before the first try: what a repeat finds is not made twice. */
async function* inBatches(
  tasks: Iterable<object> | AsyncIterable<object>,
  size: number,
  format: BatchFormat,
): AsyncGenerator<Bytes[], void, void> {
  let bytes: Bytes[] = [];
  let length = 0;
  for await (const task of tasks) {
    const one = format.write(keyed(task));
    if (bytes.length > 0 && (bytes.length >= size || length + one.length > BYTES_A_REQUEST)) {
      yield bytes;
      bytes = [];
      length = 0;
    }
    bytes.push(one);
    length += one.length;
  }
  if (bytes.length > 0) yield bytes;
}
