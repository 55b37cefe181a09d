// Which of several pops that wait at the same time have a slot of the worker for what they bring.

import { createChanges } from '../lifecycle.ts';
import type { Slots } from './slots.ts';

/** A pop that waits. */
export interface WaitingPop {
  /** By `performance.now()`. */
  readonly since: number;
  /** A slot is reserved for what it brings. */
  hasSlot: boolean;
  /** Ends the wait from outside. */
  end(): void;
}

export interface PopSlots {
  /** Resolves when a slot is free, or another pop waits with one, or when the signal fires. */
  whenWorthwhile(signal: AbortSignal): Promise<void>;
  /** Whether a pop waits with a slot. */
  isLent(): boolean;
  /** Reserves a free slot. */
  reserve(): boolean;
  /** Takes the slot of another pop, which waits on without. @param before only of one that has waited since then */
  takeOver(before?: number): boolean;
  giveBack(): void;
  add(one: WaitingPop): void;
  remove(one: WaitingPop): void;
  /** Ends the pops that wait without a slot when there is none left for what they bring. */
  endUseless(): void;
  endAll(): void;
}

export function createPopSlots(slots: Pick<Slots, 'free' | 'reserve' | 'unreserve' | 'whenFree'>): PopSlots {
  const waiting = new Set<WaitingPop>();
  const lent = createChanges();
  const isLent = (): boolean => [...waiting].some(({ hasSlot }) => hasSlot);

  return {
    async whenWorthwhile(signal) {
      const over = new AbortController();
      const end = (): void => over.abort();
      signal.addEventListener('abort', end, { once: true });
      if (signal.aborted) end();
      await Promise.race([slots.whenFree(over.signal), lent.until(isLent, over.signal)]);
      signal.removeEventListener('abort', end);
      end();
    },

    isLent,
    reserve: () => slots.reserve(1) === 1,

    takeOver(before = Number.POSITIVE_INFINITY) {
      const other = [...waiting].find(({ hasSlot, since }) => hasSlot && since <= before);
      if (!other) return false;
      other.hasSlot = false;
      return true;
    },

    giveBack: () => slots.unreserve(1),

    add(one) {
      waiting.add(one);
      if (one.hasSlot) lent.changed();
    },

    remove: (one) => void waiting.delete(one),

    endUseless() {
      if (isLent() || slots.free() > 0) return;
      for (const one of waiting) one.end();
    },

    endAll() {
      for (const one of waiting) one.end();
    },
  };
}
