// The task "multiply": the product of two 32-bit integers, after a long wait.

import { defineTask, type TaskDefinition } from './define.ts';
import { blockThread, int32Pair, toInt32 } from './int32.ts';

/** @param durationMs how long the handler blocks its thread */
export function createMultiply(durationMs: number): TaskDefinition<{ one: number; two: number }, number> {
  return defineTask({
    type: 'multiply',
    input: int32Pair,
    run({ one, two }) {
      blockThread(durationMs);
      return toInt32(one * two);
    },
  });
}
