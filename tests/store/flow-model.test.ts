// Random worlds of workflows, on a real Redis with a clock that the test moves. POPFLEET_FLOW_RUNS sets how many are tried; a failure
// prints its seed and steps.

import fc from 'fast-check';
import type { Redis } from 'ioredis';
import { expect, test } from 'vitest';
import { createProducer } from '../../src/store/producer.ts';
import { type FlowFlaws, FlowModel } from '../support/flow-model.ts';
import type { FlowStep } from '../support/flow-steps.ts';
import { buildFlawed } from '../support/flawed-scripts.ts';
import { buildScriptsWithClock, createModelClock } from '../support/model-clock.ts';
import { startStore, withStore } from '../support/store.ts';

const RUNS = Number(process.env['POPFLEET_FLOW_RUNS'] ?? 25);

const { client, redis } = await startStore(buildScriptsWithClock);

const faults = fc.record({
  diesAfter: fc.oneof({ weight: 3, arbitrary: fc.constant(undefined) }, fc.integer({ min: 0, max: 5 })),
  twice: fc.boolean(),
});
const queue = fc.nat({ max: 1 });
const flow = fc.nat({ max: 5 });
const node = fc.record({
  needs: fc.nat({ max: 63 }),
  policy: fc.constantFrom('fail', 'fail', 'run', 'cancel'),
  queue,
});
const step = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('start'),
      graph: fc.array(node, { minLength: 1, maxLength: 6 }),
      cancelSiblings: fc.oneof({ weight: 4, arbitrary: fc.constant(false) }, fc.constant(true)),
      faults,
    }),
  },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('retry'), flow, faults }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('cancel', 'late-commit', 'late-commit'), flow }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom('cancel-task', 'remove-task'), task: fc.nat() }) },
  {
    weight: 10,
    arbitrary: fc.record({
      do: fc.constant('work'),
      queue,
      want: fc.integer({ min: 1, max: 4 }),
      word: fc.constantFrom('succeeded', 'succeeded', 'dead', 'crash'),
    }),
  },
  {
    weight: 14,
    arbitrary: fc.record({
      do: fc.constant('relay'),
      queue,
      what: fc.constantFrom('take', 'go-on'),
      dies: fc.constantFrom('no', 'no', 'before-note'),
    }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('sweep') }) },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('go-on'), word: fc.constantFrom('succeeded', 'dead', 'dead') }),
  },
  {
    weight: 5,
    arbitrary: fc.record({ do: fc.constant('advance'), ms: fc.constantFrom(30, 450, 2_500, 20_000, 70_000) }),
  },
) as fc.Arbitrary<FlowStep>;
const worlds = fc.array(step, { minLength: 20, maxLength: 80, size: 'max' });

async function liveThrough(
  steps: readonly FlowStep[],
  store: Redis,
  flaws: FlowFlaws = {},
): Promise<FlowModel> {
  await store.flushall();
  const model = new FlowModel(store, createProducer(store), await createModelClock(store), flaws);
  for (const one of steps) {
    await model.run(one);
    await model.checkConservation();
  }
  await model.settle();
  await model.checkEnd();
  return model;
}

test('whatever happens, each step begins when its needs are met, once, and none waits for ever', {
  timeout: 20 * 60_000,
}, async () => {
  const seen = { flows: 0, starts: 0, deaths: 0, retried: 0 };
  await fc.assert(
    fc.asyncProperty(worlds, async (steps) => {
      const model = await liveThrough(steps, client);
      seen.flows += model.flows.length;
      seen.starts += model.starts;
      seen.deaths += model.deaths;
      seen.retried += model.retried;
    }),
    { numRuns: RUNS, endOnFailure: false },
  );
  // The worlds were as bad as meant.
  expect(seen.starts).toBeGreaterThan(RUNS * 3);
  expect(seen.deaths).toBeGreaterThan(RUNS / 5);
  expect(seen.retried).toBeGreaterThan(RUNS / 12);
  console.info('workflows', seen);
});

const CALM = { diesAfter: undefined, twice: false };
const CHAIN = [
  { needs: 0, policy: 'fail', queue: 0 },
  { needs: 1, policy: 'fail', queue: 1 },
] as const;
const START: FlowStep = { do: 'start', graph: CHAIN, cancelSiblings: false, faults: CALM };
const RELAYED: readonly FlowStep[] = [
  { do: 'relay', queue: 0, what: 'take', dies: 'no' },
  { do: 'relay', queue: 0, what: 'go-on', dies: 'no' },
];

/** Worlds in which it matters, each with what is left out. */
const CONTROLS: readonly (readonly [string, readonly FlowStep[], typeof buildScriptsWithClock, FlowFlaws])[] =
  [
    [
      'generations',
      [
        START,
        ...RELAYED,
        { do: 'work', queue: 0, want: 1, word: 'dead' },
        // This relay comes late: it tells of the end before the retry once more.
        { do: 'relay', queue: 0, what: 'take', dies: 'no' },
        { do: 'relay', queue: 0, what: 'go-on', dies: 'before-note' },
        { do: 'advance', ms: 2_500 },
        { do: 'sweep' },
        { do: 'sweep' },
        { do: 'retry', flow: 0, faults: CALM },
      ],
      buildFlawed("number = step and 'g' .. step.generation or nil", "number = step and 'g1' or nil"),
      {},
    ],
    [
      'the commit',
      [{ ...START, faults: { diesAfter: 1, twice: false } }],
      buildScriptsWithClock,
      { noCommit: true },
    ],
  ];

test.each(CONTROLS)('the model dies without %s', async (_, steps, build, flaws) => {
  await liveThrough(steps, client);
  await withStore(redis.url, build, (flawed) => expect(liveThrough(steps, flawed, flaws)).rejects.toThrow());
});
