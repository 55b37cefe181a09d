// Times how fast a worker gets tasks recorded as done. The clock runs from the first record seen to the last, so that
// the start of the process counts for nobody.

import { setTimeout as sleep } from 'node:timers/promises';

/** A look costs Redis a few microseconds; this often, it finds the last completion early enough and disturbs nobody. */
const LOOK_EVERY_MS = 4;
const STUCK_AFTER_MS = 30_000;

/**
 * @param {() => Promise<number>} recorded how many completions are recorded
 * @param {(done: number) => unknown} onLook is told each number
 * @returns completions a second
 */
export async function completionRate(n, recorded, onLook = () => undefined) {
  let first;
  let done = 0;
  let movedAt = performance.now();
  while (done < n) {
    const seen = await recorded();
    const now = performance.now();
    if (seen > done) movedAt = now;
    done = seen;
    if (done > 0) first ??= { done, now };
    await onLook(done);
    if (done >= n) return ((done - first.done) / (now - first.now)) * 1_000;
    if (now - movedAt > STUCK_AFTER_MS) throw new Error(`stuck: ${done} of ${n} tasks were recorded`);
    await sleep(LOOK_EVERY_MS);
  }
}

/**
 * For a queue that would notice being asked all the time: the clock runs from the first handler, which is a little earlier than
 * the first record, and the queue is asked only when every handler has run.
 * @param worker of a peer (processes.mjs)
 * @param {() => Promise<boolean>} isRecorded whether every completion is
 * @returns completions a second
 */
export async function rateFromFirstRun(n, worker, isRecorded) {
  let runs = await worker.runs();
  for (; runs.ran < n; runs = await worker.runs()) await sleep(LOOK_EVERY_MS);
  const ranAt = performance.now();
  await eventually('every completion is recorded', isRecorded);
  return (n / (runs.sinceFirstMs + performance.now() - ranAt)) * 1_000;
}

/** @throws when tasks got lost or ran twice */
export function expectExactly(n, what, seen) {
  if (seen !== n) throw new Error(`${what}: expected exactly ${n}, found ${seen}`);
}

/** @throws when something remained undone after some time */
export async function eventually(what, isTrue, withinMs = 10_000) {
  const deadline = performance.now() + withinMs;
  while (!(await isTrue())) {
    if (performance.now() > deadline) throw new Error(`did not happen within ${withinMs} ms: ${what}`);
    await sleep(5);
  }
}
