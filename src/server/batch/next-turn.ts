// Long work in pieces.

/** Resolves when the event loop has been round: the requests of others have their turn meanwhile. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
