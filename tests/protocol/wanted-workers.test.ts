// The number of workers that a queue wants, and what that does over a day of load.

import { expect, test } from 'vitest';
import { type QueueLoad, type ScaleGoal, wantedWorkers } from '../../src/protocol/wanted-workers.ts';

const IDLE: QueueLoad = {
  ready: 0,
  dueSoon: 0,
  running: 0,
  arrivalsPerSecond: 0,
  runSeconds: 2,
  slotsPerWorker: 4,
};
const GOAL: ScaleGoal = { waitSeconds: 10, min: 0, max: 100 };

test.each<[what: string, load: Partial<QueueLoad>, goal: Partial<ScaleGoal>, workers: number]>([
  ['nothing to do', {}, {}, 0],
  ['nothing to do, and a minimum', {}, { min: 2 }, 2],
  ['one task waits', { ready: 1 }, {}, 1],
  ['one task is due soon', { dueSoon: 1 }, {}, 1],
  // 10 a second of 2 s keep 20 slots busy; √20 = 4.5 to spare: 24.5 slots of 4.
  ['a steady load', { arrivalsPerSecond: 10 }, {}, 7],
  // 100 runs of 2 s in 10 s: 20 slots.
  ['a backlog of short runs', { ready: 100 }, {}, 5],
  // Runs of 20 s cannot follow each other in time: each waiting task needs a slot.
  ['a backlog of long runs', { ready: 100, runSeconds: 20 }, {}, 25],
  ['a backlog, and nothing is known of its runs', { ready: 8, runSeconds: undefined }, {}, 2],
  ['only running tasks', { running: 9 }, {}, 3],
  ['more than there may be', { ready: 10_000 }, { max: 6 }, 6],
  ['workers of one slot', { ready: 3, runSeconds: 60, slotsPerWorker: 1 }, {}, 3],
])('%s', (_, load, goal, workers) => {
  expect(wantedWorkers({ ...IDLE, ...load }, { ...GOAL, ...goal })).toBe(workers);
});

const SLOTS = 4;
const HOUR = 3_600;
/** A scaler asks so often, a worker takes so long to start, and none goes before so long a time without need (seconds). */
const ASKED_EVERY = 15;
const STARTS_IN = 20;
const GOES_AFTER = 300;
const STEP = 0.25;

/** Tasks a second at a time of day: none at night, a hump with its top at one o'clock. */
function arrivalRate(time: number): number {
  return Math.max(0, 3 * Math.sin((Math.PI * (time - 6 * HOUR)) / (14 * HOUR)));
}

/** Numbers from 0 to 1, always the same ones (a linear congruential generator of Numerical Recipes). */
function createRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

interface Day {
  /** Seconds that each task waited. */
  readonly waits: readonly number[];
  /** Workers at each full hour. */
  readonly workersAt: readonly number[];
  /** Slots that were there, and those that were busy, in seconds. */
  readonly slotSeconds: number;
  readonly busySeconds: number;
}

/** A day of a queue whose fleet has as many workers as it asks for, a start later. */
function simulateDay(goal: ScaleGoal): Day {
  const random = createRandom(42);
  const waiting: number[] = [];
  let ends: number[] = [];
  const arrivals: number[] = [];
  const waits: number[] = [];
  const workersAt: number[] = [];
  const asked: { at: number; workers: number }[] = [];
  let workers = goal.min;
  const starting: { at: number; workers: number }[] = [];
  let [slotSeconds, busySeconds, runs, runSum] = [0, 0, 0, 0];
  const dueOf = (since: number, now: number): number =>
    arrivals.filter((at) => at > now - since).length / since;
  for (let now = 0; now < 24 * HOUR; now += STEP) {
    if (random() < arrivalRate(now) * STEP) {
      waiting.push(now);
      arrivals.push(now);
    }
    ends = ends.filter((end) => end > now);
    while (starting[0] && starting[0].at <= now) workers = Math.max(workers, starting.shift()?.workers ?? 0);
    while (waiting.length > 0 && ends.length < workers * SLOTS) {
      const since = waiting.shift() ?? now;
      waits.push(now - since);
      const run = -4 * Math.log(1 - random());
      ends.push(now + run);
      runs += 1;
      runSum += run;
    }
    slotSeconds += workers * SLOTS * STEP;
    busySeconds += ends.length * STEP;
    if (now % HOUR === 0) workersAt.push(workers);
    if (now % ASKED_EVERY !== 0) continue;
    while (arrivals[0] !== undefined && arrivals[0] < now - 300) arrivals.shift();
    const wanted = wantedWorkers(
      {
        ready: waiting.length,
        dueSoon: 0,
        running: ends.length,
        arrivalsPerSecond: Math.max(dueOf(60, now), dueOf(300, now)),
        runSeconds: runs === 0 ? undefined : runSum / runs,
        slotsPerWorker: SLOTS,
      },
      goal,
    );
    asked.push({ at: now, workers: wanted });
    while (asked[0] && asked[0].at < now - GOES_AFTER) asked.shift();
    const kept = Math.max(...asked.map((one) => one.workers));
    if (kept > workers) starting.push({ at: now + STARTS_IN, workers: kept });
    else workers = Math.max(kept, Math.ceil(ends.length / SLOTS));
  }
  return { waits, workersAt, slotSeconds, busySeconds };
}

function longest(waits: readonly number[]): number {
  return waits.reduce((most, wait) => Math.max(most, wait), 0);
}

test('over a day every task starts in time, the workers are at their minimum at night, and much of their time is used', () => {
  const day = simulateDay({ waitSeconds: 30, min: 1, max: 50 });
  expect(day.waits.length).toBeGreaterThan(50_000);
  expect(longest(day.waits)).toBeLessThan(30);
  expect(day.workersAt.slice(0, 6)).toEqual([1, 1, 1, 1, 1, 1]);
  expect(day.workersAt.slice(-3)).toEqual([1, 1, 1]);
  expect(Math.max(...day.workersAt)).toBeGreaterThan(3);
  expect(day.busySeconds / day.slotSeconds).toBeGreaterThan(0.4);
});

test('the same day with too few workers: tasks wait', () => {
  expect(longest(simulateDay({ waitSeconds: 30, min: 1, max: 2 }).waits)).toBeGreaterThan(300);
});
