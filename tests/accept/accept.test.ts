// The one way in, without a server: what a call becomes, who is let in, and what Redis has then.

import { afterEach, describe, expect, it, test } from 'vitest';
import * as v from 'valibot';
import { type Accept, createAccept } from '../../src/accept/accept.ts';
import { positionOf, type Prepared, type Sender } from '../../src/accept/new-task.ts';
import { PopfleetError } from '../../src/protocol/errors.ts';
import type { Call } from '../../src/protocol/options.ts';
import type { TaskSchedule } from '../../src/protocol/schedule.ts';
import { createCapacity } from '../../src/store/capacity.ts';
import { createKeyOwners } from '../../src/store/key-owners.ts';
import { createProducer, type Producer } from '../../src/store/producer.ts';
import { createQueueNames } from '../../src/store/queue-names.ts';
import { defineTask } from '../../src/tasks/define.ts';
import { toRegistry } from '../../src/tasks/registry.ts';
import { countsOf } from '../support/moves.ts';
import { startStore } from '../support/store.ts';

const sum = defineTask({
  type: 'sum',
  input: v.strictObject({ one: v.number(), two: v.number() }),
  run: ({ one, two }) => one + two,
});
const mail = defineTask({
  type: 'mail',
  input: v.unknown(),
  defaults: { queue: 'mail', priority: 'high', ttlMs: 5_000, keyWindowMs: 7_000 },
  run: () => 1,
});
const registry = toRegistry([sum, mail].map((definition) => ({ definition, source: 'the test' })));

const ANYONE: Sender = { key: undefined, queues: undefined, traceparent: undefined };
const SUM: Call = { type: 'sum', input: { one: 1, two: 2 } };

const { redis, client } = await startStore();
const real = createProducer(client);
/** The tasks of each call to Redis. */
let calls: { readonly queue: string; readonly count: number }[] = [];
const producer: Producer = {
  enqueue(queue, tasks) {
    calls.push({ queue, count: tasks.length });
    return real.enqueue(queue, tasks);
  },
};

afterEach(async () => {
  await redis.client.flushall();
});

/** @param limits 0 = none */
function open({ queueLimit = 0, maxQueues = 100, send = producer } = {}): Accept {
  calls = [];
  return createAccept({
    registry,
    producer: send,
    keyOwners: createKeyOwners(client),
    limits: {
      queueNames: createQueueNames(client, maxQueues),
      capacity: createCapacity(client, { queueLimit, queueLimitBytes: 0, memoryReservePercent: 0 }),
    },
  });
}

function refusalOf(call: () => unknown): PopfleetError {
  try {
    call();
  } catch (error) {
    if (error instanceof PopfleetError) return error;
  }
  throw new Error('it was not refused');
}

