// Worlds that the hand-over of tasks must survive, each a few steps long.

import { handGraceOf } from '../../src/store/hand-grace.ts';
import type { Step } from './model-steps.ts';

const PLAIN: Step = {
  do: 'enqueue',
  count: 1,
  lane: 'normal',
  delayMs: 0,
  ttlMs: 0,
  twice: false,
  followed: false,
  tagged: false,
};

/** The answer to it says whether somebody is idle. */
const LATER: Step = { ...PLAIN, delayMs: 900 };

/** In the second of two queues. */
function elsewhere(...steps: readonly Step[]): readonly Step[] {
  return steps.map((step) => Object.assign({ queue: 1 }, step));
}

/** As many tasks as a worker has places, in one queue and then in the other one, and it reads what it was handed. */
const FULL: Step = { ...PLAIN, count: 3 };
const FULL_BOTH: readonly Step[] = [
  FULL,
  ...elsewhere(LATER, FULL),
  { do: 'hear', worker: 0 },
  ...elsewhere({ do: 'hear', worker: 0 }),
];

/** It offers places, and takes a task of the other queue: it wants to offer them there. */
const WANTS_ELSEWHERE: readonly Step[] = [
  { do: 'beat', worker: 0 },
  ...elsewhere(
    PLAIN,
    { do: 'pop', worker: 0, lost: 'no', want: 0 },
    { do: 'finish', worker: 0, word: 'succeeded', count: 1, want: 0, lost: false },
  ),
];

/** A task stands in the socket of the first worker, which was handed it. */
const HANDED: readonly Step[] = [{ do: 'beat', worker: 0 }, PLAIN];

/** Longer than a lease, in which others sweep. */
const LEASE_PASSES: readonly Step[] = Array.from({ length: 4 }, (): readonly Step[] => [
  { do: 'sweep' },
  { do: 'advance', ms: 450 },
]).flat();

/** As `HANDED`, and the lease ends in the next moment. */
const HANDED_AT_LAST: readonly Step[] = [
  { do: 'beat', worker: 0 },
  ...LEASE_PASSES.slice(0, 4),
  { do: 'sweep' },
  { do: 'advance', ms: 80 },
  PLAIN,
  { do: 'advance', ms: 50 },
  { do: 'sweep' },
  { do: 'pop', worker: 1, lost: 'no', want: 0 },
];

/** Longer than the grace of a hand, and no lease: others look at it twice. */
const GRACE_PASSES: readonly Step[] = [
  { do: 'advance', ms: handGraceOf(1_000) },
  { do: 'sweep' },
  { do: 'advance', ms: 100 },
  { do: 'sweep' },
];

