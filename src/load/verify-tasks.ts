// The third phase, the proof: looks up every id that was answered with 202, one by one, and counts the states.

import { delay } from '../lifecycle.ts';
import { readTaskSight, type TaskTimes } from './api.ts';
import { awaitTask, taskPath } from './drain.ts';
import { type LoadRun, runLoops } from './run.ts';

/** Where the accepted tasks ended: `accepted = succeeded + dead + cancelled + missing + unfinished`. */
export interface Verified {
  readonly succeeded: number;
  readonly dead: number;
  readonly cancelled: number;
  /** Ids that the server has accepted and does not find. */
  readonly missingIds: readonly string[];
  /** Ids of tasks that were not seen to end before the deadline. */
  readonly unfinishedIds: readonly string[];
  /** From acceptance to the start of the (last) run, by the server's clock, in milliseconds. */
  readonly queueWaitMs: readonly number[];
  /** From acceptance to the end, by the server's clock, in milliseconds. */
  readonly totalMs: readonly number[];
  /** From the first acceptance to the last end, by the server's clock, in milliseconds. */
  readonly spanMs: number;
}

/** Looks up each id, and those still open again until they have ended, until `deadline` on the clock of the run. */
export async function verifyTasks(run: LoadRun, ids: readonly string[], deadline: number): Promise<Verified> {
  const counts = { succeeded: 0, dead: 0, cancelled: 0 };
  const missingIds: string[] = [];
  const times = collectTimes();
  let open = ids;

  run.progress.begin('checking', ids.length);
  for (;;) {
    open = await lookThrough(run, open, deadline, {
      ended(state, taskTimes) {
        counts[state] += 1;
        times.add(taskTimes);
      },
      missing: (id) => missingIds.push(id),
      settled: (stillOpen) => run.progress.show(ids.length - stillOpen),
    });
    const last = open.at(-1);
    if (last === undefined || run.signal.aborted || run.now() >= deadline) break;
    await awaitTask(run, last, deadline, async () => undefined);
  }
  run.progress.end();
  return { ...counts, missingIds, unfinishedIds: open, ...times.result() };
}

interface Sightings {
  ended(state: 'succeeded' | 'dead' | 'cancelled', times: TaskTimes): void;
  missing(id: string): void;
  settled(stillOpen: number): void;
}

/** Reads the task of every id once, also after the deadline. Returns the ids that are still open. */
async function lookThrough(
  run: LoadRun,
  ids: readonly string[],
  deadline: number,
  sightings: Sightings,
): Promise<readonly string[]> {
  const { options, client, progress, signal, now } = run;
  const open: string[] = [];
  let next = 0;
  let settled = 0;
  let silent = false;
  await runLoops(Math.min(options.inFlight, ids.length), async () => {
    const id = ids[next];
    if (id === undefined || signal.aborted) return false;
    next += 1;
    // When the server does not answer after the deadline, the remaining ids are not requested.
    if (silent && now() >= deadline) {
      open.push(id);
      return true;
    }
    const sight = readTaskSight(await client.get(taskPath(id)));
    silent = sight.kind === 'unseen';
    switch (sight.kind) {
      case 'ended':
        sightings.ended(sight.state, sight.times);
        break;
      case 'missing':
        sightings.missing(id);
        break;
      case 'open':
        open.push(id);
        return true;
      case 'unseen':
        open.push(id);
        progress.note(sight.reason);
        await delay(Math.max(0, Math.min(sight.retryAfterMs, deadline - now())), signal);
        return true;
    }
    settled += 1;
    sightings.settled(ids.length - settled);
    return true;
  });
  return open;
}

function collectTimes() {
  const queueWaitMs: number[] = [];
  const totalMs: number[] = [];
  let firstMs = Number.POSITIVE_INFINITY;
  let lastMs = Number.NEGATIVE_INFINITY;
  return {
    add({ acceptedAtMs, startedAtMs, finishedAtMs }: TaskTimes): void {
      const waitMs = startedAtMs - acceptedAtMs;
      const tookMs = finishedAtMs - acceptedAtMs;
      if (!Number.isNaN(waitMs)) queueWaitMs.push(waitMs);
      if (Number.isNaN(tookMs)) return;
      totalMs.push(tookMs);
      firstMs = Math.min(firstMs, acceptedAtMs);
      lastMs = Math.max(lastMs, finishedAtMs);
    },
    result: () => ({ queueWaitMs, totalMs, spanMs: Math.max(0, lastMs - firstMs) }),
  };
}
