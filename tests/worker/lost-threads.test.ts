// Threads that run out of memory while they are ended: whichever comes first, their worker lives, and neighbours go on.
// POPFLEET_THREAD_KILLS sets how many; `npm run test:thread-kills` ends a hundred.

import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { StopReason } from '../../src/worker/runners/runner.ts';
import { endOf, type SentRun, startPool, type TestPool } from '../support/thread-pool.ts';

const MODULE = fileURLToPath(new URL('../fixtures/life.mjs', import.meta.url));
const PLACES = 4;
const HOGS = Number(process.env['POPFLEET_THREAD_KILLS'] ?? 8);

let threads: TestPool;
/** Milliseconds until a thread has filled its memory. */
let filledMs: number;

beforeAll(async () => {
  threads = await startPool({ module: MODULE, places: PLACES, threadMemoryMb: 32 });
  const begun = performance.now();
  const [hog] = threads.send({ type: 'hog' });
  expect(await hog?.ended).toMatchObject({ kind: 'thread-lost', cause: 'out-of-memory' });
  filledMs = performance.now() - begun;
});

afterAll(() => threads.pool.stop());

/** Around the time that it takes to fill the memory. */
function timesOf(count: number): readonly number[] {
  return Array.from({ length: count }, (_, index) => filledMs * (0.4 + (0.9 * index) / count));
}

async function beside(run: () => Promise<void>): Promise<void> {
  const [neighbour] = threads.send({ type: 'where', input: { ms: 4 * filledMs } });
  await run();
  expect(neighbour && (await neighbour.ended)).toMatchObject({
    kind: 'succeeded',
  });
  expect(await threads.run('where')).toHaveProperty('threadId');
}

test(`case 2: at the deadline, ${HOGS} times: each fails with its cause, nobody else notices`, async () => {
  await beside(async () => {
    const sent = threads.send(
      ...timesOf(HOGS).map((ms) => ({ type: 'hog', timeoutMs: Math.max(1, Math.round(ms)) })),
    );
    for (const { ended } of sent) {
      const end = await ended;
      if (end.kind === 'killed') expect(end.stop.reason).toBe('timed-out');
      else expect(end).toMatchObject({ kind: 'thread-lost', cause: 'out-of-memory' });
    }
  });
});

test.each<[StopReason]>([['cancelled'], ['shutting-down'], ['lease-lost']])(
  'case 2: out of memory while it is to stop (%s): it has stopped, which is no failure',
  async (reason) => {
    await beside(async () => {
      for (const ms of timesOf(HOGS / 4)) {
        const [hog] = threads.send({ type: 'hog' });
        expect(hog && [await stopAfter(hog, ms, reason), await endOf(hog)]).toSatisfy(
          // One that had not begun yet goes back.
          ([asked, end]: [boolean, string]) =>
            (asked ? ['killed', 'not-begun'] : ['thread-lost']).includes(end),
        );
      }
    });
  },
);

/** @returns whether it was asked to stop before it had ended */
async function stopAfter({ stop, ended }: SentRun, ms: number, reason: StopReason): Promise<boolean> {
  let isOver = false;
  const over = ended.then(() => {
    isOver = true;
  });
  await Promise.race([over, new Promise((resolve) => setTimeout(resolve, ms))]);
  if (isOver) return false;
  stop.stop(reason);
  return true;
}
