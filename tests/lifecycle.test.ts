import { once } from 'node:events';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { timeLimit } from '../src/lifecycle.ts';
import { collectGarbage } from './support/garbage.ts';

const NEVER_MS = 60_000;

test('a time limit fires although the garbage collector has run meanwhile', async () => {
  const limits = Array.from({ length: 20 }, () => timeLimit(200, new AbortController().signal));
  const fired = Promise.all(limits.map((limit) => once(limit, 'abort')));
  await nextTurn();
  collectGarbage();
  // A timer that the test holds, so that the process is alive until the limits have fired.
  const alive = setTimeout(() => undefined, NEVER_MS);
  await fired;
  clearTimeout(alive);
  expect(limits.every(({ aborted }) => aborted)).toBe(true);
});

test('a time limit fires with the other signal, also with one that has fired', () => {
  const other = new AbortController();
  const limit = timeLimit(NEVER_MS, other.signal);
  expect(limit.aborted).toBe(false);
  other.abort();
  expect(limit.aborted).toBe(true);
  expect(timeLimit(NEVER_MS, other.signal).aborted).toBe(true);
});
