// The lease of one queue on its own: what it says of free places, and what becomes of tasks that are handed to its worker.

import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { ClaimedTask, Hand, Outcome, Said } from '../../src/store/consumer.ts';
import { handGraceOf } from '../../src/store/hand-grace.ts';
import { createCallWatch } from '../../src/worker/call-watch.ts';
import { createLaneTurn } from '../../src/protocol/lane.ts';
import { Lease, type LeaseDeps } from '../../src/worker/lease.ts';
import { createOffers } from '../../src/worker/offers.ts';
import { createSlots, type HeldTask } from '../../src/worker/slots.ts';
import { ROOM_FOR_ALL } from '../../src/worker/thread-room.ts';
import { eventually } from '../support/eventually.ts';
import { FakeConsumer, taskOf } from '../support/fake-consumer.ts';
import { silentLog } from '../support/store.ts';

const LIMIT = 4;
const LEASE_MS = 15_000;

let consumer: FakeConsumer;
let begun: HeldTask[];
let leaseDeps: LeaseDeps;
let lease: Lease;
/** How often a hand has taken the last place. */
let full: number;
/** Ends the runs that have begun. */
let ends: (() => void)[];

/** Sent just now. */
function handOf(number: number, task: ClaimedTask, ageMs = 0): Hand {
  return { number, sentAt: performance.now() - ageMs, tasks: [task] };
}

/** Lets all runs so far succeed, and waits until their outcomes are recorded. */
async function endAll(): Promise<void> {
  for (const end of ends.splice(0)) end();
  await new Promise((resolve) => setImmediate(resolve));
  await lease.settled();
}

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

beforeEach(() => {
  consumer = new FakeConsumer();
  begun = [];
  ends = [];
  full = 0;
  leaseDeps = {
    consumer,
    announce: async () => undefined,
    relay: () => undefined,
    slots: createSlots(() => LIMIT),
    prefetch: { tellsFirst: () => false, refused: () => undefined },
    threadRoom: ROOM_FOR_ALL,
    execute(held) {
      begun.push(held);
      const { id, token } = held.task;
      const outcome: Outcome = {
        id,
        token,
        word: 'succeeded',
        contentBytes: 1,
        payload: Buffer.alloc(0),
        delayMs: 0,
      };
      return new Promise((resolve) => ends.push(() => resolve(outcome)));
    },
    wantsMore: () => true,
    laneTurn: createLaneTurn(0),
    places: LIMIT,
    onStop: () => undefined,
    offers: createOffers(['mail'], () => undefined),
    leaseMs: LEASE_MS,
    onFull: () => void (full += 1),
    onChange: () => undefined,
    watch: createCallWatch(300_000, silentLog, () => undefined),
    log: silentLog,
  };
  lease = new Lease(leaseDeps);
});

test('each call says how many tasks may be handed over, and which hand is the last that it has', async () => {
  await lease.beat();
  consumer.next = [taskOf('a')];
  await lease.claim([]);
  lease.take(handOf(7, taskOf('b')));
  await endAll();
  await lease.beat();
  expect(consumer.said.map(({ free, seen }) => [free, seen])).toEqual([
    [LIMIT, 0],
    [LIMIT, 0],
    // At once: it has that hand.
    [undefined, 7],
    [LIMIT, 7],
    [LIMIT, 7],
  ]);
});

test('a task that is handed over begins at once, until no place is left', async () => {
  await lease.beat();
  for (let number = 1; number <= LIMIT; number += 1) {
    expect(full).toBe(0);
    lease.take(handOf(number, taskOf(`task ${number}`)));
    expect(begun).toHaveLength(number);
  }
  expect(full).toBe(1);
});

test('a hand at or below a number that was spoken for is dropped', async () => {
  await lease.beat();
  consumer.holds = [taskOf('a')];
  consumer.upTo = 5;
  await lease.beat();
  await eventually(() => begun.length === 1);
  await endAll();
  lease.take(handOf(5, taskOf('a')));
  consumer.beatReply = { settledUpTo: 9 };
  await lease.beat();
  lease.take(handOf(9, taskOf('b')));
  expect(begun).toHaveLength(1);
  lease.take(handOf(10, taskOf('c')));
  expect(begun).toHaveLength(2);
});

