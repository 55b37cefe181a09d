// What runs on this machine, and whether it still does.

import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';

export interface RunningProcess {
  readonly pid: number;
  readonly parent: number;
  readonly command: string;
  /** Variables it was started with, `NAME=value` each; unknown where there is no /proc. */
  readonly env: readonly string[];
  /** The folder it works in; unknown where there is no /proc. */
  readonly cwd: string;
}

/** All processes, those that have ended and wait for their parent excepted. */
export function runningProcesses(): RunningProcess[] {
  if (!existsSync('/proc/self/stat')) return processesOfPs();
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        // proc(5): the name stands in parentheses and may hold anything; state and parent follow it.
        const [state, parent] =
          readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ') ?? [];
        if (state === 'Z' || state === 'X') return [];
        const command = words(`/proc/${pid}/cmdline`).join(' ');
        const env = words(`/proc/${pid}/environ`);
        const cwd = readlinkSync(`/proc/${pid}/cwd`);
        return [{ pid: Number(pid), parent: Number(parent), command, env, cwd }];
      } catch {
        return []; // It ended meanwhile, or belongs to another user.
      }
    });
}

function words(file: string): string[] {
  return readFileSync(file, 'utf8')
    .split('\0')
    .filter((word) => word !== '');
}

/** Where there is no /proc, as on macOS. */
function processesOfPs(): RunningProcess[] {
  const lines = execFileSync('ps', ['-A', '-o', 'pid=,ppid=,args='], { encoding: 'utf8' }).split('\n');
  return lines.flatMap((line) => {
    const [, pid, parent, command = ''] = /^\s*(\d+)\s+(\d+)\s+(.*)$/.exec(line) ?? [];
    return pid === undefined ? [] : [{ pid: Number(pid), parent: Number(parent), command, env: [], cwd: '' }];
  });
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
