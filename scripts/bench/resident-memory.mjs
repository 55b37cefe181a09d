// Resident memory of a process while it works.

import { readFileSync } from 'node:fs';
import { median } from './stats.mjs';

/** Medians around two moments, because a garbage collection makes any single look a matter of luck. */
export function growth(pid, n) {
  const seen = [];
  return {
    note(done) {
      if (done > 0) seen.push({ done, mb: residentMb(pid) });
    },
    result() {
      const earlyMb = around(seen, n * 0.09, n * 0.13);
      const endMb = around(seen, n * 0.96, n);
      return { earlyMb, endMb, ratio: endMb / earlyMb };
    },
  };
}

/** A short run may have no look between the two: then the next one. */
function around(seen, from, to) {
  const within = seen.filter(({ done }) => done >= from && done <= to);
  const chosen = within.length > 0 ? within : [seen.find(({ done }) => done > to) ?? seen.at(-1)];
  return median(chosen.map(({ mb }) => mb));
}

/** As much as a process has now. */
export const residentMb = (pid) => megabytes(pid, 'VmRSS');

/** As much as it ever had. */
export const mostResidentMb = (pid) => megabytes(pid, 'VmHWM');

function megabytes(pid, name) {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1]) / 1_024;
}
