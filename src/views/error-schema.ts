// The error of a task as callers see it.

import * as v from 'valibot';
import { type ErrorCause, KILL_CAUSES } from '../protocol/task-error.ts';
import { named, refTo } from './component.ts';

const errorEntries = {
  name: v.string(),
  message: v.string(),
  code: v.exactOptional(
    v.pipe(
      v.string(),
      v.description('its code, errno, status or statusCode, such as `ECONNREFUSED`, `23505` or `404`'),
    ),
  ),
  stack: v.exactOptional(v.string()),
};

const DeeperCause = v.pipe(
  v.custom<ErrorCause>(() => true),
  v.metadata({ $ref: refTo('ErrorCause') }),
);
const CauseSchema = named(
  'ErrorCause',
  v.object({
    ...errorEntries,
    cause: v.exactOptional(v.pipe(DeeperCause, v.description('its own cause'))),
    errors: v.exactOptional(v.pipe(v.array(DeeperCause), v.description('its own errors'))),
  }),
);

export const ErrorSchema = v.object({
  ...errorEntries,
  cause: v.exactOptional(v.pipe(CauseSchema, v.description('what caused it'))),
  errors: v.exactOptional(
    v.pipe(v.array(CauseSchema), v.description('the errors of an `AggregateError`, the first ten')),
  ),
  fingerprint: v.exactOptional(v.pipe(v.string(), v.description('equal for failures with the same cause'))),
  killCause: v.exactOptional(
    v.pipe(v.picklist(KILL_CAUSES), v.description('set when its thread was ended from outside, or under it')),
  ),
  killLatencyMs: v.exactOptional(v.number()),
});

export const NamedError = named('TaskError', ErrorSchema);