test.each<[string, () => Promise<void>, ageMs?: number]>([
  ['it has waited for long', async () => undefined, handGraceOf(LEASE_MS) / 2],
  ['the clock of Redis was set forward', async () => undefined, -1_000],
  [
    'its lease may have run out',
    async () => {
      vi.spyOn(performance, 'now').mockReturnValue(performance.now() + LEASE_MS);
    },
  ],
  [
    'its machine was suspended for a lease',
    async () => {
      vi.spyOn(Date, 'now').mockReturnValue(Date.now() + LEASE_MS + 1);
    },
  ],
  [
    'its machine was suspended while the hand was on its way',
    async () => {
      vi.spyOn(Date, 'now').mockReturnValue(Date.now() + handGraceOf(LEASE_MS) / 2);
    },
  ],
  [
    'no beat was answered yet',
    async () => {
      await lease.leave();
      lease = new Lease(leaseDeps);
    },
  ],
])('a worker that is handed a task asks first when %s', async (_, happens, ageMs) => {
  await lease.beat();
  await happens();
  lease.take(handOf(1, taskOf('a'), ageMs));
  await eventually(() => consumer.looks === 1);
  expect(begun).toEqual([]);
  vi.restoreAllMocks();

  consumer.holds = [taskOf('b')];
  await lease.beat();
  await eventually(() => begun.length === 1);
  expect(begun[0]?.task.id).toBe('b');
});

test('before a task begins that was handed over, Redis is told that it is here', async () => {
  await lease.beat();
  let toldBefore: Said | undefined;
  lease = new Lease({
    ...leaseDeps,
    execute(held) {
      toldBefore = consumer.said.at(-1);
      return leaseDeps.execute(held);
    },
  });
  await lease.beat();
  lease.take(handOf(3, taskOf('a')));
  expect([begun.length, toldBefore]).toEqual([1, { seen: 3 }]);
});

test.each<[string, () => void]>([
  ['Redis does not answer in time', () => void (consumer.isSilent = true)],
  ['Redis answers that others have it', () => void (consumer.beatReply = { lost: ['a'] })],
])('a task that was handed over is stopped when %s', async (_, happens) => {
  lease = new Lease({ ...leaseDeps, leaseMs: 600 });
  await lease.beat();
  happens();
  lease.take(handOf(1, taskOf('a')));
  expect(begun.map(({ reason }) => reason)).toEqual([undefined]);
  await eventually(() => begun[0]?.reason === 'lease-lost');
});

test('a task that was handed over goes on when Redis has answered', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  await lease.beat();
  lease.take(handOf(1, taskOf('a')));
  await new Promise((resolve) => setImmediate(resolve));
  await vi.advanceTimersByTimeAsync(LEASE_MS);
  await new Promise((resolve) => setImmediate(resolve));
  expect(begun.map(({ reason }) => reason)).toEqual([undefined]);
});

test('a popped message that is put back, because a hand has its place: it looks for that', async () => {
  await lease.beat();
  consumer.back = 1;
  consumer.holds = [taskOf('handed')];
  await lease.claim([{ lane: 'normal', message: Buffer.alloc(0) }]);
  await eventually(() => begun.length === 1);
  expect([consumer.looks, begun[0]?.task.id]).toEqual([1, 'handed']);
});

test('it offers places in another queue only when it has all that it was handed before', async () => {
  const { slots } = leaseDeps;
  const said: unknown[] = [];
  const offers = createOffers(['mail', 'news'], (queue) => said.push([queue, slots.size()]));
  lease = new Lease({ ...leaseDeps, offers });
  await lease.beat();
  vi.spyOn(performance, 'now').mockReturnValue(performance.now() + 1_000);
  offers.popped('news');
  consumer.holds = [taskOf('handed')];
  await lease.beat();
  expect(said).toEqual([
    ['mail', 0],
    ['news', 1],
  ]);
});

test('it withdraws its offer with a beat, once', async () => {
  await lease.beat();
  leaseDeps.offers.stop();
  await lease.withdraw();
  await lease.withdraw();
  expect(consumer.said.map(({ free }) => free)).toEqual([LIMIT, 0]);
});
