// Limits of what a test measures: time, CPU, memory, or a ratio of them. Whatever else a machine does raises a reading now and
// then, a fault raises all of them: so nothing is asserted from one reading.

const ROUNDS = 5;

/**
 * Expects that a reading, or each of some, stays below its limit: all are taken anew until they do.
 * @param read takes them; what it throws is thrown at once
 * @throws an `Error` that names all readings when those of no round stay below
 */
export async function expectBelow(
  limit: number,
  read: () => number | readonly number[] | Promise<number | readonly number[]>,
  rounds = ROUNDS,
): Promise<void> {
  const seen: string[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const readings = [await read()].flat();
    if (readings.length > 0 && readings.every((reading) => reading < limit)) return;
    seen.push(readings.join(' and '));
  }
  throw new Error(`no round of ${rounds} stays below ${limit}: ${seen.join('; ')}`);
}

/** Milliseconds that something takes, until its promise is fulfilled. */
export async function msOf(act: () => unknown): Promise<number> {
  const begun = performance.now();
  await act();
  return performance.now() - begun;
}

/**
 * How many times as much one thing costs as another. Both are measured in turns, so that whatever else the machine does meets
 * both alike, and the least of each counts.
 */
export async function costRatio(
  costOf: () => Promise<number>,
  costOfOther: () => Promise<number>,
  turns = 3,
): Promise<number> {
  let [least, leastOfOther] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
  for (let turn = 0; turn < turns; turn += 1) {
    leastOfOther = Math.min(leastOfOther, await costOfOther());
    least = Math.min(least, await costOf());
  }
  return least / leastOfOther;
}
