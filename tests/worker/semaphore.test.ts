// Places: one for each run, given on in the order of arrival, and not waited for for long.

import { expect, test } from 'vitest';
import { createSemaphore, WAIT_LIMIT_MS } from '../../src/worker/runners/semaphore.ts';
import { StopSource } from '../../src/worker/runners/runner.ts';

test('as many acquire one at once as there are places; the next ones in their order, as others release theirs', async () => {
  const semaphore = createSemaphore(2);
  expect([semaphore.acquire(new StopSource()), semaphore.acquire(new StopSource())]).toEqual([true, true]);
  const order: string[] = [];
  const waiting = ['first', 'second'].map(async (name) => {
    if (await semaphore.acquire(new StopSource())) order.push(name);
  });
  semaphore.release();
  await waiting[0];
  expect(order).toEqual(['first']);
  semaphore.release();
  await Promise.all(waiting);
  expect(order).toEqual(['first', 'second']);
  // Both places are taken again: by those that waited.
  const late = semaphore.acquire(new StopSource());
  expect(late).toBeInstanceOf(Promise);
  semaphore.release();
  expect(await late).toBe(true);
});

test('one that finds no place in time gets false, and takes none later', async () => {
  const semaphore = createSemaphore(1);
  void semaphore.acquire(new StopSource());
  const begun = performance.now();
  expect(await semaphore.acquire(new StopSource())).toBe(false);
  expect(performance.now() - begun).toBeGreaterThanOrEqual(WAIT_LIMIT_MS - 2);
  semaphore.release();
  expect(semaphore.acquire(new StopSource())).toBe(true);
});

test('one that shall stop does not wait, whether it was stopped before or meanwhile', async () => {
  const semaphore = createSemaphore(1);
  void semaphore.acquire(new StopSource());
  const stopped = new StopSource();
  stopped.stop('cancelled');
  expect(await semaphore.acquire(stopped)).toBe(false);
  const meanwhile = new StopSource();
  const waiting = semaphore.acquire(meanwhile);
  meanwhile.stop('shutting-down');
  expect(await waiting).toBe(false);
  semaphore.release();
  expect(semaphore.acquire(new StopSource())).toBe(true);
});
