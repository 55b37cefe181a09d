import { parse, validate, version } from 'uuid';
import { expect, test } from 'vitest';
import { newTaskId, timeOfTaskId } from '../../src/protocol/task-id.ts';

const MANY = 20_000;

test('ids are UUIDs of version 7 that hold the time at which they were made', () => {
  const before = Date.now();
  const id = newTaskId();
  expect(validate(id)).toBe(true);
  expect(version(id)).toBe(7);
  expect(timeOfTaskId(id)).toBeGreaterThanOrEqual(before);
  expect(timeOfTaskId(id)).toBeLessThanOrEqual(Date.now());
});

test('ids that are made one after the other sort in this order, also many in one millisecond, and none comes twice', () => {
  const ids = Array.from({ length: MANY }, newTaskId);
  expect(ids).toEqual(ids.toSorted());
  expect(new Set(ids).size).toBe(MANY);
  expect(new Set(ids.map(timeOfTaskId)).size).toBeLessThan(MANY / 2);
});

test('42 bits of an id are random: each is set in about half of the ids', () => {
  const counts = Array.from({ length: 42 }, () => 0);
  for (let made = 0; made < MANY; made += 1) {
    const bytes = parse(newTaskId());
    for (const bit of counts.keys()) {
      const at = 127 - bit;
      if (((bytes[at >> 3] ?? 0) >> (7 - (at & 7))) & 1) counts[bit] = (counts[bit] ?? 0) + 1;
    }
  }
  // 20 standard deviations wide.
  for (const count of counts) expect(Math.abs(count - MANY / 2)).toBeLessThan(1_500);
});
