// How many tasks are taken ahead: none, unless tasks are short and places will be free soon.

import { beforeEach, expect, test } from 'vitest';
import { type Ahead, createAhead } from '../../src/worker/ahead.ts';

const PLACES = 2;
let now = 0;
let ahead: Ahead;

beforeEach(() => {
  now = 1_000;
  ahead = createAhead(PLACES, () => now);
});

function runMany(count: number, ms: number): void {
  for (let ran = 0; ran < count; ran += 1) {
    const run = ahead.begin();
    now += ms;
    ahead.end(run, ms);
  }
}

test('a worker that knows nothing of its tasks takes only as many as it can run', () => {
  expect(ahead.limit()).toBe(PLACES);
});

test('long tasks are never taken ahead', () => {
  runMany(50, 20_000);
  expect(ahead.limit()).toBe(PLACES);
  ahead = createAhead(PLACES, () => now);
  runMany(50, 9);
  expect(ahead.limit()).toBe(PLACES);
});

test('the shorter they are, the more, up to a bound', () => {
  runMany(50, 2);
  const short = ahead.limit();
  expect(short).toBe(PLACES + 4);
  runMany(200, 0.01);
  expect(ahead.limit()).toBeGreaterThan(short);
  expect(ahead.limit()).toBeLessThanOrEqual(PLACES + 128);
});

test('a place gets several at once as long as all of them take no longer than a short wait', () => {
  expect(ahead.together()).toBe(1);
  runMany(50, 1);
  expect(ahead.together()).toBe(4);
  runMany(200, 0.01);
  expect(ahead.together()).toBeGreaterThan(100);
  runMany(1, 20_000);
  expect(ahead.together()).toBe(1);
});

test('a place that is taken for long counts for nothing, however short the others were', () => {
  runMany(200, 0.5);
  const before = ahead.limit();
  ahead.begin();
  now += 100;
  const one = ahead.limit();
  expect(one - PLACES).toBe((before - PLACES) / 2);
  ahead.begin();
  now += 100;
  expect(ahead.limit()).toBe(PLACES);
});

test('after a task found no place nothing is taken until one is free, and nothing ahead for a while', () => {
  runMany(200, 0.1);
  const run = ahead.begin();
  ahead.refused();
  expect(ahead.limit()).toBe(1);
  ahead.end(run, undefined);
  expect(ahead.limit()).toBe(PLACES);
  runMany(10, 0.1);
  expect(ahead.limit()).toBe(PLACES);
  runMany(100, 0.1);
  expect(ahead.limit()).toBeGreaterThan(PLACES);
});
