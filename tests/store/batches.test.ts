// Batches in random worlds. What the record counts is what there is, and what follows does once.

import fc from 'fast-check';
import type { Redis } from 'ioredis';
import { expect, test } from 'vitest';
import { createAcceptBatch } from '../../src/batches/accept-batch.ts';
import { encodeContent } from '../../src/protocol/message.ts';
import { createBatches, memberId, memberLink, memberMark } from '../../src/store/batches.ts';
import { confirmMembers } from '../../src/store/confirm-members.ts';
import { homeOf } from '../../src/store/keys.ts';
import { createProducer } from '../../src/store/producer.ts';
import { runScript } from '../../src/store/scripts.ts';
import { createSweeper } from '../../src/store/sweeper.ts';
import { AFTER, type BatchFlaws, BatchModel, type BatchStep, taskOf } from '../support/batch-model.ts';
import { buildFlawed } from '../support/flawed-scripts.ts';
import { buildScriptsWithClock, createModelClock } from '../support/model-clock.ts';
import { recordOf } from '../support/records.ts';
import { startStore, withStore } from '../support/store.ts';

const RUNS = Number(process.env['POPFLEET_MODEL_RUNS'] ?? 25);
const { client: store, redis } = await startStore(buildScriptsWithClock);
const SENDER = { key: undefined, queues: undefined, traceparent: undefined };

const how = {
  diesAfter: fc.constantFrom(undefined, undefined, 0, 1, 2, 3),
  twice: fc.boolean(),
  late: fc.boolean(),
};
const adding = {
  weight: 4,
  arbitrary: fc.record({ do: fc.constant('add'), count: fc.integer({ min: 1, max: 5 }), ...how }),
};
const later = [
  { weight: 1, arbitrary: fc.record({ do: fc.constant('close') }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constantFrom('late', 'sweep') }) },
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant('work'),
      queue: fc.nat({ max: 1 }),
      word: fc.constantFrom('succeeded', 'succeeded', 'dead'),
    }),
  },
  {
    weight: 10,
    arbitrary: fc.record({
      do: fc.constant('relay'),
      what: fc.constantFrom('take', 'go-on'),
      dies: fc.boolean(),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constantFrom('retry', 'retry', 'cancel', 'remove'),
      member: fc.nat({ max: 9 }),
    }),
  },
] as const;
const step = fc.oneof(adding, ...later) as fc.Arbitrary<BatchStep>;
/** A batch that comes with its tasks: its request is repeated, sooner and later. */
const wholeStep = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant('whole'), ...how }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('sweep'), ms: fc.integer({ min: 1, max: 40_000 }) }) },
  ...later,
) as fc.Arbitrary<BatchStep>;

async function playWhole(steps: readonly BatchStep[], client: Redis = store): Promise<void> {
  await client.flushall();
  const world = new BatchModel(client, await createModelClock(client), '', {});
  await world.run({ ...WHOLE, diesAfter: 1 });
  for (const one of steps) await world.run(one);
  await world.settle();
  await world.check(true);
}

async function play(
  steps: readonly BatchStep[],
  client: Redis = store,
  flaws: BatchFlaws = {},
): Promise<void> {
  await client.flushall();
  const clock = await createModelClock(client);
  const accept = {
    prepare: () => taskOf(AFTER),
    sendMany: async () => new Map(),
    admitQueue: async () => undefined,
  };
  const then = { success: { type: 'add' }, complete: { type: 'add' } };
  const call = Object.fromEntries([
    ['queue', 'home'],
    ['then', then],
  ]);
  const { id } = await createAcceptBatch({ accept, store: createBatches(client) }).open(
    call,
    undefined,
    SENDER,
  );
  const world = new BatchModel(client, clock, id, flaws);
  for (const one of steps) await world.run(one);
  await world.settle();
  await world.check();
}

test('whatever happens, the record counts what there is, and what follows does once', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 60 }), (steps) => play(steps)),
    { numRuns: RUNS },
  );
});

const WHOLE = { do: 'whole', diesAfter: undefined, twice: false, late: false } as const;

test('whatever happens, one that came with its tasks has all of them, or says how many are missing', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(wholeStep, { minLength: 5, maxLength: 40 }), (steps) => playWhole(steps)),
    { numRuns: RUNS },
  );
});

test('what is missing of one that came with its tasks is sent by a repeat within a minute', async () => {
  const progressAfter = async (ms: number): Promise<unknown> => {
    await playWhole([{ do: 'sweep', ms }, WHOLE]);
    const { records } = await createBatches(store).list(['home'], { limit: 1 });
    return records[0]?.progress;
  };
  expect(await progressAfter(50_000)).toMatchObject({ members: 6, succeeded: 6 });
  expect(await progressAfter(61_000)).toMatchObject({ members: 6, succeeded: 3, cancelled: 3, missing: 3 });
});

