// The starts that handlers have noted in a file (fixtures/note-start.mjs): read as it grows.

import { openSync, readSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

const PATIENCE_MS = 20_000;
const LOOK_EVERY_MS = 1;

/** Reads what is noted from now on, for as long as this process lives. */
export function openStarts(file) {
  writeFileSync(file, '');
  const fd = openSync(file, 'r');
  const buffer = Buffer.alloc(65_536);
  const seen = [];
  let rest = '';

  function look() {
    for (let size = readSync(fd, buffer); size > 0; size = readSync(fd, buffer)) {
      const lines = (rest + buffer.toString('latin1', 0, size)).split('\n');
      rest = lines.pop();
      for (const line of lines) seen.push(startOf(line));
    }
  }

  return {
    /**
     * The next so many starts, in the order in which they were noted.
     * @returns {Promise<{ number: number, atNs: bigint }[]>} the task's number (`one` of its input), and CLOCK_MONOTONIC
     * @throws when no further one was noted for 20 s
     */
    async take(n) {
      for (let movedAt = performance.now(); ; await sleep(LOOK_EVERY_MS)) {
        const before = seen.length;
        look();
        if (seen.length >= n) return seen.splice(0, n);
        if (seen.length > before) movedAt = performance.now();
        if (performance.now() - movedAt > PATIENCE_MS)
          throw new Error(
            `${seen.length} of ${n} handlers started, and no further one for ${PATIENCE_MS} ms`,
          );
      }
    },
  };
}

/** @throws unless tasks 0 to n - 1 have started, each once */
export function expectEachOnce(n, starts) {
  const numbers = new Set(starts.map(({ number }) => number));
  if (starts.length !== n || numbers.size !== n)
    throw new Error(`expected each of ${n} tasks to start once; ${numbers.size} did`);
}

function startOf(line) {
  const [atNs, number] = line.split(' ');
  return { atNs: BigInt(atNs), number: Number(number) };
}
