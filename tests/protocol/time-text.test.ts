// Times as answers show them, whatever is stored.

import { expect, it } from 'vitest';
import { LAST_INSTANT_MS, LONGEST_DELAY_MS } from '../../src/protocol/instant.ts';
import { readTick } from '../../src/protocol/message.ts';
import { toOptionalTime, toTime } from '../../src/protocol/time-text.ts';
import { RetryLater } from '../../src/tasks/retry-later.ts';

it.each<[number, string]>([
  [0, '1970-01-01T00:00:00.000Z'],
  [1_795_000_000_123, '2026-11-18T11:06:40.123Z'],
  [LAST_INSTANT_MS, '9999-12-31T23:59:59.999Z'],
  [LAST_INSTANT_MS + 1, '9999-12-31T23:59:59.999Z'],
  [8.64e15 + 1, '9999-12-31T23:59:59.999Z'],
  [1e300, '9999-12-31T23:59:59.999Z'],
  [Number.POSITIVE_INFINITY, '9999-12-31T23:59:59.999Z'],
  [-1, '1970-01-01T00:00:00.000Z'],
  [Number.NaN, '1970-01-01T00:00:00.000Z'],
])('case 51: %d ms is shown as %s', (ms, text) => {
  expect(toTime(ms)).toBe(text);
  expect(toOptionalTime(ms)).toBe(Number.isNaN(ms) ? undefined : text);
});

it('case 51: a handler cannot ask for a time that cannot be kept', () => {
  expect(new RetryLater(LONGEST_DELAY_MS).delayMs).toBe(LONGEST_DELAY_MS);
  for (const delayMs of [LONGEST_DELAY_MS + 1, 1e300, Number.POSITIVE_INFINITY, Number.NaN, -1]) {
    expect(() => new RetryLater(delayMs), String(delayMs)).toThrow(RangeError);
  }
});

it.each([9_007_199_254_740_991, LAST_INSTANT_MS + 1, -1, 1.5, Number.NaN, '5', null])(
  'case 51: a tick that was due at %s ms is none',
  (due) => {
    expect(readTick({ schedule: { name: 'nightly', due } })).toBeUndefined();
  },
);
