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
};
