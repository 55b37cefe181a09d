// Sends the tasks of a batch, in few calls.

import { PopfleetError } from '../../protocol/errors.ts';
import type { Producer, Verdict } from '../../store/producer.ts';
import type { GoodItem } from './items.ts';
import { toPopfleetError } from '../problem.ts';

/** One script call stops Redis for as long as it takes, and Lua can unpack some thousand values only. */
const TASKS_A_CALL = 500;
/** Redis works on one while the next is on its way. More would only wait there, and keep the calls of other requests waiting. */
const CALLS_AT_ONCE = 2;

/**
 * Sends them, in the order of each queue.
 * @returns what became of those that were not simply accepted, by their index
 * @throws PopfleetError of the producer; `accepted` in its problem says how many were accepted at least
 */
export async function sendItems(
  producer: Producer,
  items: readonly GoodItem[],
): Promise<ReadonlyMap<number, Verdict>> {
  const verdicts = new Map<number, Verdict>();
  const calls = toCalls(items);
  let accepted = 0;
  let failure: PopfleetError | undefined;

  async function sendOnes(): Promise<void> {
    for (let call = calls.shift(); call && !failure; call = calls.shift()) {
      try {
        const found = await producer.enqueue(
          call.queue,
          call.items.map(({ task }) => task),
        );
        for (const [at, verdict] of found) verdicts.set(call.items[at]?.index ?? -1, verdict);
        accepted += call.items.length - found.size;
      } catch (error) {
        failure ??= toPopfleetError(error);
      }
    }
  }

  await Promise.all(Array.from({ length: CALLS_AT_ONCE }, sendOnes));
  if (failure) throw interrupted(failure, accepted, items.length);
  return verdicts;
}

interface Call {
  readonly queue: string;
  readonly items: readonly GoodItem[];
}

function toCalls(items: readonly GoodItem[]): Call[] {
  const calls: Call[] = [];
  for (const [queue, ofQueue] of groupByQueue(items)) {
    for (let from = 0; from < ofQueue.length; from += TASKS_A_CALL) {
      calls.push({ queue, items: ofQueue.slice(from, from + TASKS_A_CALL) });
    }
  }
  return calls;
}

export function groupByQueue(items: readonly GoodItem[]): ReadonlyMap<string, readonly GoodItem[]> {
  const queues = new Map<string, GoodItem[]>();
  for (const item of items) {
    const ofQueue = queues.get(item.queue);
    if (ofQueue) ofQueue.push(item);
    else queues.set(item.queue, [item]);
  }
  return queues;
}

function interrupted(error: PopfleetError, accepted: number, of: number): PopfleetError {
  const detail = `${error.message} ${accepted} of ${of} tasks were accepted for certain, others may be. Give each task a \`key\` and send the same batch again: what is there already is then found, not made twice.`;
  const { code, retryAfterSeconds, cause } = error;
  return new PopfleetError(code, detail, {
    extensions: { accepted },
    ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }),
    cause: cause ?? error,
  });
}
