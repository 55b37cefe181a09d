// Priority lanes of a queue, in the order in which they are served.

export const LANES = ['high', 'normal', 'low'] as const;
export type Lane = (typeof LANES)[number];
export const DEFAULT_LANE: Lane = 'normal';

/** The order for a fetch that begins at each lane: at a lower one, both lower ones go before the highest. */
export const LANES_FROM = {
  high: LANES,
  normal: ['normal', 'low', 'high'],
  low: ['low', 'normal', 'high'],
} as const satisfies Record<Lane, readonly Lane[]>;

/** Of the tasks that a call takes, how many begin to be looked for at a lower lane; all others at the highest. */
export type LowerShare = Readonly<Partial<Record<Exclude<Lane, 'high'>, number>>>;
