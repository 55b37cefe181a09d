// Who waits for a place does not wait for long: with one timer for all, because all wait equally long.

/** A task that was taken ahead and finds no place for this long is better off with another worker. */
export const PATIENCE_MS = 20;

export interface Patience<T> {
  begin(one: T): void;
  /** It waits no more. */
  end(one: T): void;
}

/** @param lost called once for each that has waited too long */
export function createPatience<T>(lost: (one: T) => void, patienceMs: number = PATIENCE_MS): Patience<T> {
  /** Since when (milliseconds of `performance.now()`), the longest first. */
  const waiting = new Map<T, number>();
  let timer: NodeJS.Timeout | undefined;

  function look(): void {
    timer = undefined;
    const now = performance.now();
    for (const [one, since] of waiting) {
      const leftMs = since + patienceMs - now;
      if (leftMs > 0) {
        timer = setTimeout(look, leftMs);
        return;
      }
      waiting.delete(one);
      lost(one);
    }
  }

  return {
    begin(one) {
      waiting.set(one, performance.now());
      timer ??= setTimeout(look, patienceMs);
    },

    end: (one) => void waiting.delete(one),
  };
}
