// What a process has used so far, from Linux' /proc.

import { existsSync, readdirSync, readFileSync } from 'node:fs';

const TICKS_A_SECOND = 100;

/**
 * CPU time of all its threads, in the kernel and outside of it. It does not grow while other processes have the CPU. Nanoseconds count
 * where the kernel tells them, and then a thread that has ended does not; elsewhere ticks of 10 ms.
 */
export function cpuSeconds(pid: number): number {
  if (existsSync(`/proc/${pid}/schedstat`)) {
    const spent = readdirSync(`/proc/${pid}/task`).map((id) => nanosecondsOf(`/proc/${pid}/task/${id}`));
    return spent.reduce((sum, one) => sum + one, 0) / 1e9;
  }
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) / TICKS_A_SECOND;
}

function nanosecondsOf(thread: string): number {
  try {
    return Number(readFileSync(`${thread}/schedstat`, 'utf8').split(' ')[0]);
  } catch {
    return 0; // It has ended meanwhile.
  }
}

/** Memory that it has now. */
export function residentBytes(pid: number): number {
  const [, kilobytes] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return Number(kilobytes) * 1_024;
}
