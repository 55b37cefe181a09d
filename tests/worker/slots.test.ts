// Slots: what is held, what is reserved, and who is told when that changes.

import { beforeEach, expect, test } from 'vitest';
import type { ClaimedTask } from '../../src/store/consumer.ts';
import { createSlots, type Slots } from '../../src/worker/slots.ts';

const never = new AbortController().signal;
let slots: Slots;

beforeEach(() => {
  slots = createSlots(() => 3);
});

function tokenOf(claim: number): string {
  return `running ${claim} 0 0 normal 0 1 worker`;
}

function taskOf(id: string, claim = 1, queue = 'default'): ClaimedTask {
  return { queue, id, claim, token: tokenOf(claim), failures: 0, crashes: 0, content: Buffer.alloc(0) };
}

/** Whether the promise has resolved by now. */
async function isDone(promise: Promise<void>): Promise<boolean> {
  let done = false;
  void promise.then(() => {
    done = true;
  });
  await new Promise((resolve) => setImmediate(resolve));
  return done;
}

test('held and reserved slots are not free, and never fewer than none are', () => {
  slots.hold(taskOf('a'));
  expect(slots.free()).toBe(2);
  expect(slots.reserve(1)).toBe(1);
  expect(slots.free()).toBe(1);
  expect(slots.reserve(Number.POSITIVE_INFINITY)).toBe(1);
  expect(slots.reserve(5)).toBe(0);
  // What a lost reply had hidden may be more than there is room for.
  for (const id of ['b', 'c', 'd', 'e']) slots.hold(taskOf(id));
  expect(slots.free()).toBe(0);
  expect(slots.reserve(1)).toBe(0);
  slots.unreserve(2);
  expect(slots.free()).toBe(0);
  expect(slots.held()).toHaveLength(5);
});

test('the slots of tasks that are about to end can be reserved for the next ones', () => {
  for (const id of ['a', 'b', 'c']) slots.hold(taskOf(id));
  expect(slots.reserve(Number.POSITIVE_INFINITY)).toBe(0);
  expect(slots.reserve(Number.POSITIVE_INFINITY, 2)).toBe(2);
  // And not twice.
  expect(slots.reserve(Number.POSITIVE_INFINITY, 2)).toBe(0);
});

test('a task is held once for each claim; a newer claim stops the run of the older', () => {
  const first = slots.hold(taskOf('a', 1));
  expect(slots.hold(taskOf('a', 1))).toBeUndefined();
  const second = slots.hold(taskOf('a', 2));
  expect(first?.reason).toBe('lease-lost');
  expect(second?.reason).toBeUndefined();
  expect(slots.find('default', 'a')).toBe(second);
  // The end of the older run frees nothing.
  slots.drop('default', 'a', tokenOf(1));
  expect(slots.find('default', 'a')).toBe(second);
  slots.drop('default', 'a', tokenOf(2));
  expect(slots.free()).toBe(3);
});

test('the same id in two queues is two tasks', () => {
  slots.hold(taskOf('a', 1, 'one'));
  slots.hold(taskOf('a', 1, 'two'));
  expect(slots.held()).toHaveLength(2);
  expect(slots.held('two').map(({ task }) => task.queue)).toEqual(['two']);
  slots.drop('one', 'a', tokenOf(1));
  expect(slots.find('one', 'a')).toBeUndefined();
  expect(slots.find('two', 'a')).toBeDefined();
});

test('a run is stopped with a reason, and the first reason stays', () => {
  const held = slots.hold(taskOf('a'));
  held?.stop('timed-out');
  held?.stop('cancelled');
  expect(held?.reason).toBe('timed-out');
});

test('whoever waits for a free slot is told of it, by a drop as by a reservation given back', async () => {
  expect(await isDone(slots.whenFree(never))).toBe(true);
  for (const id of ['a', 'b']) slots.hold(taskOf(id));
  slots.reserve(1);
  const afterUnreserve = slots.whenFree(never);
  expect(await isDone(afterUnreserve)).toBe(false);
  slots.unreserve(1);
  expect(await isDone(afterUnreserve)).toBe(true);

  slots.hold(taskOf('c'));
  const afterDrop = slots.whenFree(never);
  expect(await isDone(afterDrop)).toBe(false);
  slots.drop('default', 'a', tokenOf(9));
  expect(await isDone(afterDrop)).toBe(false);
  slots.drop('default', 'a', tokenOf(1));
  expect(await isDone(afterDrop)).toBe(true);
});

test('whoever waits until none is held waits for the last, or for its signal', async () => {
  for (const id of ['a', 'b']) slots.hold(taskOf(id));
  const stopping = new AbortController();
  const impatient = slots.whenEmpty(stopping.signal);
  const patient = slots.whenEmpty(never);
  slots.drop('default', 'a', tokenOf(1));
  expect([await isDone(impatient), await isDone(patient)]).toEqual([false, false]);
  stopping.abort();
  expect([await isDone(impatient), await isDone(patient)]).toEqual([true, false]);
  slots.drop('default', 'b', tokenOf(1));
  expect(await isDone(patient)).toBe(true);
  expect(await isDone(slots.whenEmpty(AbortSignal.abort()))).toBe(true);
});
