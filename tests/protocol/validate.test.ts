// What a caller is told of a field that there is not, wherever it stands.

import * as v from 'valibot';
import { describe, expect, test } from 'vitest';
import { nearest } from '../../src/protocol/nearest.ts';
import { noList, validate } from '../../src/protocol/validate.ts';

const OPTIONS = ['priority', 'maxAttempts', 'timeoutMs', 'delayMs', 'queue', 'tags'];

test.each([
  ['priorty', 'priority'],
  ['prioriity', 'priority'],
  ['prioroty', 'priority'],
  ['pirority', 'priority'],
  ['maxattempts', 'maxAttempts'],
  ['attempts', 'maxAttempts'],
  ['timeout', 'timeoutMs'],
  ['delay', 'delayMs'],
  ['queues', 'queue'],
  ['tag', 'tags'],
  ['max', undefined],
  ['retries', undefined],
  ['', undefined],
  ['q', undefined],
])('%j most likely means %j', (written, meant) => {
  expect(nearest(written, OPTIONS)).toBe(meant);
});

describe('an unknown field', () => {
  const inner = v.strictObject({ baseMs: v.optional(v.number()), factor: v.optional(v.number()) });
  const wide = v.strictObject(Object.fromEntries(OPTIONS.map((name) => [name, v.optional(v.unknown())])));
  const variant = v.variant('kind', [v.strictObject({ kind: v.literal('a'), one: v.optional(v.number()) })]);

  test.each<[string, v.GenericSchema, unknown, string]>([
    ['of few', inner, { jitter: 1 }, '#/jitter is an unknown field (known: baseMs, factor)'],
    ['of many', wide, { retries: 1 }, '#/retries is an unknown field'],
    ['of many, nearly right', wide, { timeout: 1 }, '#/timeout is an unknown field (timeoutMs?)'],
    ['behind a pipe', noList(inner), { base: 1 }, '#/base is an unknown field (baseMs?)'],
    [
      'within another',
      v.object({ backoff: v.optional(inner) }),
      { backoff: { base: 1 } },
      '#/backoff/base is an unknown field (baseMs?)',
    ],
    ['in a list', v.array(inner), [{}, { facter: 1 }], '#/1/facter is an unknown field (factor?)'],
    [
      'in a record',
      v.record(v.string(), inner),
      { a: { facter: 1 } },
      '#/a/facter is an unknown field (factor?)',
    ],
    ['of a variant', variant, { kind: 'a', won: 1 }, '#/won is an unknown field (known: kind, one)'],
  ])('%s is named with what may be meant', (_, schema, value, fault) => {
    expect(() => validate(schema, value)).toThrow(
      expect.objectContaining({ code: 'invalid-input', message: `Correct these fields: ${fault}` }),
    );
  });
});
