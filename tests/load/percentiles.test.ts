import { expect, test } from 'vitest';
import { percentilesOf } from '../../src/load/percentiles.ts';

test('nothing measured has no percentiles', () => {
  expect(percentilesOf([])).toBeNull();
});

test('one duration is every percentile', () => {
  expect(percentilesOf([7])).toEqual({ p50: 7, p95: 7, p99: 7, max: 7 });
});

test('percentiles are taken by nearest rank, whatever the order', () => {
  const durations = Array.from({ length: 200 }, (_, index) => 200 - index);
  expect(percentilesOf(durations)).toEqual({ p50: 100, p95: 190, p99: 198, max: 200 });
});

test('numbers are ordered as numbers and rounded to hundredths', () => {
  expect(percentilesOf([10, 9, 2.34567])).toEqual({ p50: 9, p95: 10, p99: 10, max: 10 });
  expect(percentilesOf([2.34567])?.max).toBe(2.35);
});

test('the input stays as it was', () => {
  const durations = Object.freeze([3, 1, 2]);
  percentilesOf(durations);
  expect(durations).toEqual([3, 1, 2]);
});
