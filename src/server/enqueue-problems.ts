// What sending tasks may be refused for.

import type { ErrorCode } from '../protocol/errors.ts';

export const ENQUEUE_PROBLEMS = [
  'malformed-body',
  'invalid-query',
  'unknown-type',
  'too-large',
  'unsupported-media-type',
  'idempotency-key-reused',
  'invalid-input',
  'invalid-header',
  'quota-exceeded',
  'queue-full',
  'redis-full',
] as const satisfies readonly ErrorCode[];
