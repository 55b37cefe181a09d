import fc from 'fast-check';
import { expect, test } from 'vitest';
import { backoffMs } from '../../src/protocol/backoff.ts';
import type { Backoff } from '../../src/protocol/options.ts';

const EXPONENTIAL: Backoff = {
  type: 'exponential',
  baseMs: 1_000,
  factor: 2,
  capMs: 300_000,
  jitter: 'none',
};
const FIXED: Backoff = { ...EXPONENTIAL, type: 'fixed' };

function delays(backoff: Backoff, failures: number, random?: () => number): number[] {
  return Array.from({ length: failures }, (_, at) => backoffMs(backoff, at + 1, random));
}

test('exponential: the base first, then the factor each time, up to the cap', () => {
  expect(delays(EXPONENTIAL, 11)).toEqual([
    1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 64_000, 128_000, 256_000, 300_000, 300_000,
  ]);
  expect(delays({ ...EXPONENTIAL, factor: 1.5, baseMs: 100 }, 4)).toEqual([100, 150, 225, 338]);
  expect(delays({ ...EXPONENTIAL, factor: 1 }, 3)).toEqual([1_000, 1_000, 1_000]);
});

test('fixed: the base each time, whatever the factor, but never more than the cap', () => {
  expect(delays({ ...FIXED, factor: 100 }, 3)).toEqual([1_000, 1_000, 1_000]);
  expect(delays({ ...FIXED, capMs: 400 }, 2)).toEqual([400, 400]);
});

test('nothing at all is a delay too', () => {
  expect(delays({ ...EXPONENTIAL, baseMs: 0 }, 3)).toEqual([0, 0, 0]);
  expect(delays({ ...EXPONENTIAL, capMs: 0 }, 3)).toEqual([0, 0, 0]);
  // The factor alone is beyond the range of a double here.
  expect(backoffMs({ ...EXPONENTIAL, baseMs: 0, factor: 100 }, 1_000)).toBe(0);
});

test('after any number of failures the delay is a number within the cap', () => {
  const most: Backoff = { ...EXPONENTIAL, baseMs: 2_592_000_000, factor: 100, capMs: 2_592_000_000 };
  expect(backoffMs(most, 1_000)).toBe(2_592_000_000);
  fc.assert(
    fc.property(
      fc.record<Backoff>({
        type: fc.constantFrom('fixed', 'exponential'),
        baseMs: fc.nat({ max: 2_592_000_000 }),
        factor: fc.double({ min: 1, max: 100, noNaN: true }),
        capMs: fc.nat({ max: 2_592_000_000 }),
        jitter: fc.constantFrom('full', 'none'),
      }),
      fc.integer({ min: 1, max: 1_000 }),
      (backoff, failures) => {
        const delay = backoffMs(backoff, failures);
        expect(Number.isSafeInteger(delay)).toBe(true);
        expect(delay).toBeGreaterThanOrEqual(0);
        expect(delay).toBeLessThanOrEqual(backoff.capMs);
      },
    ),
  );
});

test('full jitter takes any time between nothing and the whole delay', () => {
  const full: Backoff = { ...EXPONENTIAL, jitter: 'full' };
  expect(delays(full, 3, () => 0)).toEqual([0, 0, 0]);
  expect(delays(full, 3, () => 0.5)).toEqual([500, 1_000, 2_000]);
  expect(delays(full, 3, () => 0.999_999)).toEqual([1_000, 2_000, 4_000]);
  expect(delays({ ...FIXED, jitter: 'full' }, 2, () => 0.25)).toEqual([250, 250]);
});

test('full jitter is spread evenly, by a source of chance of its own', () => {
  const drawn = Array.from({ length: 4_000 }, () => backoffMs({ ...EXPONENTIAL, jitter: 'full' }, 4));
  const quarters = [0, 1, 2, 3].map(
    (at) => drawn.filter((delay) => Math.floor(delay / 2_000.5) === at).length,
  );
  // 1,000 expected in each; less than one in a million lie farther off than this.
  for (const count of quarters) expect(Math.abs(count - 1_000)).toBeLessThan(150);
});
