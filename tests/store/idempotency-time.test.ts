// How long an idempotency key finds its task: its window, by a clock that stands still while nobody sweeps.

import { expect, test } from 'vitest';
import { buildScriptsWithClock } from '../support/model-clock.ts';
import { openScriptedQueue, QUEUE } from '../support/scripted-queue.ts';
import { startStore } from '../support/store.ts';

const LEASE_MS = 1_000;
const HOUR_MS = 3_600_000;
const KEY = { key: 'order-1', windowMs: 5_000, digest: 'd' };

const { client } = await startStore(buildScriptsWithClock);

async function open() {
  const queue = await openScriptedQueue(client, { leaseMs: LEASE_MS, periodMs: 300 });
  await queue.sweep();
  const isTaken = async (): Promise<boolean> =>
    (await client.hexists(`pf:{${QUEUE}}:idempotency`, KEY.key)) === 1;
  return { ...queue, isTaken };
}

test('it is free when its window is over, however few sweeps there are', async () => {
  const { clock, enqueue, sweep, isTaken } = await open();
  await enqueue(1, { key: KEY });
  for (let ms = 0; ms < KEY.windowMs; ms += 900) {
    expect(await isTaken()).toBe(true);
    await clock.advance(900);
    await sweep();
  }
  expect(await isTaken()).toBe(false);
  await enqueue(1, { key: KEY });
  expect(await client.hget(`pf:{${QUEUE}}:count`, 'accepted')).toBe('2');
});

test('a clock that jumps ahead, or a fleet that was away, frees none early', async () => {
  const { clock, enqueue, sweep, isTaken } = await open();
  await enqueue(1, { key: KEY });
  await clock.advance(HOUR_MS);
  // Not even before the first sweep after it.
  await enqueue(1, { key: KEY });
  await sweep();
  await enqueue(1, { key: KEY });
  expect(await client.hget(`pf:{${QUEUE}}:count`, 'accepted')).toBe('1');
  await clock.advance(KEY.windowMs - LEASE_MS);
  await sweep();
  expect(await isTaken()).toBe(true);
});

test('a clock that is set back lets it live on by a ninth at most', async () => {
  const { clock, enqueue, sweep, isTaken } = await open();
  await enqueue(1, { key: KEY });
  await clock.advance(-HOUR_MS);
  // The first step shows that the clock was set back, and counts for nothing.
  for (let ms = -300; ms < KEY.windowMs * (10 / 9); ms += 300) {
    await clock.advance(300);
    await sweep();
  }
  expect(await isTaken()).toBe(false);
});
