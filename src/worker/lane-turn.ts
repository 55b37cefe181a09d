// Whose turn it is: strict priority, but for a share of the fetches that begin at the lower lanes.

import type { Lane } from '../protocol/lane.ts';

/** The lane at which the next fetch begins to look. */
export type LaneTurn = () => Lane;

/** @param lowPercent share of the fetches that serve the lower lanes first, evenly spread; 0 = strict priority */
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
