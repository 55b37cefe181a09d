// How many tasks are taken ahead: none, unless tasks are short and places will be free soon.

import { beforeEach, expect, test } from 'vitest';
import { type Prefetch, createPrefetch } from '../../src/worker/prefetch.ts';

const PLACES = 2;
let now = 0;
let prefetch: Prefetch;

beforeEach(() => {
  now = 1_000;
  prefetch = createPrefetch(PLACES, () => now);
});

function runMany(count: number, ms: number): void {
  for (let ran = 0; ran < count; ran += 1) {
    const run = prefetch.started();
    now += ms;
    prefetch.ended(run, ms);
  }
}

test('a worker that knows nothing of its tasks takes only as many as it can run', () => {
  expect(prefetch.limit()).toBe(PLACES);
});

test('long tasks are never taken ahead', () => {
  runMany(50, 20_000);
  expect(prefetch.limit()).toBe(PLACES);
  prefetch = createPrefetch(PLACES, () => now);
  runMany(50, 9);
  expect(prefetch.limit()).toBe(PLACES);
});

test('the shorter they are, the more, up to a bound', () => {
  runMany(50, 2);
  const short = prefetch.limit();
  expect(short).toBe(PLACES + 4);
  runMany(200, 0.01);
  expect(prefetch.limit()).toBeGreaterThan(short);
  expect(prefetch.limit()).toBeLessThanOrEqual(PLACES + 128);
});

test('a place gets several at once as long as all of them take no longer than a short wait', () => {
  expect(prefetch.batchSize()).toBe(1);
  runMany(50, 1);
  expect(prefetch.batchSize()).toBe(4);
  runMany(200, 0.01);
  expect(prefetch.batchSize()).toBeGreaterThan(100);
  runMany(1, 20_000);
  expect(prefetch.batchSize()).toBe(1);
});

test('a place that is taken for long counts for nothing, however short the others were', () => {
  runMany(200, 0.5);
  const before = prefetch.limit();
  prefetch.started();
  now += 100;
  const one = prefetch.limit();
  expect(one - PLACES).toBe((before - PLACES) / 2);
  prefetch.started();
  now += 100;
  expect(prefetch.limit()).toBe(PLACES);
});

test('after a task found no place nothing is taken until one is free, and nothing ahead for a while', () => {
  runMany(200, 0.1);
  const runs = Array.from({ length: PLACES }, () => prefetch.started());
  prefetch.refused();
  expect(prefetch.limit()).toBe(PLACES);
  for (const run of runs) prefetch.ended(run, undefined);
  expect(prefetch.limit()).toBe(PLACES);
  runMany(10, 0.1);
  expect(prefetch.limit()).toBe(PLACES);
  runMany(100, 0.1);
  expect(prefetch.limit()).toBeGreaterThan(PLACES);
});

test('a place that is free when a task goes back is taken, however long the other one runs on', () => {
  runMany(200, 0.1);
  prefetch.started();
  prefetch.refused();
  now += 600_000;
  expect(prefetch.limit()).toBe(PLACES);
});
