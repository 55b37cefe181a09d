// Shared by the three arithmetic tasks: two 32-bit integers in, one 32-bit integer out, and a long wait between.

import * as v from 'valibot';
import { PermanentError } from './permanent-error.ts';

const INT32_MIN = -(2 ** 31);
const INT32_MAX = 2 ** 31 - 1;

const int32 = v.pipe(v.number(), v.integer(), v.minValue(INT32_MIN), v.maxValue(INT32_MAX));

export const int32Pair = v.strictObject({ one: int32, two: int32 });

/** @throws PermanentError when the value does not fit into 32 bits: another attempt would fail the same way */
export function toInt32(value: number): number {
  if (value < INT32_MIN || value > INT32_MAX) {
    throw new PermanentError(`the result ${value} does not fit into a 32-bit integer`);
  }
  return value;
}

/** Blocks the calling thread for this many milliseconds, as work that never yields would. */
export function blockThread(durationMs: number): void {
  if (durationMs > 0) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, durationMs);
}
