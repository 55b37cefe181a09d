// Random interleavings of everything that happens to a queue, on a real Redis with a clock that the test moves.
// POPFLEET_MODEL_RUNS sets how many worlds are tried (each of up to 150 steps); a failure prints its seed and steps.

import fc from 'fast-check';
import type { Redis } from 'ioredis';
import { expect, test } from 'vitest';
import { LANES } from '../../src/protocol/lane.ts';
import { queueKey } from '../support/queue-key.ts';
import { createProducer } from '../../src/store/producer.ts';
import type { buildScripts } from '../../src/store/scripts.ts';
import { createModelClock, buildScriptsWithClock, watchScriptsClock } from '../support/model-clock.ts';
import type { Step } from '../support/model-steps.ts';
import { QUEUE, QueueModel } from '../support/queue-model.ts';
import type { ModelFlaws } from '../support/relay-model.ts';
import { openStore, startStore } from '../support/store.ts';

const RUNS = Number(process.env['POPFLEET_MODEL_RUNS'] ?? 60);
const WORKERS = 3;

const { client, redis } = await startStore(buildScriptsWithClock);

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
      followed: fc.boolean(),
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

const worlds = fc.array(step, { minLength: 30, maxLength: 150, size: 'max' });

/** Lives through one world, and checks it at every step and at its end. */
async function liveThrough(
  steps: readonly Step[],
  store: Redis,
  flaws: ModelFlaws = {},
): Promise<QueueModel> {
  await store.config('SET', 'maxmemory', '0');
  await store.flushall();
  const model = new QueueModel(store, createProducer(store), await createModelClock(store), WORKERS, flaws);
  const checkClock = watchScriptsClock(store, queueKey(QUEUE));
  for (const one of steps) {
    await model.run(one);
    await model.checkConservation();
    await checkClock();
  }
  await model.settle();
  await model.checkEnd();
  return model;
}

test('whatever happens in whatever order, nothing is lost, finished twice or followed twice', {
  timeout: 20 * 60_000,
}, async () => {
  const seen = { steps: 0, tasks: 0, lostReplies: 0, crashes: 0, followed: 0, refused: 0 };
  await fc.assert(
    fc.asyncProperty(worlds, async (steps) => {
      const model = await liveThrough(steps, client);
      seen.steps += steps.length;
      seen.tasks += model.accepted.length;
      seen.lostReplies += model.lostReplies;
      seen.crashes += model.crashes;
      seen.followed += model.relays.expected;
      seen.refused += model.refused;
    }),
    { numRuns: RUNS, endOnFailure: false },
  );
  // The worlds were as bad as meant.
  expect(seen.steps).toBeGreaterThan(RUNS * 50);
  expect(seen.lostReplies).toBeGreaterThan(RUNS);
  expect(seen.crashes).toBeGreaterThan(RUNS / 2);
  expect(seen.followed).toBeGreaterThan(RUNS);
  expect(seen.refused).toBeGreaterThan(RUNS / 4);
  console.info('interleavings', seen);
});

/** The scripts with one line of them changed. */
function buildFlawed(from: string, to: string): typeof buildScripts {
  return (build) => {
    const scripts = buildScriptsWithClock(build);
    let changed = 0;
    const flawed = Object.entries(scripts).map(([name, source]) => {
      const lua = source.lua.replace(from, to);
      if (lua !== source.lua) changed += 1;
      return [name, { ...source, lua }];
    });
    if (changed === 0) throw new Error(`no script has the line ${from}`);
    return Object.fromEntries(flawed) as ReturnType<typeof buildScripts>;
  };
}

/** A followed task begins to run, and ends so. */
function runsOnce(word: 'succeeded' | 'dead'): readonly Step[] {
  return [
    { do: 'pop', worker: 0, lost: 'no', want: 0 },
    { do: 'finish', worker: 0, word, count: 1, want: 0, lost: false },
  ];
}

const FOLLOWED: Step = {
  do: 'enqueue',
  count: 1,
  lane: 'normal',
  delayMs: 0,
  ttlMs: 0,
  twice: false,
  followed: true,
};

/** Worlds in which it matters, each with what is left out. */
const CONTROLS: readonly (readonly [string, readonly Step[], typeof buildScripts, ModelFlaws])[] = [
  [
    'the number of ends',
    [FOLLOWED, ...runsOnce('dead'), { do: 'replay', task: 0 }, ...runsOnce('succeeded')],
    buildFlawed("redis.call('HINCRBY', Q.ENDS, id, 1)", '1'),
    {},
  ],
  [
    'the marks',
    [
      FOLLOWED,
      ...runsOnce('succeeded'),
      { do: 'relay', relay: 0, what: 'take', dies: 'no' },
      { do: 'relay', relay: 0, what: 'go-on', dies: 'before-note' },
      { do: 'drop-followers' },
    ],
    buildFlawed('(extras.mark and Q.is_marked(id, extras.mark))', 'false'),
    {},
  ],
  [
    "the sweep's relay",
    [FOLLOWED, ...runsOnce('succeeded')],
    buildScriptsWithClock,
    { noRelayBySweep: true },
  ],
];

test.each(CONTROLS)('the model dies without %s', async (_, steps, build, flaws) => {
  await liveThrough(steps, client);
  const flawed = await openStore(redis.url, build);
  try {
    await expect(liveThrough(steps, flawed, flaws)).rejects.toThrow();
  } finally {
    flawed.disconnect();
  }
});
