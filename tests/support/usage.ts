// What a process has used so far, from Linux' /proc.

import { readFileSync } from 'node:fs';

const TICKS_A_SECOND = 100;

/** CPU time of all its threads, in the kernel and outside of it. It does not grow while other processes have the CPU. */
export function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) / TICKS_A_SECOND;
}

/** Memory that it has now. */
export function residentBytes(pid: number): number {
  const [, kilobytes] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return Number(kilobytes) * 1_024;
}