/** What hand-over must survive, by the interleaving that each rule closes. */
export const HANDS: Readonly<Record<string, readonly Step[]>> = {
  'a hand that is read after `held` has brought its task, and that has run': [
    ...HANDED,
    { do: 'beat', worker: 0 },
    { do: 'finish', worker: 0, word: 'succeeded', count: 1, want: 0, lost: false },
    { do: 'hear', worker: 0 },
  ],
  'a hand in the socket of a worker that is frozen for longer than its lease': [
    ...HANDED,
    ...LEASE_PASSES,
    { do: 'sweep' },
    { do: 'pop', worker: 1, lost: 'no', want: 0 },
    { do: 'hear', worker: 0 },
  ],
  'the same, and it beats before it reads': [
    ...HANDED,
    ...LEASE_PASSES,
    { do: 'sweep' },
    { do: 'pop', worker: 1, lost: 'no', want: 0 },
    { do: 'beat', worker: 0 },
    { do: 'hear', worker: 0 },
  ],
  'a hand in the socket of a worker that is frozen until it has gone back': [
    ...HANDED,
    ...GRACE_PASSES,
    { do: 'pop', worker: 1, lost: 'no', want: 0 },
    { do: 'hear', worker: 0 },
  ],
  'a worker that is cut off in the moment in which it begins what it was handed': [
    ...HANDED,
    { do: 'hear', worker: 0, lost: 'request' },
    ...GRACE_PASSES,
    { do: 'pop', worker: 1, lost: 'no', want: 0 },
    { do: 'finish', worker: 0, word: 'succeeded', count: 1, want: 0, lost: false },
  ],
  'a worker that does not hear that it was heard': [
    ...HANDED,
    { do: 'hear', worker: 0, lost: 'reply' },
    ...GRACE_PASSES,
    { do: 'pop', worker: 1, lost: 'no', want: 0 },
    { do: 'beat', worker: 0 },
  ],
  'a Redis whose clock is set forward before it has read that a hand was heard': [
    ...HANDED,
    { do: 'hear', worker: 0, lost: 'late' },
    { do: 'jump', ms: 600 },
    { do: 'sweep' },
    { do: 'arrive', worker: 0 },
    { do: 'advance', ms: 100 },
    { do: 'sweep' },
    { do: 'pop', worker: 1, lost: 'no', want: 0 },
  ],
  'a hand in the socket of a worker whose lease ends before it reads that': [
    ...HANDED_AT_LAST,
    { do: 'hear', worker: 0 },
  ],
  'the same, and it beats before it reads that': [
    ...HANDED_AT_LAST,
    { do: 'beat', worker: 0 },
    { do: 'hear', worker: 0 },
  ],
  'a worker that leaves while a hand is on its way': [...HANDED, { do: 'leave', worker: 0 }, PLAIN],
  'a worker that is killed while it is idle': [{ do: 'beat', worker: 0 }, { do: 'crash', worker: 0 }, PLAIN],
  'a worker that is killed with a hand in its socket': [...HANDED, { do: 'crash', worker: 0 }, PLAIN],
  'a message of another program that comes while a hand is on its way': [
    { do: 'beat', worker: 0 },
    { ...PLAIN, count: 3 },
    PLAIN,
    { do: 'pop', worker: 0, lost: 'no', want: 2 },
    { do: 'hear', worker: 0 },
  ],
  'several queues: a message of another program that fills a place, and then tasks for all places': [
    PLAIN,
    { do: 'beat', worker: 0 },
    { do: 'pop', worker: 0, lost: 'no', want: 0 },
    ...elsewhere({ do: 'beat', worker: 0 }),
    LATER,
    FULL,
    { do: 'hear', worker: 0 },
    { do: 'finish', worker: 0, word: 'succeeded', count: 1, want: 0, lost: false },
    { do: 'pop', worker: 0, lost: 'no', want: 2 },
    { do: 'finish', worker: 0, word: 'succeeded', count: 3, want: 0, lost: false },
    LATER,
    PLAIN,
    { do: 'hear', worker: 0 },
  ],
  'several queues: tasks for all places, in each of them': [
    { do: 'beat', worker: 0 },
    ...elsewhere({ do: 'beat', worker: 0 }),
    ...FULL_BOTH,
  ],
  'several queues: the same, when it wants to offer its places in the other one': [
    ...WANTS_ELSEWHERE,
    ...elsewhere({ do: 'beat', worker: 0 }),
    ...FULL_BOTH,
  ],
  'several queues: the same, when it offers them in the other one': [
    ...WANTS_ELSEWHERE,
    { do: 'beat', worker: 0 },
    ...elsewhere({ do: 'beat', worker: 0 }),
    ...FULL_BOTH,
  ],
  'several queues: tasks that are handed over while a pop of another queue is on its way': [
    { do: 'beat', worker: 0 },
    FULL,
    ...elsewhere(PLAIN, { do: 'pop', worker: 0, lost: 'no', want: 0, hears: true }),
  ],
  'several queues: tasks that are handed over, and find what was popped from another one in their places': [
    { do: 'beat', worker: 0 },
    FULL,
    ...elsewhere(FULL, { do: 'pop', worker: 0, lost: 'no', want: 2 }),
    { do: 'hear', worker: 0 },
    { do: 'finish', worker: 0, word: 'succeeded', count: 1, want: 0, lost: false },
  ],
};
