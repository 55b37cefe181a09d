// Sends many tasks, so many a request that neither side holds much of them.

import type { Fault } from './api-error.ts';
import { newKey } from './new-key.ts';
import type { Transport } from './transport.ts';

export interface BatchOptions {
  /** Tasks of one request at most, up to 10,000; 500 unless given. */
  readonly size?: number;
  readonly signal?: AbortSignal | undefined;
}

/** What became of one task, at its place in the order of sending. */
export type SentItem =
  | { readonly index: number; readonly id: string; readonly queue: string; readonly replayed?: true }
  | {
      readonly index: number;
      readonly problem: { readonly code: string; readonly detail: string; readonly errors: readonly Fault[] };
    };

interface Report {
  readonly items: readonly SentItem[];
}

const TASKS_A_REQUEST = 500;
/** The server takes 16 MB unless it is told otherwise. */
const CHARS_A_REQUEST = 1_000_000;
const NDJSON = 'application/x-ndjson';

/** @throws ApiError; the tasks that were yielded before are there */
export async function* sendBatches(
  transport: Transport,
  tasks: Iterable<object> | AsyncIterable<object>,
  { size = TASKS_A_REQUEST, signal }: BatchOptions = {},
): AsyncGenerator<SentItem, void, void> {
  let sent = 0;
  for await (const lines of inBatches(tasks, size)) {
    const { items } = await transport.json<Report>({
      method: 'POST',
      path: '/v1/tasks/batch',
      query: { partial: true },
      raw: { type: NDJSON, text: lines.join('\n') },
      // None of them is valid: the answer still has the reason of each.
      accepts: [422],
      signal,
    });
    for (const item of items) yield ofAll(item, sent);
    sent += lines.length;
  }
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
): AsyncGenerator<string[], void, void> {
  let lines: string[] = [];
  let chars = 0;
  for await (const task of tasks) {
    const line = JSON.stringify({ key: newKey(), ...task });
    if (lines.length > 0 && (lines.length >= size || chars + line.length > CHARS_A_REQUEST)) {
      yield lines;
      lines = [];
      chars = 0;
    }
    lines.push(line);
    chars += line.length;
  }
  if (lines.length > 0) yield lines;
}
