// What sending tasks may be refused for.

import { type ErrorCode, PopfleetError } from '../protocol/errors.ts';
import type { Registry } from '../tasks/registry.ts';

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

export function unknownType(registry: Registry, type: string): PopfleetError {
  const known = [...registry.keys()].slice(0, 20).join(', ');
  return new PopfleetError(
    'unknown-type',
    `There is no task type "${type.slice(0, 64)}". Known types: ${known}.`,
  );
}
