// The lease of one queue on its own: what it claims, begins, records, gives up and adopts.

import { decode } from 'cbor-x';
import { beforeEach, expect, test, vi } from 'vitest';
import type { ClaimedTask, Outcome } from '../../src/store/consumer.ts';
import { createLog } from '../../src/log.ts';
import { createCallWatch } from '../../src/worker/call-watch.ts';
import type { Execute } from '../../src/worker/execute.ts';
import type { WorkerOrder } from '../../src/store/worker-orders.ts';
import { createLaneTurn } from '../../src/protocol/lane.ts';
import { Lease } from '../../src/worker/lease.ts';
import { createOffers } from '../../src/worker/offers.ts';
import { createSlots, type HeldTask, type Slots } from '../../src/worker/slots.ts';
import { ROOM_FOR_ALL } from '../../src/worker/thread-room.ts';
import { eventually } from '../support/eventually.ts';
import { FakeConsumer, taskOf } from '../support/fake-consumer.ts';

const LIMIT = 4;
const LEASE_MS = 15_000;

let consumer: FakeConsumer;
let slots: Slots;
let begun: HeldTask[];
let wantsMore: boolean;
let announced: number;
let changes: number;
let execute: Execute;
let lease: Lease;
let logged: Record<string, unknown>[];
let isStuck: boolean;
/** Tasks that may be held. Those beyond `LIMIT` wait until Redis has heard of them. */
let limit: number;

/** Ends the run of a task that has begun. */
let end: Map<string, (outcome: Outcome | undefined) => void>;

function success({ id, token, content }: ClaimedTask): Outcome {
  const payload = Buffer.alloc(0);
  return { id, token, word: 'succeeded', contentBytes: content.length, payload, delayMs: 0 };
}

/** Lets all runs so far succeed, and waits until their outcomes are recorded. */
async function endAll(): Promise<void> {
  for (const { task } of begun) end.get(task.id)?.(success(task));
  await new Promise((resolve) => setImmediate(resolve));
  await lease.settled();
}

async function claim(...ids: string[]): Promise<void> {
  consumer.next = ids.map((id) => taskOf(id));
  await lease.claim([]);
  await eventually(() => begun.length === ids.length);
}

beforeEach(() => {
  consumer = new FakeConsumer();
  limit = LIMIT;
  slots = createSlots(() => limit);
  begun = [];
  end = new Map();
  wantsMore = true;
  announced = 0;
  changes = 0;
  logged = [];
  isStuck = false;
  const log = createLog('info', {}, { write: (line: string) => void logged.push(JSON.parse(line)) });
  execute = (held) => {
    begun.push(held);
    return new Promise((resolve) => void end.set(held.task.id, resolve));
  };
  lease = new Lease({
    consumer,
    announce: async () => void (announced += 1),
    relay: () => undefined,
    slots,
    prefetch: { tellsFirst: () => limit > LIMIT, refused: () => undefined },
    threadRoom: ROOM_FOR_ALL,
    execute: (held) => execute(held),
    wantsMore: () => wantsMore,
    laneTurn: createLaneTurn(0),
    places: LIMIT,
    onStop: () => void (consumer.stops += 1),
    offers: createOffers(['mail'], () => undefined),
    leaseMs: LEASE_MS,
    onFull: () => undefined,
    onChange: () => (changes += 1),
    // A call that fails counts at once.
    watch: createCallWatch(0, log, () => (isStuck = true)),
    log,
  });
});

test('a claim fills the free slots, and its tasks begin', async () => {
  slots.reserve(1);
  await claim('a', 'b');
  expect(consumer.claims).toEqual([LIMIT - 1]);
  expect(begun.map(({ task }) => task.id)).toEqual(['a', 'b']);
  expect(slots.size()).toBe(2);
  expect(slots.free()).toBe(1);
});

test('an outcome is recorded with the call that brings the next tasks, and frees its slot', async () => {
  await claim('a');
  consumer.next = [taskOf('b')];
  await endAll();
  await eventually(() => begun.length === 2);
  expect(consumer.finishes).toMatchObject([{ outcomes: [{ id: 'a', word: 'succeeded' }], want: LIMIT }]);
  expect(slots.find('mail', 'a')).toBeUndefined();
  expect(slots.find('mail', 'b')).toBe(begun[1]);
});

test.each<[string, () => void]>([
  ['it is not wanted', () => (wantsMore = false)],
  ['the queue is paused', () => (consumer.isPaused = true)],
])('a call that records outcomes brings no tasks when %s', async (_, prevent) => {
  prevent();
  await claim('a');
  await endAll();
  expect(consumer.finishes.map(({ want }) => want)).toEqual([0]);
});

