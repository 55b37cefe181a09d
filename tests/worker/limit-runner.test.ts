// A semaphore in front of a runner: places, and deadlines.

import { expect, test } from 'vitest';
import { createPrefetch } from '../../src/worker/prefetch.ts';
import { createSemaphore } from '../../src/worker/runners/semaphore.ts';
import { limitRunner } from '../../src/worker/runners/semaphore.ts';
import { type Job, type RunEnd, type Runner, StopSource } from '../../src/worker/runners/runner.ts';

const job: Job = {
  queue: 'default',
  id: '01890000-0000-7000-8000-000000000000',
  type: 'tiny',
  claim: 1,
  content: Uint8Array.of(0),
  attempt: 1,
  timeoutMs: undefined,
};
const done: RunEnd = {
  kind: 'succeeded',
  result: Uint8Array.of(1),
  report: undefined,
};

function limited(run: Runner['run']): Runner {
  return limitRunner({ run }, createSemaphore(1), createPrefetch(1));
}

test('a run is stopped at its deadline', async () => {
  const begun = performance.now();
  const ended = await limited(
    (_job, stop) =>
      new Promise((resolve) => {
        stop.onStop((reason) => resolve({ kind: 'killed', stop: { reason, latencyMs: 0 } }));
      }),
  ).run({ ...job, timeoutMs: 20 }, new StopSource());
  expect(ended).toMatchObject({ kind: 'killed', stop: { reason: 'timed-out' } });
  expect(performance.now() - begun).toBeGreaterThanOrEqual(19);
});

test('a run that ended in time is not stopped afterwards', async () => {
  const stop = new StopSource();
  await limited(() => Promise.resolve(done)).run({ ...job, timeoutMs: 20 }, stop);
  await new Promise((resolve) => setTimeout(resolve, 60));
  expect(stop.reason).toBeUndefined();
});

test('one that finds no place in time does not begin, and the next one does', async () => {
  let runs = 0;
  let finish = (): void => undefined;
  const runner = limited(() => {
    runs += 1;
    return new Promise((resolve) => {
      finish = () => resolve(done);
    });
  });
  const first = runner.run(job, new StopSource());
  expect(await runner.run(job, new StopSource())).toEqual({ kind: 'not-begun' });
  finish();
  await first;
  const third = runner.run(job, new StopSource());
  finish();
  expect(await third).toEqual(done);
  expect(runs).toBe(2);
});

test.each<[string, Runner['run']]>([
  ['rejects', () => Promise.reject(new Error('broken'))],
  [
    'throws',
    () => {
      throw new Error('broken');
    },
  ],
])('a run that breaks (%s) gives its place back, and has no deadline any more', async (_how, run) => {
  const runner = limited(run);
  const stop = new StopSource();
  const tries = [0, 1].map(async () => {
    await runner.run({ ...job, timeoutMs: 1 }, stop);
  });
  for (const one of tries) await expect(one).rejects.toThrow('broken');
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(stop.reason).toBeUndefined();
});
