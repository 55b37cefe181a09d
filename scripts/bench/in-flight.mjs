// Calls an asynchronous function n times with a fixed number of calls under way, and times it.

/** @returns calls a second */
export async function ratePerSecond(n, width, call) {
  const began = performance.now();
  let left = n;
  async function lane() {
    while (left > 0) {
      left -= 1;
      await call();
    }
  }
  await Promise.all(Array.from({ length: Math.min(width, n) }, lane));
  return (n / (performance.now() - began)) * 1_000;
}

/** Sends n tasks in batches, one batch after the other. */
export async function sendInBatches(n, batch, send) {
  for (let sent = 0; sent < n; sent += batch) await send(Math.min(batch, n - sent));
}
