// Which cell of a worker has which task, from reading to reading.

import { expect, test } from 'vitest';
import { seatTasks } from '../../src/ui/seats.ts';

test('a task keeps its cell, and what is new takes the first that is free', () => {
  const first = seatTasks([], ['a', 'b', 'c', 'd'], 3);
  expect(first).toEqual(['a', 'b', 'c']);
  const second = seatTasks(first, ['b', 'c', 'd', 'e'], 3);
  expect(second).toEqual(['d', 'b', 'c']);
  expect(seatTasks(second, ['c'], 3)).toEqual([undefined, undefined, 'c']);
  expect(seatTasks(second, ['c', 'd'], 2)).toEqual(['d', 'c']);
});
