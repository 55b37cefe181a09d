// Whose turn it is: the share that the lower lanes get, and how evenly.

import { expect, test } from 'vitest';
import type { Lane } from '../../src/protocol/lane.ts';
import { createLaneTurn } from '../../src/protocol/lane.ts';

function turns(lowPercent: number, count: number): Lane[] {
  const turn = createLaneTurn(lowPercent);
  return Array.from({ length: count }, () => turn());
}

test('strict priority by default', () => {
  expect(new Set(turns(0, 1_000))).toEqual(new Set(['high']));
});

test.each([1, 10, 25, 33, 50])('%i per cent begin at a lower lane, half of them at each', (percent) => {
  const all = turns(percent, 2_000);
  expect(all.filter((lane) => lane !== 'high')).toHaveLength(20 * percent);
  expect(all.filter((lane) => lane === 'low')).toHaveLength(10 * percent);
});

test.each([10, 33, 50])('at %i per cent no lower turn is far from the next', (percent) => {
  const lower = turns(percent, 1_000).flatMap((lane, at) => (lane === 'high' ? [] : [at]));
  const gaps = lower.slice(1).map((at, nth) => at - (lower[nth] ?? 0));
  expect(Math.max(...gaps)).toBeLessThanOrEqual(Math.ceil(100 / percent));
  expect(Math.min(...gaps)).toBeGreaterThanOrEqual(Math.floor(100 / percent));
});
