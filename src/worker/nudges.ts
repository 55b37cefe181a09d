// What a fetch loop waits for while nothing may be fetched.

import { createChanges } from '../lifecycle.ts';

export interface Nudges {
  nudge(): void;
  /** Resolves with the next nudge, or when the signal fires. */
  next(signal: AbortSignal): Promise<void>;
}

export function createNudges(): Nudges {
  const { changed, until } = createChanges();
  let count = 0;
  return {
    nudge() {
      count += 1;
      changed();
    },
    next(signal) {
      const before = count;
      return until(() => count > before, signal);
    },
  };
}
