// Random worlds for the model of a queue.

import fc from 'fast-check';
import { LANES } from '../../src/protocol/lane.ts';
import type { Step } from './model-steps.ts';

/** Worlds of 30 to 150 steps each. */
export function worldsOf(workers: number): fc.Arbitrary<Step[]> {
  const worker = fc.nat({ max: workers - 1 });
  const want = fc.nat({ max: 4 });
  const step = fc.oneof(
    {
      weight: 5,
      arbitrary: fc.record({
        do: fc.constant('enqueue'),
        count: fc.integer({ min: 1, max: 6 }),
        lane: fc.constantFrom(...LANES),
        delayMs: fc.constantFrom(0, 0, 0, 200, 900),
        ttlMs: fc.constantFrom(0, 0, 0, 300, 1_000),
        twice: fc.boolean(),
        followed: fc.boolean(),
        tagged: fc.boolean(),
      }),
    },
    {
      weight: 8,
      arbitrary: fc.record({
        do: fc.constant('pop'),
        worker,
        lost: fc.constantFrom('no', 'no', 'pop', 'claim'),
        want,
        ahead: fc.boolean(),
      }),
    },
    {
      weight: 8,
      arbitrary: fc.record({
        do: fc.constant('finish'),
        worker,
        word: fc.constantFrom(
          'succeeded',
          'succeeded',
          'succeeded',
          'dead',
          'dead',
          'failed',
          'snoozed',
          'released',
          'unbegun',
          'cancelled',
          'crashed',
        ),
        count: fc.integer({ min: 1, max: 4 }),
        want,
        lost: fc.oneof({ weight: 3, arbitrary: fc.constant(false) }, fc.constant(true)),
        ahead: fc.boolean(),
      }),
    },
    { weight: 6, arbitrary: fc.record({ do: fc.constant('beat'), worker }) },
    {
      weight: 8,
      arbitrary: fc.record({
        do: fc.constant('hear'),
        worker,
        lost: fc.constantFrom('no', 'no', 'no', 'request', 'reply'),
      }),
    },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('leave'), worker }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('crash'), worker }) },
    {
      weight: 3,
      arbitrary: fc.record({ do: fc.constantFrom('cancel', 'replay', 'replay', 'remove'), task: fc.nat() }),
    },
    {
      weight: 6,
      arbitrary: fc.record({
        do: fc.constant('relay'),
        relay: fc.nat({ max: 1 }),
        what: fc.constantFrom('take', 'go-on'),
        dies: fc.constantFrom('no', 'before-send', 'before-note', 'before-note'),
      }),
    },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('follow'), task: fc.nat(), unknown: fc.boolean() }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('drop-followers') }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('fill', 'drain', 'drain') }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('pause', 'resume', 'resume') }) },
    { weight: 5, arbitrary: fc.record({ do: fc.constant('sweep') }) },
    {
      weight: 5,
      arbitrary: fc.record({
        do: fc.constant('advance'),
        ms: fc.constantFrom(30, 150, 450, 450, 1_100, 700_000, -7, -2_500),
      }),
    },
  ) as fc.Arbitrary<Step>;
  return fc.array(step, { minLength: 30, maxLength: 150, size: 'max' });
}
