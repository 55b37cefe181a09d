// Random interleavings of everything that happens to a queue, on a real Redis with a clock that the test moves.
// POPFLEET_MODEL_RUNS sets how many worlds are tried (each of up to 150 steps); a failure prints its seed and steps.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { LANES } from '../../src/protocol/lane.ts';
import { queueKey } from '../support/queue-key.ts';
import { createProducer } from '../../src/store/producer.ts';
import { createModelClock, buildScriptsWithClock, watchScriptsClock } from '../support/model-clock.ts';
import { QUEUE, QueueModel, type Step } from '../support/queue-model.ts';
import { startStore } from '../support/store.ts';

const RUNS = Number(process.env['POPFLEET_MODEL_RUNS'] ?? 60);
const WORKERS = 3;

const { client } = await startStore(buildScriptsWithClock);
const producer = createProducer(client);

const worker = fc.nat({ max: WORKERS - 1 });
const want = fc.nat({ max: 4 });
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('enqueue'),
      count: fc.integer({ min: 1, max: 6 }),
      lane: fc.constantFrom(...LANES),
      delayMs: fc.constantFrom(0, 0, 0, 200, 900),
      ttlMs: fc.constantFrom(0, 0, 0, 300, 1_000),
      twice: fc.boolean(),
    }),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant('pop'),
      worker,
      lost: fc.constantFrom('no', 'no', 'pop', 'claim'),
      want,
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
        'failed',
        'snoozed',
        'released',
        'cancelled',
        'crashed',
      ),
      count: fc.integer({ min: 1, max: 4 }),
      want,
      lost: fc.oneof({ weight: 3, arbitrary: fc.constant(false) }, fc.constant(true)),
    }),
  },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('beat'), worker }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('crash'), worker }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constantFrom('cancel', 'replay'), task: fc.nat() }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('pause', 'resume', 'resume') }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constant('sweep') }) },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('advance'),
      ms: fc.constantFrom(30, 150, 450, 450, 1_100, -7, -2_500),
    }),
  },
) as fc.Arbitrary<Step>;

test('whatever happens in whatever order, nothing is lost and nothing is finished twice', {
  timeout: 20 * 60_000,
}, async () => {
  const seen = { steps: 0, tasks: 0, lostReplies: 0, crashes: 0 };
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 30, maxLength: 150, size: 'max' }), async (steps) => {
      await client.flushall();
      const model = new QueueModel(client, producer, await createModelClock(client), WORKERS);
      const checkClock = watchScriptsClock(client, queueKey(QUEUE));
      for (const one of steps) {
        await model.run(one);
        await model.checkConservation();
        await checkClock();
      }
      await model.settle();
      await model.checkEnd();
      seen.steps += steps.length;
      seen.tasks += model.accepted.length;
      seen.lostReplies += model.lostReplies;
      seen.crashes += model.crashes;
    }),
    { numRuns: RUNS, endOnFailure: false },
  );
  // The worlds were as bad as meant.
  expect(seen.steps).toBeGreaterThan(RUNS * 50);
  expect(seen.lostReplies).toBeGreaterThan(RUNS);
  expect(seen.crashes).toBeGreaterThan(RUNS / 2);
  console.info('interleavings', seen);
});
