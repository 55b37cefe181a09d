// Places: one for each run, given on in the order of arrival, and not waited for for long.

import { expect, test } from 'vitest';
import { createGate } from '../../src/worker/gate.ts';
import { PATIENCE_MS } from '../../src/worker/patience.ts';
import { StopSource } from '../../src/worker/stop-source.ts';

test('as many enter at once as there are places; the next ones in their order, as others leave', async () => {
  const gate = createGate(2);
  expect([gate.enter(new StopSource()), gate.enter(new StopSource())]).toEqual([true, true]);
  const order: string[] = [];
  const waiting = ['first', 'second'].map(async (name) => {
    if (await gate.enter(new StopSource())) order.push(name);
  });
  gate.leave();
  await waiting[0];
  expect(order).toEqual(['first']);
  gate.leave();
  await Promise.all(waiting);
  expect(order).toEqual(['first', 'second']);
  // Both places are taken again: by those that waited.
  const late = gate.enter(new StopSource());
  expect(late).toBeInstanceOf(Promise);
  gate.leave();
  expect(await late).toBe(true);
});

test('whoever finds no place in time is told so, and takes none later', async () => {
  const gate = createGate(1);
  void gate.enter(new StopSource());
  const begun = performance.now();
  expect(await gate.enter(new StopSource())).toBe(false);
  expect(performance.now() - begun).toBeGreaterThanOrEqual(PATIENCE_MS - 2);
  gate.leave();
  expect(gate.enter(new StopSource())).toBe(true);
});

test('whoever shall stop does not wait, whether told before or meanwhile', async () => {
  const gate = createGate(1);
  void gate.enter(new StopSource());
  const told = new StopSource();
  told.stop('cancelled');
  expect(await gate.enter(told)).toBe(false);
  const meanwhile = new StopSource();
  const waiting = gate.enter(meanwhile);
  meanwhile.stop('shutting-down');
  expect(await waiting).toBe(false);
  gate.leave();
  expect(gate.enter(new StopSource())).toBe(true);
});
