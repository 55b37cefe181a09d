// The fetch loop on its own: when it pops, from which queues, and what it does with a message.

import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { BlockingPop, Pop } from '../../src/store/blocking-pop.ts';
import { createCallWatch } from '../../src/worker/call-watch.ts';
import { createFetcher, type Fetcher } from '../../src/worker/fetcher.ts';
import { createLaneTurn } from '../../src/protocol/lane.ts';
import { createSlots, type Slots } from '../../src/worker/slots.ts';
import { eventually } from '../support/eventually.ts';
import { silentLog } from '../support/store.ts';

class FakeLease {
  isOpen = true;
  readonly queue: string;
  readonly claimed: string[] = [];
  /** Free slots while the claim was under way. */
  readonly freeAtClaim: number[] = [];

  constructor(queue: string) {
    this.queue = queue;
  }

  async claim(popped: readonly { readonly message: Buffer }[]): Promise<void> {
    this.claimed.push(...popped.map(({ message }) => message.toString()));
    this.freeAtClaim.push(slots.free());
  }
}

/** A connection whose pops end when the test says so. */
class FakePop implements BlockingPop {
  readonly asked: (readonly string[])[] = [];
  closed = 0;
  interrupted = 0;
  #settle: { resolve: (pop: Pop | undefined) => void; reject: (error: Error) => void } | undefined;

  pop(queues: readonly string[]): Promise<Pop | undefined> {
    this.asked.push(queues);
    return new Promise((resolve, reject) => {
      this.#settle = { resolve, reject };
    });
  }

  reply(queue?: string, message = ''): void {
    this.#settle?.resolve(
      queue === undefined ? undefined : { queue, lane: 'normal', message: Buffer.from(message) },
    );
  }

  break(): void {
    this.#settle?.reject(new Error('Connection is closed.'));
  }

  async interrupt(): Promise<void> {
    this.interrupted += 1;
  }

  close(): void {
    this.closed += 1;
  }
}

let slots: Slots;
let pops: FakePop[];
let fetcher: Fetcher;

async function start(leases: readonly FakeLease[]): Promise<void> {
  fetcher = createFetcher({
    async open() {
      const pop = new FakePop();
      pops.push(pop);
      return pop;
    },
    leases,
    slots,
    laneTurn: createLaneTurn(0),
    watch: createCallWatch(300_000, silentLog, () => undefined),
    log: silentLog,
  });
  await fetcher.start();
}

/** The pop that is under way, when so many have been asked for on the latest connection. */
async function underWay(count: number): Promise<FakePop> {
  await eventually(() => (pops.at(-1)?.asked.length ?? 0) >= count);
  return pops.at(-1) as FakePop;
}

function hold(id: string): void {
  const content = Buffer.alloc(0);
  slots.hold({ queue: 'mail', id, claim: 1, token: `token of ${id}`, failures: 0, crashes: 0, content });
}

beforeEach(() => {
  slots = createSlots(() => 2);
  pops = [];
});

afterEach(async () => {
  const stopped = fetcher.stop();
  pops.at(-1)?.reply();
  await stopped;
});

test('a message is claimed at the lease of its queue, and its slot is reserved until then', async () => {
  const [mail, news] = [new FakeLease('mail'), new FakeLease('news')];
  await start([mail, news]);
  const pop = await underWay(1);
  expect(slots.free()).toBe(1);
  pop.reply('news', 'one');
  await underWay(2);
  expect([mail.claimed, news.claimed, news.freeAtClaim]).toEqual([[], ['one'], [1]]);
});

test('it pops only while a slot is free', async () => {
  for (const id of ['a', 'b']) hold(id);
  await start([new FakeLease('mail')]);
  await eventually(() => pops.length > 0);
  await new Promise((resolve) => setImmediate(resolve));
  expect(pops[0]?.asked).toEqual([]);
  slots.drop('mail', 'a', 'token of a');
  await underWay(1);
});

test('a pop is taken back when other tasks have taken the last slot', async () => {
  await start([new FakeLease('mail')]);
  const pop = await underWay(1);
  hold('a');
  fetcher.rest();
  expect(pop.interrupted).toBe(0);
  hold('b');
  fetcher.rest();
  expect(pop.interrupted).toBe(1);
});

test('queues take turns in being the first', async () => {
  await start(['a', 'b', 'c'].map((queue) => new FakeLease(queue)));
  for (let count = 1; count <= 3; count += 1) (await underWay(count)).reply();
  const { asked } = await underWay(4);
  expect(asked.slice(0, 3).map(([first]) => first)).toEqual(['b', 'c', 'a']);
  expect(asked.every((queues) => queues.length === 3)).toBe(true);
});

test('paused queues are left out; when all are, it waits for a nudge', async () => {
  const [mail, news] = [new FakeLease('mail'), new FakeLease('news')];
  mail.isOpen = false;
  await start([mail, news]);
  const pop = await underWay(1);
  expect(pop.asked).toEqual([['news']]);
  news.isOpen = false;
  pop.reply();
  await new Promise((resolve) => setImmediate(resolve));
  expect(pop.asked).toHaveLength(1);
  mail.isOpen = true;
  fetcher.nudge();
  expect((await underWay(2)).asked[1]).toEqual(['mail']);
});

test('a nudge leaves no listener behind at the signal of the stop', async () => {
  const added = vi.spyOn(AbortSignal.prototype, 'addEventListener');
  const removed = vi.spyOn(AbortSignal.prototype, 'removeEventListener');
  const mail = new FakeLease('mail');
  mail.isOpen = false;
  await start([mail]);
  await eventually(() => pops.length > 0);
  const left = (): number => added.mock.calls.length - removed.mock.calls.length;
  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  await turn();
  const before = left();
  for (let count = 1; count <= 5; count += 1) {
    fetcher.nudge();
    await turn();
  }
  expect(left()).toBe(before);
  vi.restoreAllMocks();
});

test('a connection that breaks is closed, another one is opened, and no slot stays reserved', async () => {
  await start([new FakeLease('mail')]);
  (await underWay(1)).break();
  await eventually(() => pops.length === 2);
  await underWay(1);
  expect(pops[0]?.closed).toBe(1);
  expect(slots.free()).toBe(1);
});

test('a stop interrupts the pop, and what it brings all the same is claimed', async () => {
  const mail = new FakeLease('mail');
  await start([mail]);
  const pop = await underWay(1);
  const stopped = fetcher.stop();
  expect(pop.interrupted).toBe(1);
  pop.reply('mail', 'the last');
  await stopped;
  expect(mail.claimed).toEqual(['the last']);
  expect([pop.closed, pop.asked.length, slots.free()]).toEqual([1, 1, 2]);
});

test('it may be stopped without having been started', async () => {
  await start([]);
  await fetcher.stop();
  fetcher = createFetcher({
    open: () => Promise.reject(new Error('not to be opened')),
    leases: [],
    slots,
    laneTurn: createLaneTurn(0),
    watch: createCallWatch(300_000, silentLog, () => undefined),
    log: silentLog,
  });
  await fetcher.stop();
});
