// Resident memory of a worker that waits for work, and of one that has more than it can do.

import { setTimeout as sleep } from 'node:timers/promises';
import { sendInBatches } from './in-flight.mjs';
import { mostResidentMb, residentMb } from './resident-memory.mjs';
import { median } from './stats.mjs';

const LOOK_EVERY_MS = 20;

/**
 * @param sendMany (n) sends so many tasks in one call
 * @returns MB: idle after its first task, the median while it works, and the most that it ever had
 */
export async function workerMemory({ n, batch, idleMs }, starts, pid, sendMany) {
  await sendMany(1);
  await starts.take(1);
  await sleep(idleMs);
  const idleMb = residentMb(pid);
  const seen = [];
  const timer = setInterval(() => seen.push(residentMb(pid)), LOOK_EVERY_MS);
  await sendInBatches(n, batch, sendMany);
  await starts.take(n);
  clearInterval(timer);
  return { idleMb, busyMb: median([...seen, residentMb(pid)]), mostMb: mostResidentMb(pid) };
}
