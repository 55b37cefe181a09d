// Counts wrong keys by the address they came from.

const ALLOWED = 20;
const WINDOW_MS = 60_000;
/** Beyond it the oldest is forgotten: a flood from many addresses costs no more memory than this. */
const MOST_ADDRESSES = 10_000;

export interface Failures {
  /** Notes a wrong key. @returns seconds until the address may fail again; `undefined` while it still may */
  note(address: string): number | undefined;
}

/** @param now milliseconds of a clock that never goes back */
export function createFailures(now: () => number = () => performance.now()): Failures {
  const windows = new Map<string, { count: number; readonly endsAt: number }>();
  return {
    note(address) {
      const at = now();
      let window = windows.get(address);
      if (!window || window.endsAt <= at) {
        windows.delete(address); // so that it moves to the end of the order
        window = { count: 0, endsAt: at + WINDOW_MS };
        windows.set(address, window);
        if (windows.size > MOST_ADDRESSES) windows.delete(windows.keys().next().value ?? '');
      }
      window.count += 1;
      return window.count > ALLOWED ? Math.ceil((window.endsAt - at) / 1_000) : undefined;
    },
  };
}
