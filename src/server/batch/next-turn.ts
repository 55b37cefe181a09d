// Splits long work into turns of the event loop.

/** Resolves in the next turn of the event loop: other requests get theirs meanwhile. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