const ADD = { do: 'add', count: 2, diesAfter: undefined, twice: false, late: false } as const;
const TAKE: BatchStep = { do: 'relay', what: 'take', dies: false };
const GO_ON: BatchStep = { do: 'relay', what: 'go-on', dies: false };
const WORK: BatchStep = { do: 'work', queue: 0, word: 'succeeded' };
const TWICE: readonly BatchStep[] = [TAKE, { do: 'relay', what: 'go-on', dies: true }, GO_ON];

test('the worlds die without the bitmap', async () => {
  const steps: readonly BatchStep[] = [ADD, WORK, ...TWICE];
  await play(steps);
  const build = buildFlawed(
    "if not set_bit('ended', number, 1) then return end",
    "set_bit('ended', number, 1)",
  );
  const unnumbered = (): ReturnType<typeof build> => {
    const scripts = build();
    const { lua, keys } = scripts.batch;
    return {
      ...scripts,
      batch: {
        lua: lua.replace('if latest <= before then return end', '').replace('  clear(number)\n', ''),
        keys,
      },
    };
  };
  await withStore(redis.url, unnumbered, (flawed) => expect(play(steps, flawed)).rejects.toThrow());
});

test('the worlds die without the numbers of ends', async () => {
  const steps: readonly BatchStep[] = [
    { ...ADD, count: 1 },
    { do: 'work', queue: 0, word: 'dead' },
    TAKE,
    GO_ON,
    { do: 'retry', member: 0 },
    TAKE,
    { do: 'relay', what: 'go-on', dies: true },
    WORK,
    TAKE,
    GO_ON,
    // The retry is told again, after the end that followed it.
    { do: 'sweep' },
    TAKE,
    GO_ON,
  ];
  await play(steps);
  const build = buildFlawed('if latest > 1 then', 'if false then');
  await withStore(redis.url, build, (flawed) => expect(play(steps, flawed)).rejects.toThrow());
});

test('the worlds die without ids that derive from numbers', async () => {
  const steps: readonly BatchStep[] = [{ ...ADD, diesAfter: 3 }];
  await play(steps);
  await expect(play(steps, store, { newIds: true })).rejects.toThrow();
});

test('a member that was looked for in vain takes no key, and its sender learns of it', async () => {
  await store.flushall();
  const clock = await createModelClock(store);
  const queue = 'keyed';
  const batch = clock.newTaskId();
  const [id, mark] = [memberId(batch, 0), memberMark(queue, batch)];
  await runScript(store, 'void', homeOf(queue), [mark, id]);
  const producer = createProducer(store);
  const key = { key: 'order-1', digest: 'd'.repeat(32), windowMs: 86_400_000 };
  const task = { content: encodeContent('add', {}), lane: 'normal' } as const;
  const member = { ...task, id, extras: { key, mark, follower: memberLink(queue, batch, 0) } };
  const found = await producer.enqueue(queue, [member]);
  expect([...found]).toEqual([[0, { word: 'voided', id }]]);
  // Whoever comes next with the key has a task.
  const other = clock.newTaskId();
  expect([...(await producer.enqueue(queue, [{ ...task, id: other, extras: { key } }]))]).toEqual([]);
  expect(await recordOf(store, queue, other)).toMatchObject({ state: 'ready' });

  const batches = { ...createBatches(store), reserve: async () => ({ word: 'reserved', from: 0 }) as const };
  const accept = {
    prepare: () => {
      throw new Error('nothing follows');
    },
    admitQueue: async () => undefined,
    sendMany: async () => found,
  };
  const { add } = createAcceptBatch({ accept, store: batches });
  const prepared = { queue, task: { ...task, id }, isScheduled: false } as unknown as Parameters<
    typeof add
  >[2][0];
  await expect(add(queue, batch, [prepared])).rejects.toMatchObject({ code: 'redis-unavailable' });
});

test.each(['not json', '5', '[["a"]]', '[["a",-1]]'])(
  'numbers that are spoilt as %s hide no others from a sweep',
  async (spoilt) => {
    await store.flushall();
    const clock = await createModelClock(store);
    const home = 'spoilt';
    const batches = createBatches(store);
    const [first, second] = [clock.newTaskId(), clock.newTaskId()];
    for (const id of [first, second]) {
      await batches.open({ id, home }, 'd', {});
      await batches.reserve(home, id, [[home, 2]]);
    }
    const reserved = `pf:{${home}}:batch-reserved`;
    await store.hset(reserved, `${first} 0`, spoilt);
    await clock.advance(120_000);
    const settings = {
      leaseMs: 10_000,
      slice: 10,
      popGraceMs: 500,
      retentionMs: 1e9,
      retentionBytes: 0,
      periodMs: 50,
    };
    const { unconfirmedMembers } = await createSweeper(store, settings)(homeOf(home));
    expect(unconfirmedMembers).toEqual([
      { batch: first, from: 0, queues: [] },
      { batch: second, from: 0, queues: [[home, 2]] },
    ]);
    await confirmMembers(store, home, unconfirmedMembers);
    expect(await store.hlen(reserved)).toBe(0);
  },
);
