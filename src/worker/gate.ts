// Lets as many run at the same time as there are places. Others wait in the order in which they came, and not for long.

import { createPatience } from './patience.ts';
import type { StopSource } from './stop-source.ts';

export interface Gate {
  readonly places: number;
  /** Places that nobody has. */
  free(): number;
  /** Takes a place when there is one; else `given` is called once, when one was taken for it. */
  take(given: () => void): boolean;
  /**
   * Takes a place: at once when there is one (`true`), or when one becomes free.
   * @returns false when that took too long, or the task was stopped meanwhile
   */
  enter(stop: StopSource): true | Promise<boolean>;
  leave(): void;
}

export function createGate(places: number): Gate {
  let taken = 0;
  /** What each calls that waits, the longest first. */
  const waiting = new Set<() => void>();
  const patience = createPatience<(entered: boolean) => void>((settle) => settle(false));

  function take(given: () => void): boolean {
    if (taken >= places) {
      waiting.add(given);
      return false;
    }
    taken += 1;
    return true;
  }

  function wait(stop: StopSource): Promise<boolean> {
    if (stop.reason) return Promise.resolve(false);
    return new Promise((resolve) => {
      const settle = (entered: boolean): void => {
        waiting.delete(given);
        patience.end(settle);
        off();
        resolve(entered);
      };
      const given = (): void => settle(true);
      const off = stop.onStop(() => settle(false));
      patience.begin(settle);
      take(given);
    });
  }

  return {
    places,
    free: () => places - taken,
    take,

    enter(stop) {
      if (taken >= places) return wait(stop);
      taken += 1;
      return true;
    },

    leave() {
      // The place goes to whoever waits longest.
      const [next] = waiting;
      if (next) {
        waiting.delete(next);
        next();
      } else taken -= 1;
    },
  };
}
