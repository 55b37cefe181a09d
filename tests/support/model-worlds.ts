// Random worlds for the model of a queue.

import fc from 'fast-check';
import { LANES } from '../../src/protocol/lane.ts';
import type { Step } from './model-steps.ts';

/** Worlds of 30 to 150 steps each; with several queues there are fewer, and some of these are all that a worker does in them while nothing goes wrong. */
export function worldsOf(workers: number, queues = 1): fc.Arbitrary<Step[]> {
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
        hears: fc.boolean(),
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
  const queue = fc.nat({ max: queues - 1 });
  const ofQueue = fc.tuple(step, queue).map(([one, at]): Step => Object.assign({ queue: at }, one));
  const length = { minLength: 30, maxLength: 150, size: 'max' } as const;
  if (queues === 1) return fc.array(ofQueue, length);
  const some = fc.oneof(
    { weight: 5, arbitrary: ofQueue.map((one) => [one]) },
    { weight: 1, arbitrary: worker.map((one) => serveAll(one, queues)) },
  );
  return fc.array(some, { ...length, maxLength: 100 }).map((parts) => parts.flat());
}

/** It takes what there is, ends it, and offers its places. */
function serveAll(worker: number, queues: number): Step[] {
  const each = Array.from({ length: queues }, (_, queue) => queue);
  return [
    ...each.flatMap((queue): Step[] => [
      { do: 'hear', worker, queue },
      { do: 'pop', worker, lost: 'no', want: 2, queue },
      { do: 'finish', worker, word: 'succeeded', count: 10, want: 0, lost: false, queue },
    ]),
    ...each.map((queue): Step => ({ do: 'beat', worker, queue })),
  ];
}