describe('prepare', () => {
  it('takes what the call says, else what the definition says, else the defaults', () => {
    const { prepare } = open();
    expect(prepare(SUM, ANYONE)).toMatchObject({
      queue: 'default',
      state: 'ready',
      task: { lane: 'normal', extras: undefined },
    });
    const call: Call = { type: 'mail', input: 1, key: 'k' };
    expect(prepare(call, ANYONE)).toMatchObject({
      queue: 'mail',
      task: { lane: 'high', extras: { ttlMs: 5_000, key: { key: 'k', windowMs: 7_000 } } },
    });
    const own: Call = { ...call, queue: 'slow', priority: 'low', ttlMs: 1, delayMs: 5 };
    expect(prepare(own, ANYONE)).toMatchObject({
      queue: 'slow',
      state: 'scheduled',
      task: { lane: 'low', extras: { ttlMs: 1, delayMs: 5 } },
    });
  });

  it('puts the id of the API key before an idempotency key', () => {
    const { task } = open().prepare({ ...SUM, key: 'k' }, { ...ANYONE, key: 'tenant' });
    expect(task.extras?.key?.key).toBe('tenant:k');
  });

  it.each<[string, Call, Sender, object, object[]]>([
    [
      'an unknown type',
      { type: 'nope', input: 1 },
      ANYONE,
      {
        code: 'unknown-type',
        message: 'There is no task type "nope". Known types: sum, mail.',
      },
      [{ pointer: '#/3/type', detail: 'is no known task type' }],
    ],
    [
      'an input that does not fit',
      { type: 'sum', input: { one: 1 } },
      ANYONE,
      { code: 'invalid-input', faults: [{ pointer: '#/input/two', detail: 'is missing' }] },
      [{ pointer: '#/3/input/two', detail: 'is missing' }],
    ],
    [
      'a queue of others',
      SUM,
      { ...ANYONE, queues: new Set(['mail', 'video']) },
      {
        code: 'forbidden',
        message:
          'This key is not for the queue that the task would go to. Name one of its own with `queue`: mail, video.',
      },
      [{ pointer: '#/3/queue', detail: 'is not for this key' }],
    ],
  ])('refuses %s, and points to it in a call of many', (_, call, sender, alone, faults) => {
    const { prepare } = open();
    expect(refusalOf(() => prepare(call, sender))).toMatchObject(alone);
    const { code } = alone as PopfleetError;
    expect(refusalOf(() => prepare(call, sender, positionOf(3)))).toMatchObject({ code, faults });
  });

  it('completes a schedule by its definition, and asks whether its queue may be made', async () => {
    const schedule = { type: 'mail', input: 1, everyMs: 1_000, priority: 'low' } as TaskSchedule;
    const accept = open({ maxQueues: 1 });
    expect(await accept.prepareSchedule(schedule, ANYONE)).toEqual({
      ...schedule,
      queue: 'mail',
      ttlMs: 5_000,
    });
    const elsewhere = { ...schedule, queue: 'other' };
    await expect(accept.prepareSchedule(elsewhere, ANYONE)).rejects.toMatchObject({ code: 'queue-full' });
    await expect(accept.prepareSchedule(elsewhere, { queues: new Set(['mail']) })).rejects.toMatchObject({
      code: 'forbidden',
    });
  });
});

describe('one task', () => {
  it('is sent with those of its turn, and Redis has it', async () => {
    const accept = open();
    const tasks = Array.from({ length: 40 }, () => accept.prepare(SUM, ANYONE));
    const verdicts = await Promise.all(tasks.map((task) => accept.send(task)));
    expect(verdicts.filter((verdict) => verdict !== undefined)).toEqual([]);
    expect(calls).toEqual([
      { queue: 'default', count: 32 },
      { queue: 'default', count: 8 },
    ]);
    expect(await countsOf(redis.client)).toEqual({ accepted: 40, ready: 40 });
  });

  it('of a key is made once, and another request of that key is a conflict', async () => {
    const accept = open();
    const send = (call: Call) => accept.send(accept.prepare(call, ANYONE));
    const first = accept.prepare({ ...SUM, key: 'k' }, ANYONE);
    expect(await accept.send(first)).toBeUndefined();
    const { id } = first.task;
    expect(await send({ ...SUM, key: 'k' })).toEqual({ word: 'replayed', id });
    expect(await send({ ...SUM, key: 'k', priority: 'low' })).toEqual({ word: 'conflict', id });
  });

  it('waits for no limit where there is room for certain', async () => {
    const accept = open();
    const task = accept.prepare(SUM, ANYONE);
    await accept.admit(task, ANYONE);
    await accept.send(task);
    // The queue is looked up again, now it is there.
    await accept.admit(task, ANYONE);
    expect(accept.admit(task, ANYONE)).toBeUndefined();
  });

  it('is refused by a full queue and by a quota, unless its key made it before', async () => {
    const accept = open({ queueLimit: 1 });
    const keyed: Call = { ...SUM, key: 'k' };
    const first = accept.prepare(keyed, ANYONE);
    await accept.admit(first, ANYONE);
    await accept.send(first);
    const spent = new PopfleetError('quota-exceeded', 'too much');
    const poor: Sender = { ...ANYONE, spend: (tasks) => (tasks > 0 ? spent : undefined) };
    for (const [sender, code] of [
      [ANYONE, 'queue-full'],
      [poor, 'quota-exceeded'],
    ] as const) {
      await expect(accept.admit(accept.prepare(SUM, sender), sender)).rejects.toMatchObject({ code });
      const other = accept.prepare({ ...keyed, priority: 'low' }, sender);
      await expect(accept.admit(other, sender)).rejects.toMatchObject({ code });
      await accept.admit(accept.prepare(keyed, sender), sender);
    }
  });
});

