// The task "add": the sum of two 32-bit integers, after a long wait.

import { defineTask, type TaskDefinition } from './define.ts';
import { blockThread, int32Pair, toInt32 } from './int32.ts';

/** @param durationMs how long the handler blocks its thread */
export function createAdd(durationMs: number): TaskDefinition<{ one: number; two: number }, number> {
  return defineTask({
    type: 'add',
    input: int32Pair,
    run({ one, two }) {
      blockThread(durationMs);
      return toInt32(one + two);
    },
  });
}
