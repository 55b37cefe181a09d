// Whose turn it is: strict priority, but for a share of the fetches that begin at the lowest lane.

import type { FirstLane } from '../store/consumer.ts';

/** The lane at which the next fetch begins to look. */
export type LaneTurn = () => FirstLane;

/** @param lowPercent share of the fetches that serve the lower lanes first, evenly spread; 0 = strict priority */
export function createLaneTurn(lowPercent: number): LaneTurn {
  let credit = 0;
  return () => {
    credit += lowPercent;
    if (credit < 100) return 'high';
    credit -= 100;
    return 'low';
  };
}
