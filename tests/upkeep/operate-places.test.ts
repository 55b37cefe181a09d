// How a server works on operations: how large its slices are, when it pauses, and when it leaves a place to others.

import { expect, test } from 'vitest';
import { homeOf } from '../../src/store/keys.ts';
import type { Turn } from '../../src/store/operations.ts';
import { createOperatePlaces, nextMost, secondsFor } from '../../src/upkeep/operate-places.ts';
import { eventually } from '../support/eventually.ts';
import { silentLog } from '../support/store.ts';

const PLACE = homeOf('mail');

test('slices take about a millisecond: they grow slowly, shrink at once, and have their bounds', () => {
  expect(nextMost(50, 50, 0.5)).toBe(63);
  expect(nextMost(200, 200, 2)).toBe(100);
  expect(nextMost(50, 50, 100)).toBe(10);
  expect(nextMost(480, 480, 0.1)).toBe(500);
  // It has looked at nothing: what a task costs is not known.
  expect(nextMost(100, 0, 5)).toBe(100);
});

test('how long it takes is told before it begins, from the pace of its slices', () => {
  // Six milliseconds of seven are for others.
  expect([0, 1, 3_571, 3_572, 200_000].map(secondsFor)).toEqual([0, 1, 1, 2, 56]);
});

/** Answers these, then `none`; keeps how many tasks each slice was to have. */
function stage(...turns: (Turn | Error)[]) {
  const asked: number[] = [];
  const ended: string[] = [];
  const places = createOperatePlaces({
    async operate(_, most) {
      asked.push(most);
      const turn = turns.shift() ?? { word: 'none' };
      if (turn instanceof Error) throw turn;
      return turn;
    },
    onEnd: ({ queue }) => ended.push(queue),
    log: silentLog,
  });
  return { asked, ended, places };
}

const worked = (looked: number, tookMs: number, more: object = {}): Turn => ({
  word: 'worked',
  looked,
  waitMs: 0,
  tookMs,
  appended: 0,
  ...more,
});

test('it goes on until there is nothing to do, and has relayed what it has ended', async () => {
  const { asked, ended, places } = stage(worked(50, 0.5), worked(63, 1, { appended: 3 }));
  places.soon(PLACE);
  places.soon(PLACE);
  await eventually(() => asked.length === 4);
  await places.stop();
  // The last one, because it was asked again meanwhile.
  expect(asked).toEqual([50, 63, 63, 50]);
  expect(ended).toEqual(['mail']);
});

test('a place on which another server works, or that cannot be reached, is left alone until somebody asks again', async () => {
  const { asked, places } = stage({ word: 'taken' }, new Error('gone'));
  for (const count of [1, 2, 3]) {
    places.soon(PLACE);
    await eventually(() => asked.length === count);
    await new Promise((resolve) => setImmediate(resolve));
  }
  await places.stop();
  places.soon(PLACE);
  expect(asked.length).toBe(3);
});

test('it stops between two slices, also while it waits for long', async () => {
  const { asked, places } = stage(worked(50, 1, { waitMs: 1_000_000 }));
  places.soon(PLACE);
  await eventually(() => asked.length === 1);
  await places.stop();
  expect(asked.length).toBe(1);
});
