// Words of the dashboard for figures.

import { expect, test } from 'vitest';
import { DURATION_STEPS, toDuration, toRate } from '../../src/ui/format.ts';

test.each([
  [0, '0 ms'],
  [-5, '0 ms'],
  // The ticks of an axis up to 1 ms, and the wait of a task that an idle worker got at once.
  [0.5, '0.5 ms'],
  [1.84, '1.8 ms'],
  [3.02, '3 ms'],
  [84.4, '84 ms'],
  [1_499, '1.4 s'],
  [125_000, '2 min 5 s'],
  [10_800_000, '3 h'],
])('%d ms', (ms, words) => {
  expect(toDuration(ms)).toBe(words);
});

test.each([
  [0, '0'],
  [0.0042, '0.0042'],
  [0.42, '0.42'],
  [3.14, '3.1'],
  [1_234.5, '1,235'],
])('%d tasks a second', (rate, words) => {
  expect(toRate(rate)).toBe(words);
});

test('ticks of an axis of durations are times that people say, each with words of its own', () => {
  const words = DURATION_STEPS.map(toDuration);
  expect(new Set(words).size).toBe(words.length);
  expect(words).toEqual(expect.arrayContaining(['0.5 ms', '15 s', '2 min', '6 h', '30 d']));
  expect(words.filter((one) => one.split(' ').length > 2)).toEqual([]);
});
