// The fetch loops of a worker in a cluster on their own: a pop a queue, who has a slot, and what becomes of one message too many.

import { afterEach, beforeEach, expect, test } from 'vitest';
import { createLaneTurn } from '../../src/protocol/lane.ts';
import type { BlockingPop, Pop } from '../../src/store/blocking-pop.ts';
import { createCallWatch } from '../../src/worker/call-watch.ts';
import type { Fetcher } from '../../src/worker/fetcher.ts';
import { createSlots, type Slots } from '../../src/worker/slots.ts';
import { createSpreadFetcher } from '../../src/worker/spread-fetcher.ts';
import { eventually } from '../support/eventually.ts';
import { silentLog } from '../support/store.ts';

/** One queue: its list, its pops, and what was claimed of it. Claimed tasks hold a slot until the test ends them. */
class FakeQueue implements BlockingPop {
  isOpen = true;
  readonly queue: string;
  readonly ready: string[] = [];
  readonly claimed: string[] = [];
  opened = 0;
  interrupts = 0;
  /** A message that arrives at the very moment in which the pop is ended from outside. */
  late: string | undefined;
  #settle: ((pop: Pop | undefined) => void) | undefined;
  #break: ((error: Error) => void) | undefined;

  constructor(queue: string) {
    this.queue = queue;
  }

  get isWaiting(): boolean {
    return this.#settle !== undefined;
  }

  push(message: string): void {
    this.ready.push(message);
    this.#serve();
  }

  pop(): Promise<Pop | undefined> {
    return new Promise((resolve, reject) => {
      this.#settle = resolve;
      this.#break = reject;
      this.#serve();
    });
  }

  async interrupt(): Promise<void> {
    this.interrupts += 1;
    if (this.late !== undefined && this.#settle) this.ready.push(this.late);
    this.late = undefined;
    if (this.ready.length > 0) this.#serve();
    else this.#end(undefined);
  }

  close(): void {
    this.#end(undefined);
  }

  break(): void {
    const reject = this.#break;
    this.#settle = undefined;
    reject?.(new Error('Connection is closed.'));
  }

  async claim(popped: readonly { readonly message: Buffer }[]): Promise<void> {
    this.claimed.push(...popped.map(({ message }) => message.toString()));
    running += popped.length;
  }

  #serve(): void {
    if (!this.#settle || this.ready.length === 0) return;
    this.#end({ queue: this.queue, lane: 'normal', message: Buffer.from(this.ready.pop() ?? '') });
  }

  #end(popped: Pop | undefined): void {
    const settle = this.#settle;
    this.#settle = undefined;
    settle?.(popped);
  }
}

let slots: Slots;
let running = 0;
let queues: FakeQueue[];
let fetcher: Fetcher;
let putBack: string[];

async function start(places: number): Promise<FakeQueue[]> {
  slots = createSlots(() => places - running);
  fetcher = createSpreadFetcher({
    async open(queue) {
      const one = queues.find((other) => other.queue === queue) as FakeQueue;
      one.opened += 1;
      return one;
    },
    lists: {
      hasSome: async (queue) => queues.some((one) => one.queue === queue && one.ready.length > 0),
      async putBack({ queue, message }) {
        putBack.push(message.toString());
        queues.find((one) => one.queue === queue)?.ready.push(message.toString());
      },
    },
    leases: queues,
    slots,
    laneTurn: createLaneTurn(0),
    watch: createCallWatch(300_000, silentLog, () => undefined),
    log: silentLog,
  });
  await fetcher.start();
  return queues;
}

const waiting = (): string[] => queues.filter(({ isWaiting }) => isWaiting).map(({ queue }) => queue);
const claimed = (): string[] => queues.flatMap((one) => one.claimed).toSorted();

/** A running task ends. */
function endOne(): void {
  running -= 1;
  // Tells those that wait for a slot.
  slots.reserve(1);
  slots.unreserve(1);
}

beforeEach(() => {
  queues = ['a', 'b', 'c'].map((name) => new FakeQueue(name));
  putBack = [];
  running = 0;
});
afterEach(async () => {
  await fetcher.stop();
  expect(waiting()).toEqual([]);
});

test('with a slot for each queue every pop has its own, and none is ended when another one brings something', async () => {
  const [a, b] = (await start(4)) as [FakeQueue, FakeQueue];
  await eventually(() => waiting().length === 3);
  expect(slots.free()).toBe(1);
  a.push('a1');
  b.push('b1');
  await eventually(() => claimed().length === 2);
  expect([a, b].map(({ interrupts }) => interrupts)).toEqual([0, 0]);
  expect(putBack).toEqual([]);
});

test('an idle worker of one slot waits on all queues; the first message has the slot, and the other pops are ended', async () => {
  const [, b] = (await start(1)) as [FakeQueue, FakeQueue];
  await eventually(() => waiting().length === 3);
  b.push('b1');
  await eventually(() => waiting().length === 0);
  expect(claimed()).toEqual(['b1']);
  endOne();
  await eventually(() => waiting().length === 3);
});

test('what comes while a pop is ended and finds no slot is put back, and is claimed when there is one', async () => {
  const [a, b] = (await start(1)) as [FakeQueue, FakeQueue];
  await eventually(() => waiting().length === 3);
  b.late = 'b1';
  a.push('a1');
  await eventually(() => waiting().length === 0);
  expect([claimed(), putBack]).toEqual([['a1'], ['b1']]);
  endOne();
  await eventually(() => claimed().includes('b1'));
});

test('without a slot nothing is popped where something waits: each queue has its turn', async () => {
  for (const one of queues) for (let at = 1; at <= 5; at += 1) one.ready.push(`${one.queue}${at}`);
  await start(1);
  for (let done = 1; done <= 15; done += 1) {
    await eventually(() => claimed().length === done);
    expect(running).toBe(1);
    endOne();
  }
  expect(queues.map((one) => one.claimed.length)).toEqual([5, 5, 5]);
  // At most those that were on their way when another one took the slot.
  expect(putBack.length).toBeLessThan(15);
});

test('a queue that is closed is left alone until a nudge, and a broken connection is opened anew', async () => {
  const [a, b, c] = queues as [FakeQueue, FakeQueue, FakeQueue];
  c.isOpen = false;
  await start(4);
  await eventually(() => waiting().length === 2);
  c.isOpen = true;
  fetcher.nudge();
  await eventually(() => waiting().length === 3);
  expect([a, b, c].map(({ opened }) => opened)).toEqual([1, 1, 1]);
  a.break();
  await eventually(() => a.opened === 2 && waiting().length === 3);
  expect(slots.free()).toBe(1);
});
