// Lets as many tasks run at the same time as there are places. Others wait in the order in which they came, and not for long.

import type { StopSource } from './stop-source.ts';

export interface Gate {
  /**
   * Takes a place: at once when there is one (`true`), or when one becomes free.
   * @returns false when that took too long, or the task was stopped meanwhile
   */
  enter(stop: StopSource): true | Promise<boolean>;
  leave(): void;
}

/** A task that was taken ahead and finds no place for this long is better off with another worker. */
export const PATIENCE_MS = 20;

export function createGate(places: number): Gate {
  let taken = 0;
  const waiting = new Set<(entered: boolean) => void>();

  function wait(stop: StopSource): Promise<boolean> {
    if (stop.reason) return Promise.resolve(false);
    return new Promise((resolve) => {
      const settle = (entered: boolean): void => {
        waiting.delete(settle);
        clearTimeout(timer);
        off();
        resolve(entered);
      };
      const timer = setTimeout(() => settle(false), PATIENCE_MS);
      const off = stop.onStop(() => settle(false));
      waiting.add(settle);
    });
  }

  return {
    enter(stop) {
      if (taken >= places) return wait(stop);
      taken += 1;
      return true;
    },

    leave() {
      // The place goes to whoever waits longest.
      const [next] = waiting;
      if (next) next(true);
      else taken -= 1;
    },
  };
}
