// Random interleavings of everything that happens to a queue, on a real Redis with a clock that the test moves.
// POPFLEET_MODEL_RUNS sets how many worlds are tried (each of up to 150 steps); a failure prints its seed and steps.

import fc from 'fast-check';
import type { Redis } from 'ioredis';
import { afterAll, expect, test } from 'vitest';
import { createProducer } from '../../src/store/producer.ts';
import type { buildScripts } from '../../src/store/scripts.ts';
import { openEars } from '../support/ears.ts';
import { buildFlawed } from '../support/flawed-scripts.ts';
import { HANDS } from '../support/hand-worlds.ts';
import { buildScriptsWithClock, createModelClock } from '../support/model-clock.ts';
import type { Step } from '../support/model-steps.ts';
import { worldsOf } from '../support/model-worlds.ts';
import { QueuesModel } from '../support/queues-model.ts';
import { type ModelFlaws, nextOf } from '../support/relay-model.ts';
import { limitMemory } from '../support/servers-of.ts';
import { startStore, withStore } from '../support/store.ts';

const RUNS = Number(process.env['POPFLEET_MODEL_RUNS'] ?? 30);
const WORKERS = 3;
const QUEUES = ['model', 'model-b'];

const { client, redis } = await startStore(buildScriptsWithClock);

/** In a cluster nothing is handed over: a script cannot tell who listens to another node. */
const isCluster = process.env['POPFLEET_TOPOLOGY'] === 'cluster';
const hands = isCluster ? {} : HANDS;
const ears = isCluster ? undefined : await openEars(client);
afterAll(() => ears?.disconnect());

/** Lives through one world, and checks it at every step and at its end. */
async function liveThrough(
  steps: readonly Step[],
  store: Redis,
  flaws: ModelFlaws = {},
): Promise<QueuesModel> {
  await limitMemory(store, '0');
  await store.flushall();
  await ears?.closeAll();
  const number = 1 + Math.max(0, ...steps.map(({ queue = 0 }) => queue));
  const names = QUEUES.slice(0, number);
  const clock = await createModelClock(store, 1_000_000, [...names, ...names.map(nextOf)]);
  const producer = createProducer(store);
  const model = new QueuesModel(names, { client: store, producer, clock, workers: WORKERS, flaws, ears });
  await model.open();
  for (const one of steps) await model.run(one);
  await model.settle();
  await model.checkEnd();
  return model;
}

/** What has happened in all worlds of a round. */
interface Seen {
  readonly steps: number;
  readonly tasks: number;
  readonly lostReplies: number;
  readonly crashes: number;
  readonly followed: number;
  readonly refused: number;
  readonly handed: number;
}

async function liveThroughWorlds(queues: number, numRuns: number): Promise<Seen> {
  const seen = { steps: 0, tasks: 0, lostReplies: 0, crashes: 0, followed: 0, refused: 0, handed: 0 };
  await fc.assert(
    fc.asyncProperty(worldsOf(WORKERS, queues), async (steps) => {
      const model = await liveThrough(steps, client);
      seen.steps += steps.length;
      seen.tasks += model.sum(({ accepted }) => accepted.length);
      seen.lostReplies += model.sum(({ lostReplies }) => lostReplies);
      seen.crashes += model.sum(({ crashes }) => crashes);
      seen.followed += model.sum(({ relays }) => relays.expected);
      seen.refused += model.sum(({ refused }) => refused);
      seen.handed += model.sum(({ handed }) => handed);
    }),
    { numRuns, endOnFailure: false },
  );
  console.info('interleavings', seen);
  return seen;
}

test('whatever happens in whatever order, nothing is lost, finished twice or followed twice', {
  timeout: 20 * 60_000,
}, async () => {
  let seen = await liveThroughWorlds(1, RUNS);
  // By chance, once in some hundred rounds, a few worlds hardly fill Redis: then there is another round.
  for (let round = 1; round < 3 && seen.refused <= RUNS / 4; round += 1)
    seen = await liveThroughWorlds(1, RUNS);
  // The worlds were as bad as meant; a few may all be kind.
  if (RUNS < 30) return;
  expect(seen.steps).toBeGreaterThan(RUNS * 50);
  expect(seen.lostReplies).toBeGreaterThan(RUNS);
  expect(seen.crashes).toBeGreaterThan(RUNS / 2);
  expect(seen.followed).toBeGreaterThan(RUNS);
  expect(seen.refused).toBeGreaterThan(RUNS / 4);
  if (ears) expect(seen.handed).toBeGreaterThan(RUNS / 2);
});

test('nor in several queues of the same workers', { timeout: 20 * 60_000 }, async () => {
  const { handed } = await liveThroughWorlds(2, Math.ceil(RUNS / 3));
  if (ears && RUNS >= 30) expect(handed).toBeGreaterThan(0);
});

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
  tagged: false,
};

test('a task that was followed, and is gone, is followed again in the same millisecond', async () => {
  await liveThrough(
    [
      FOLLOWED,
      ...runsOnce('succeeded'),
      { do: 'sweep' },
      { do: 'remove', task: 0 },
      { do: 'follow', task: 0, unknown: false },
      { do: 'sweep' },
      { do: 'follow', task: 0, unknown: false },
    ],
    client,
  );
});

