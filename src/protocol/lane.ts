// Priority lanes of a queue, in the order in which they are served.

export const LANES = ['high', 'normal', 'low'] as const;
export type Lane = (typeof LANES)[number];
export const DEFAULT_LANE: Lane = 'normal';