test('an outcome that did not count frees its slot as well', async () => {
  await claim('a');
  consumer.stale = ['a'];
  await endAll();
  expect(slots.size()).toBe(0);
});

test('a run without an outcome frees its slot, and nothing is recorded', async () => {
  await claim('a');
  end.get('a')?.(undefined);
  await eventually(() => slots.size() === 0);
  expect(consumer.finishes).toEqual([]);
});

test.each<[string, Execute]>([
  [
    'throws',
    () => {
      throw new Error('a fault of ours');
    },
  ],
  ['rejects', () => Promise.reject(new Error('a fault of ours'))],
])('a task whose execution %s runs again later', async (_, faulty) => {
  execute = faulty;
  consumer.next = [taskOf('a')];
  await lease.claim([]);
  await eventually(() => consumer.finishes.length === 1);
  const outcome = consumer.finishes[0]?.outcomes[0];
  expect(outcome).toMatchObject({ id: 'a', word: 'snoozed', delayMs: 10_000 });
  expect(decode(outcome?.payload ?? Buffer.alloc(0))).toMatchObject({ name: 'InternalError' });
});

test('a task that was claimed before, or has reported, ends with its history', async () => {
  consumer.next = [taskOf('again', 2), taskOf('reports'), taskOf('plain')];
  await lease.claim([]);
  await eventually(() => begun.length === 3);
  lease.report({ queue: 'mail', id: 'reports', claim: 1, progress: undefined, lines: ['a line'] });
  await endAll();
  const recorded = consumer.finishes.flatMap(({ outcomes }) => outcomes);
  expect(recorded.map(({ id, hasHistory }) => [id, hasHistory])).toEqual([
    ['again', true],
    ['reports', true],
    ['plain', undefined],
  ]);
});

test('tasks of a claim whose reply was lost are adopted with the next beat', async () => {
  consumer.next = [taskOf('a')];
  consumer.losesReply = true;
  await expect(lease.claim([])).rejects.toThrow('closed');
  expect([consumer.looks, slots.size(), slots.free()]).toEqual([0, 0, LIMIT]);
  await lease.beat();
  await eventually(() => begun.length === 1);
  expect(consumer.looks).toBe(1);
  await lease.beat();
  expect(consumer.looks).toBe(1);
});

test('an outcome whose reply was lost is recorded again, after the tasks that came with it were adopted', async () => {
  await claim('a');
  consumer.next = [taskOf('b')];
  consumer.losesReply = true;
  await endAll();
  await eventually(() => begun.length === 2);
  expect(consumer.finishes.map(({ outcomes }) => outcomes.map(({ id }) => id))).toEqual([['a'], ['a']]);
  expect(consumer.looks).toBe(1);
  expect(slots.held().map(({ task }) => task.id)).toEqual(['b']);
});

/** What clocks show after a lease. While a machine is suspended `performance.now()` stands still, as here that of the wall does. */
const FROZEN = (): unknown => vi.spyOn(performance, 'now').mockReturnValue(performance.now() + LEASE_MS);
const SUSPENDED = (): unknown => vi.spyOn(Date, 'now').mockReturnValue(Date.now() + LEASE_MS + 1);

test.each<['claim' | 'finish' | 'held', word: string, pass: () => unknown]>([
  ['claim', 'frozen', FROZEN],
  ['finish', 'frozen', FROZEN],
  ['held', 'frozen', FROZEN],
  ['claim', 'suspended', SUSPENDED],
  ['finish', 'suspended', SUSPENDED],
  ['held', 'suspended', SUSPENDED],
])(
  'what a %s brought to a worker that was %s for a lease meanwhile begins only when Redis says so again',
  async (call, _, pass) => {
    await claim('a');
    const asked: () => Promise<unknown> = consumer[call].bind(consumer) as never;
    consumer[call] = async (...args: readonly unknown[]): Promise<never> => {
      const reply = await Reflect.apply(asked, undefined, args);
      consumer[call] = asked as never;
      pass();
      // The sweep has given it to another one.
      consumer.holds = consumer.holds.filter(({ id }) => id !== 'b');
      return reply as never;
    };
    if (call === 'held') {
      consumer.holds = [taskOf('a'), taskOf('b')];
      await lease.beat();
    } else {
      consumer.next = [taskOf('b')];
      await (call === 'claim' ? lease.claim([]) : endAll());
    }
    await eventually(() => consumer.looks === (call === 'held' ? 2 : 1));
    await new Promise((resolve) => setImmediate(resolve));
    vi.restoreAllMocks();
    expect(begun.map(({ task }) => task.id)).toEqual(['a']);
    expect(slots.find('mail', 'b')).toBeUndefined();
  },
);