test.each(Object.entries(hands))('hand-over: %s', async (_, steps) => {
  const model = await liveThrough(steps, client);
  expect(model.sum(({ handed, crashes }) => handed + crashes)).toBeGreaterThan(0);
});

const handsOf = (name: string): readonly Step[] => hands[name] ?? [];

/** Worlds in which it matters, each with what is left out. */
const CONTROLS: readonly (readonly [string, readonly Step[], typeof buildScripts, ModelFlaws])[] = [
  [
    'the number of ends',
    [FOLLOWED, ...runsOnce('dead'), { do: 'replay', task: 0 }, ...runsOnce('succeeded')],
    buildFlawed('Q.count_up(Q.ENDS, id, Q.NOW_TEXT)', '1'),
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
    buildFlawed(' or Q.marked[id]', ''),
    {},
  ],
  [
    'the index of rows that go',
    [{ ...FOLLOWED, followed: false, tagged: true }, ...runsOnce('succeeded'), { do: 'remove', task: 0 }],
    buildFlawed('do Q.unindex(column, ids) end', 'do local _ = column end'),
    {},
  ],
  [
    'the index of dead letters that run again',
    [FOLLOWED, ...runsOnce('dead'), { do: 'replay', task: 0 }],
    buildFlawed('Q.unindex(Q.DEAD_TERMS, { id })', ''),
    {},
  ],
  [
    'the numbers of hands',
    handsOf('a hand that is read after `held` has brought its task, and that has run'),
    buildScriptsWithClock,
    { noNumbers: true },
  ],
  [
    'the check of its renewal',
    handsOf('a hand in the socket of a worker whose lease ends before it reads that'),
    buildScriptsWithClock,
    { noRenewalCheck: true },
  ],
  [
    'the void of hands of a forgotten worker',
    handsOf('the same, and it beats before it reads that'),
    buildScriptsWithClock,
    { noVoid: true },
  ],
  [
    'the check of the connection',
    handsOf('a worker that is killed while it is idle'),
    buildFlawed('if Q.listeners(channel) == 0 then', 'if false then'),
    {},
  ],
  [
    'the check of the age of a hand',
    handsOf('a hand in the socket of a worker that is frozen until it has gone back'),
    buildScriptsWithClock,
    { noAgeCheck: true },
  ],
  [
    'the stop of what nobody has heard of',
    handsOf('a worker that is cut off in the moment in which it begins what it was handed'),
    buildScriptsWithClock,
    { noStop: true },
  ],
  [
    'the second look at what was handed over',
    handsOf('a Redis whose clock is set forward before it has read that a hand was heard'),
    buildFlawed(
      '  if hands.looked > 0 then\n    give_back',
      '  hands.looked = Q.NOW if true then\n    give_back',
    ),
    {},
  ],
  [
    'the way back of what a worker that is gone was handed',
    handsOf('a worker that is killed with a hand in its socket'),
    buildFlawed('local look_at = hands and look(worker, hands, sweep)', 'local look_at = nil'),
    {},
  ],
  [
    'the way back of what was popped, and finds no place',
    handsOf('several queues: tasks that are handed over while a pop of another queue is on its way'),
    buildFlawed('if free then back = put_back', 'if false then back = put_back'),
    {},
  ],
  [
    'the claim that lowers the offer',
    handsOf('several queues: a message of another program that fills a place, and then tasks for all places'),
    buildFlawed(
      'if hands then Q.offer(worker, hands, free and free - unseen - math',
      'if false then Q.offer(0, 0, math',
    ),
    {},
  ],
  [
    'one queue at a time in which places are offered',
    handsOf('several queues: tasks for all places, in each of them'),
    buildScriptsWithClock,
    { offersEverywhere: true },
  ],
  [
    'the withdrawal of places before they are offered in another queue',
    handsOf('several queues: the same, when it wants to offer its places in the other one'),
    buildScriptsWithClock,
    { changesAtOnce: true },
  ],
  [
    'the word before it begins',
    [
      { ...FOLLOWED, count: 2, followed: false },
      { do: 'pop', worker: 0, lost: 'no', want: 0 },
      { do: 'advance', ms: 30 },
      { do: 'pop', worker: 0, lost: 'no', want: 0, ahead: true },
      { do: 'crash', worker: 0 },
    ],
    buildScriptsWithClock,
    { beginsUntold: true },
  ],
  [
    "the sweep's relay",
    [FOLLOWED, ...runsOnce('succeeded')],
    buildScriptsWithClock,
    { noRelayBySweep: true },
  ],
];

test.each(CONTROLS.filter(([, steps]) => steps.length > 0))(
  'the model dies without %s',
  async (_, steps, build, flaws) => {
    await liveThrough(steps, client);
    await withStore(redis.url, build, (flawed) =>
      expect(liveThrough(steps, flawed, flaws)).rejects.toThrow(),
    );
  },
);
