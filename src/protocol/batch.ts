// What a caller says of a batch: tasks that are counted together, and what follows when all of them have ended.

import * as v from 'valibot';
import { callEntries } from './options.ts';
import { recordEntries } from './record-entries.ts';

/** Tasks of one request. */
const MOST_AT_ONCE = 10_000;

const { key: _key, keyWindowMs: _window, durability: _durability, queue, ...taskOptions } = callEntries;

const ThenEntries = { type: v.string(), input: v.optional(v.unknown()), queue, ...taskOptions };

export const BatchSchema = v.strictObject({
  ...recordEntries('batch'),
  queue: v.pipe(queue, v.description('The queue that keeps the record. Members may be in any.')),
  then: v.optional(
    v.strictObject({
      success: v.optional(
        v.pipe(
          v.strictObject(ThenEntries),
          v.description('The task that is accepted when all have succeeded.'),
        ),
      ),
      complete: v.optional(
        v.pipe(
          v.strictObject(ThenEntries),
          v.description('The task that is accepted when all have ended, however they did.'),
        ),
      ),
    }),
  ),
  tasks: v.optional(
    v.pipe(
      v.array(v.unknown(), 'must be an array of tasks'),
      v.maxLength(
        MOST_AT_ONCE,
        `must be at most ${MOST_AT_ONCE}: open a batch without tasks, and add them in parts`,
      ),
      v.description(
        'All of its tasks: it is closed at once. Without them it is open, and takes tasks until it is closed.',
      ),
    ),
  ),
});
export type BatchCall = v.InferOutput<typeof BatchSchema>;
export type BatchCallInput = v.InferInput<typeof BatchSchema>;
