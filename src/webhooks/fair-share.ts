// Keeps receivers that hang from taking every place: one that is slow has a part of them, so that others are told on time.

import { LRUCache } from 'lru-cache';

export interface FairShare {
  /** Begins a call. @returns ends it; `undefined` when the receiver has its part of the places already, and is slow */
  enter(host: string): (() => void) | undefined;
}

/** A part of all places. */
const PART = 1 / 4;
/** A call that takes longer makes a receiver a slow one, until one takes less. */
const SLOW_MS = 2_000;
const HOSTS_KNOWN = 1_000;

interface Calls {
  /** When each that is under way began, the oldest first. */
  readonly underWay: Set<{ readonly at: number }>;
  wasSlow: boolean;
}

/** @param now milliseconds of a clock that never goes back */
export function createFairShare(places: number, now: () => number = () => performance.now()): FairShare {
  const most = Math.max(1, Math.floor(places * PART));
  const hosts = new LRUCache<string, Calls>({ max: HOSTS_KNOWN });

  function isSlow({ wasSlow, underWay }: Calls): boolean {
    const [oldest] = underWay;
    return wasSlow || (oldest !== undefined && now() - oldest.at > SLOW_MS);
  }

  return {
    enter(host) {
      const calls = hosts.get(host) ?? { underWay: new Set(), wasSlow: false };
      hosts.set(host, calls);
      if (calls.underWay.size >= most && isSlow(calls)) return undefined;
      const call = { at: now() };
      calls.underWay.add(call);
      return () => {
        calls.underWay.delete(call);
        calls.wasSlow = now() - call.at > SLOW_MS;
      };
    },
  };
}
