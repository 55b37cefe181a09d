// Which queues may bring tasks while threads are taken.

import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { createThreadRoom, type ThreadRoom } from '../../src/worker/thread-room.ts';
import { createSlots, type HeldTask, type Slots } from '../../src/worker/slots.ts';
import { taskOf } from '../support/fake-consumer.ts';

const ALL = Number.POSITIVE_INFINITY;
const FEW = { threads: 2, concurrency: 8 };

let slots: Slots;
let room: ThreadRoom;
let changes: number;

beforeEach(() => {
  vi.useFakeTimers();
  slots = createSlots(() => 8);
  changes = 0;
  room = createThreadRoom(FEW, slots, () => void (changes += 1));
});
afterEach(() => void vi.useRealTimers());

const hold = (id: string): HeldTask => slots.hold(taskOf(id)) as HeldTask;
const drop = ({ task }: HeldTask): void => slots.drop(task.queue, task.id, task.token);

test('a queue whose task found no thread brings as many as there are threads free, any other as many as it has', () => {
  const first = hold('a');
  hold('b').needsThread = false;
  expect([room.of('mail'), room.of('news')]).toEqual([ALL, ALL]);
  const second = hold('c');
  room.refused('mail');
  expect([room.of('mail'), room.of('news')]).toEqual([0, ALL]);
  drop(first);
  expect(room.of('mail')).toBe(1);
  second.needsThread = false;
  expect(room.of('mail')).toBe(2);
});

test('it is told when threads are free again, once', () => {
  const held = [hold('a'), hold('b')];
  room.refused('mail');
  expect([room.of('mail'), changes]).toEqual([0, 1]);
  room.ended();
  expect(changes).toBe(1);
  for (const one of held) drop(one);
  room.ended();
  room.ended();
  expect([room.of('mail'), changes]).toEqual([2, 2]);
});

test('after a while it brings as many as before; each time that all of these need a thread the while is longer', () => {
  for (const id of ['a', 'b']) hold(id);
  for (const ms of [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]) {
    room.refused('mail');
    vi.advanceTimersByTime(ms - 1);
    room.refused('mail');
    expect(room.of('mail')).toBe(0);
    vi.advanceTimersByTime(1);
    expect(room.of('mail')).toBe(ALL);
  }
  room.spared('mail');
  room.refused('mail');
  vi.advanceTimersByTime(1_000);
  expect(room.of('mail')).toBe(ALL);
});

test('a task that needs no thread ends it when threads are free', () => {
  const held = [hold('a'), hold('b')];
  room.refused('mail');
  room.spared('mail');
  expect(room.of('mail')).toBe(0);
  for (const one of held) drop(one);
  room.spared('mail');
  expect(room.of('mail')).toBe(ALL);
});

test.each([
  { threads: 8, concurrency: 8 },
  { threads: 0, concurrency: 8 },
])('with $threads threads for $concurrency places nothing is short', (settings) => {
  room = createThreadRoom(settings, slots, () => undefined);
  for (const id of ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']) hold(id);
  room.refused('mail');
  expect(room.of('mail')).toBe(ALL);
});
