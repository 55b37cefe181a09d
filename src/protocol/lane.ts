// Priority lanes of a queue, in the order in which they are served.

export const LANES = ['high', 'normal', 'low'] as const;
export type Lane = (typeof LANES)[number];
export const DEFAULT_LANE: Lane = 'normal';

/** The order of lanes for a fetch that begins at a lane: from a lower one, both lower ones come before the highest. */
export const LANES_FROM = {
  high: LANES,
  normal: ['normal', 'low', 'high'],
  low: ['low', 'normal', 'high'],
} as const satisfies Record<Lane, readonly Lane[]>;

/** How many of the tasks of a call are looked for at each lower lane first; all others at the highest. */
export type LowerShare = Readonly<Partial<Record<Exclude<Lane, 'high'>, number>>>;

/** Returns the lane at which the next task is looked for first. */
export type LaneTurn = () => Lane;

/**
 * Strict priority, except for a share of the tasks, which are looked for at the lower lanes first.
 * @param lowPercent share of the tasks that come from the lower lanes first, evenly spread; 0 = strict priority
 */
export function createLaneTurn(lowPercent: number): LaneTurn {
  let credit = 0;
  let lower: Lane = 'low';
  return () => {
    credit += lowPercent;
    if (credit < 100) return 'high';
    credit -= 100;
    // In turns, so that neither of the lower lanes starves.
    lower = lower === 'low' ? 'normal' : 'low';
    return lower;
  };
}

/** The turns for the `want` tasks of one call. */
export function takeTurns(turn: LaneTurn, want: number): LowerShare {
  const share = { normal: 0, low: 0 };
  for (let taken = 0; taken < want; taken += 1) {
    const lane = turn();
    if (lane !== 'high') share[lane] += 1;
  }
  return share;
}