test('what was taken ahead does not begin by an answer that has waited while the machine was suspended', async () => {
  const reasons = new Map<string, string>();
  execute = (held) => {
    reasons.set(held.task.id, held.reason ?? 'none');
    begun.push(held);
    return new Promise(() => undefined);
  };
  await claim('a', 'b', 'c', 'd');
  limit = 2 * LIMIT;
  consumer.next = [taskOf('ahead')];
  const asked = consumer.beat.bind(consumer);
  consumer.beat = async (...args): Promise<never> => {
    consumer.beat = asked;
    const reply = await asked(...args);
    SUSPENDED();
    consumer.beatReply = { lost: ['ahead'] };
    return reply as never;
  };
  await lease.claim([]);
  await lease.beat();
  await eventually(() => reasons.has('ahead') || !slots.find('mail', 'ahead'));
  vi.restoreAllMocks();
  expect(reasons.get('ahead') ?? 'lease-lost').toBe('lease-lost');
});

test('a beat stops what was lost or cancelled, and announces a worker that Redis has lost', async () => {
  await claim('a', 'b', 'c');
  consumer.beatReply = { held: 2, lost: ['a'], cancel: ['b'], isAnnounced: false };
  await lease.beat();
  expect(begun.map(({ reason }) => reason)).toEqual(['lease-lost', 'cancelled', undefined]);
  expect([announced, consumer.looks]).toEqual([1, 0]);
});

test('a beat that counts other tasks than the worker looks which they are', async () => {
  await claim('a');
  consumer.holds = [taskOf('a'), taskOf('b')];
  await lease.beat();
  await eventually(() => begun.length === 2);
  expect(consumer.looks).toBe(1);
  expect(slots.size()).toBe(2);
});

test('a beat tells what a person wants: quiet claims nothing more, stop ends the program, once', async () => {
  await claim('a', 'b');
  const opensAt = async (order: WorkerOrder): Promise<boolean> => {
    consumer.beatReply = { order };
    return lease.beat().then(() => lease.isOpen);
  };
  expect(await opensAt('quiet')).toBe(false);
  end.get('a')?.(success(taskOf('a')));
  await eventually(() => consumer.finishes[0]?.want === 0);
  const isOpen = [await opensAt('work'), await opensAt('stop'), await opensAt('stop')];
  expect({ isOpen, stops: consumer.stops }).toEqual({ isOpen: [true, false, false], stops: 1 });
});

test('nothing is popped before Redis has let it, nor while paused: the call that finds it open tells the fetcher', async () => {
  expect([lease.isOpen, changes]).toEqual([false, 0]);
  await claim('a');
  expect([lease.isOpen, changes]).toEqual([true, 1]);
  consumer.isPaused = true;
  for (const _ of [1, 2]) await lease.beat();
  expect([lease.isOpen, changes]).toEqual([false, 2]);
  consumer.isPaused = false;
  await endAll();
  expect([lease.isOpen, changes]).toEqual([true, 3]);
});

test('a queue that another release keeps is left alone, and served again when it may be', async () => {
  await lease.beat();
  await claim('a', 'b', 'c');
  const [a, b] = begun.map(({ task }) => task) as [ClaimedTask, ClaimedTask];
  consumer.refusal = 'upgrade this one';
  end.get('a')?.(success(a));
  await eventually(() => slots.size() === 2);
  await lease.settled();
  expect(lease.isOpen).toBe(false);
  expect(begun.map(({ reason }) => reason)).toEqual(['lease-lost', 'lease-lost', 'lease-lost']);

  end.get('b')?.(success(b));
  end.get('c')?.(undefined);
  await lease.settled();
  await eventually(() => slots.size() === 0);
  await lease.claim([]);
  await lease.beat();
  await lease.beat();
  expect(lease.isOpen).toBe(false);
  expect(logged.map(({ level, msg }) => [level, msg])).toEqual([
    [50, 'the queue is left alone: another release of popfleet keeps it'],
    [40, 'outcomes cannot be recorded and are dropped'],
    [40, 'outcomes cannot be recorded and are dropped'],
  ]);
  expect(logged[0]).toMatchObject({ queue: 'mail', reason: 'upgrade this one' });
  expect(isStuck).toBe(false);

  // It was rolled back: Redis still holds what was dropped for this worker.
  consumer.refusal = undefined;
  await lease.beat();
  expect(lease.isOpen).toBe(true);
  expect(logged.at(-1)).toMatchObject({ level: 30, msg: 'the queue is served again' });
  await eventually(() => begun.length === 6);
  expect(slots.held('mail').map(({ task }) => task.id)).toEqual(['a', 'b', 'c']);
});

test('it gives up its lease', async () => {
  await lease.leave();
  expect(consumer.left).toBe(1);
});
