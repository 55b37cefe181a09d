// Percentiles of counts a step of time.

import { expect, test } from 'vitest';
import { fieldsOf, percentileMs, SPAN_FIELDS, SPAN_SECONDS } from '../../src/store/spans.ts';

const counts = (...some: readonly (readonly [step: number, count: number])[]): number[] => {
  const all = SPAN_SECONDS.map(() => 0).concat(0);
  for (const [step, count] of some) all[step] = count;
  return all;
};

test('within a step times are spread evenly; nothing is known of none, and of what is longer than all only that', () => {
  expect(percentileMs(counts(), 0.5)).toBeUndefined();
  expect(percentileMs(counts([0, 4]), 0.5)).toBe(2.5);
  expect(percentileMs(counts([0, 4]), 1)).toBe(5);
  expect(percentileMs(counts([0, 50], [7, 50]), 0.75)).toBe(750);
  expect(percentileMs(counts([0, 0.5], [7, 0.5]), 0.75)).toBe(750);
  expect(percentileMs(counts([0, 1], [16, 9]), 0.5)).toBe(3_600_000);
});

test('a field for each step of waits and of runs', () => {
  expect(SPAN_FIELDS).toHaveLength(34);
  expect([SPAN_FIELDS[0], fieldsOf('wait')[16], fieldsOf('run')[0], SPAN_FIELDS.at(-1)]).toEqual([
    'wait-0',
    'wait-16',
    'run-0',
    'run-16',
  ]);
});