describe('many tasks', () => {
  function prepareMany(accept: Accept, count: number, queueOf: (at: number) => string): Prepared[] {
    return Array.from({ length: count }, (_, at) =>
      accept.prepare({ type: 'sum', input: { one: at, two: 0 }, queue: queueOf(at) }, ANYONE),
    );
  }

  it('go in few calls, in the order of each queue, and are made while the first are on their way', async () => {
    const accept = open();
    const made: number[] = [];
    const tasks = prepareMany(accept, 1_100, (at) => (at % 10 === 0 ? 'rare' : 'often'));
    const verdicts = await accept.sendMany(tasks.length, (at) => {
      made.push(calls.length);
      return tasks[at] as Prepared;
    });
    expect(verdicts.size).toBe(0);
    expect(calls).toEqual([
      ...Array.from({ length: 3 }, () => ({ queue: 'often', count: 250 })),
      { queue: 'rare', count: 110 },
      { queue: 'often', count: 240 },
    ]);
    expect([made.at(0), made.at(-1)]).toEqual([0, 3]);
    const often = tasks.filter(({ queue }) => queue === 'often').map(({ task }) => task.id);
    const references = await redis.client.lrangeBuffer('pf:{often}:ready:normal', 0, -1);
    expect(references.map((one) => /[0-9a-f-]{36}/.exec(String(one))?.[0]).toReversed()).toEqual(often);
  });

  it('are told apart by their index', async () => {
    const accept = open();
    const task = (call: Partial<Call>): Prepared => accept.prepare({ ...SUM, ...call }, ANYONE);
    await accept.send(task({ key: 'mine' }));
    await accept.send(task({ key: 'theirs' }));
    const tasks = [
      task({}),
      task({ key: 'mine' }),
      task({ key: 'theirs', priority: 'low' }),
      task({ key: 'new' }),
      task({ key: 'new', priority: 'low' }),
    ];
    const { repeats, taken } = await accept.lookUpKeys([undefined, ...tasks]);
    expect([...repeats]).toEqual([2]);
    expect([...taken.keys()]).toEqual([3, 5]);
    expect(taken.get(5)).toBe('in this batch (item 4)');
    const verdicts = await accept.sendMany(tasks.length, (at) => tasks[at] as Prepared);
    expect(new Map(Array.from(verdicts, ([at, { word }]) => [at, word]))).toEqual(
      new Map([
        [1, 'replayed'],
        [2, 'conflict'],
        [4, 'conflict'],
      ]),
    );
  });

  it('are admitted all or none, by quota and by queue', async () => {
    const accept = open({ queueLimit: 10 });
    const asked: number[] = [];
    const sender: Sender = { ...ANYONE, spend: (tasks) => void asked.push(tasks) };
    await accept.admitMany(
      prepareMany(accept, 10, () => 'one'),
      sender,
    );
    await expect(
      accept.admitMany(
        prepareMany(accept, 12, (at) => (at === 0 ? 'two' : 'three')),
        sender,
      ),
    ).rejects.toMatchObject({ code: 'queue-full' });
    await expect(
      accept.admitMany(
        prepareMany(accept, 101, (at) => `q${at}`),
        sender,
      ),
    ).rejects.toThrow('A batch may be for at most 100 queues.');
    expect(asked).toEqual([10, 12, 101]);
  });

  it('say how many were accepted when Redis fails on the way, and no more are sent', async () => {
    const gone = new PopfleetError('redis-unavailable', 'Redis is away.', { retryAfterSeconds: 5 });
    const accept = open({
      send: {
        enqueue(queue, tasks) {
          return calls.length < 2 ? producer.enqueue(queue, tasks) : Promise.reject(gone);
        },
      },
    });
    const tasks = prepareMany(accept, 3_000, () => 'default');
    await expect(accept.sendMany(tasks.length, (at) => tasks[at] as Prepared)).rejects.toMatchObject({
      code: 'redis-unavailable',
      message: expect.stringMatching(/^Redis is away\. 500 of 3000 tasks were accepted for certain/),
      extensions: { accepted: 500 },
      retryAfterSeconds: 5,
    });
    expect(await countsOf(redis.client)).toEqual({ accepted: 500, ready: 500 });
  });
});

test('without limits everybody is admitted at once', async () => {
  const accept = createAccept({ registry, producer, keyOwners: createKeyOwners(client) });
  const task = accept.prepare(SUM, ANYONE);
  expect(accept.admit(task, ANYONE)).toBeUndefined();
  await accept.admitMany([task], ANYONE);
});
