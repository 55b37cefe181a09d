// How the runs of each type have gone since the last beat: what workers tell of them to their queues, whoever measures them beside.

import type { Spans } from '../store/consumer.ts';
import { fieldsOf, SPAN_SECONDS } from '../store/spans.ts';
import { stepOf } from './histogram.ts';

export interface TypeTally {
  /** @param ms that its handler ran */
  ran(run: { readonly queue: string; readonly type: string }, ms: number): void;
  /** The attempt has failed. */
  failed(queue: string, type: string): void;
  /** What has come since this was asked last. */
  take(queue: string): Spans;
}

/** Behind the steps of time. */
const FAILED_AT = SPAN_SECONDS.length + 1;

export function createTypeTally(): TypeTally {
  const byQueue = new Map<string, Map<string, number[]>>();

  function countsOf(queue: string, type: string): number[] {
    let types = byQueue.get(queue);
    if (!types) byQueue.set(queue, (types = new Map()));
    let counts = types.get(type);
    if (!counts) types.set(type, (counts = Array<number>(FAILED_AT + 1).fill(0)));
    return counts;
  }

  function addOne(counts: number[], at: number): void {
    counts[at] = (counts[at] ?? 0) + 1;
  }

  return {
    ran({ queue, type }, ms) {
      addOne(countsOf(queue, type), stepOf(SPAN_SECONDS, ms / 1_000));
    },

    failed: (queue, type) => addOne(countsOf(queue, type), FAILED_AT),

    take(queue) {
      const types = byQueue.get(queue);
      if (!types) return { types: '', counts: [] };
      byQueue.delete(queue);
      const counts = fieldsOf('run').flatMap((field, at) => {
        const count = [...types.values()].reduce((sum, ofType) => sum + (ofType[at] ?? 0), 0);
        return count > 0 ? [field, count] : [];
      });
      return { types: JSON.stringify(Object.fromEntries(types)), counts };
    },
  };
}
