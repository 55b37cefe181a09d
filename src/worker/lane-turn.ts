// Which lane comes first: strict priority, but for a share of the tasks that are looked for at the lower lanes first.

import type { Lane, LowerShare } from '../protocol/lane.ts';

/** The lane at which the next task is looked for first. */
export type LaneTurn = () => Lane;

/** @param lowPercent share of the tasks that come from the lower lanes first, evenly spread; 0 = strict priority */
export function createLaneTurn(lowPercent: number): LaneTurn {
  let credit = 0;
  let lower: Lane = 'low';
  return () => {
    credit += lowPercent;
    if (credit < 100) return 'high';
    credit -= 100;
    // In turns, so that neither of the two starves behind the other.
    lower = lower === 'low' ? 'normal' : 'low';
    return lower;
  };
}

/** The turns of as many tasks as one call wants. */
export function takeTurns(turn: LaneTurn, want: number): LowerShare {
  const share = { normal: 0, low: 0 };
  for (let taken = 0; taken < want; taken += 1) {
    const lane = turn();
    if (lane !== 'high') share[lane] += 1;
  }
  return share;
}
