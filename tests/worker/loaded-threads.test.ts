// Which threads have loaded, while threads come and go.

import { expect, test } from 'vitest';
import { createLoadedThreads } from '../../src/worker/loaded-threads.ts';

test('one has loaded once it says so', () => {
  const loaded = createLoadedThreads(() => [1, 2]);
  loaded.add(1);
  expect([loaded.has(1), loaded.has(2)]).toEqual([true, false]);
});

test('all have when those that are there now have, also one that came later', async () => {
  const present = [1, 2];
  const loaded = createLoadedThreads(() => present);
  const seen: string[] = [];
  const all = loaded.whenAll().then(() => seen.push('all'));
  loaded.add(1);
  present.splice(0, 1, 3); // The first was ended, and another took its place.
  loaded.add(2);
  await new Promise((resolve) => setImmediate(resolve));
  expect(seen).toEqual([]);
  expect(loaded.has(1)).toBe(false);
  loaded.add(3);
  await all;
  expect(seen).toEqual(['all']);
});

test('nothing is waited for when nothing loads', async () => {
  await createLoadedThreads(() => []).whenAll();
  const loaded = createLoadedThreads(() => [7]);
  loaded.add(7);
  await loaded.whenAll();
});
