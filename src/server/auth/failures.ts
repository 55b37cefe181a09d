// Counts wrong keys by the address they came from.

import { LRUCache } from 'lru-cache';

const ALLOWED = 20;
const WINDOW_MS = 60_000;
/** Most addresses that are kept; beyond, the one idle the longest is forgotten, so that a flood costs bounded memory. */
const MOST_ADDRESSES = 10_000;

export interface Failures {
  /** Counts a wrong key. @returns seconds until the address may fail again; `undefined` while it still may */
  note(address: string): number | undefined;
}

/** @param now milliseconds of a clock that never goes back */
export function createFailures(now: () => number = () => performance.now()): Failures {
  const windows = new LRUCache<string, { count: number; readonly endsAt: number }>({ max: MOST_ADDRESSES });
  return {
    note(address) {
      const at = now();
      let window = windows.get(address);
      if (!window || window.endsAt <= at) {
        window = { count: 0, endsAt: at + WINDOW_MS };
        windows.set(address, window);
      }
      window.count += 1;
      return window.count > ALLOWED ? Math.ceil((window.endsAt - at) / 1_000) : undefined;
    },
  };
}
