// Fails a run of the tests that leaves processes or temporary folders behind. Each run has a temporary folder and a mark of
// its own, so runs beside it do not matter.

import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { eventually } from './eventually.ts';
import { type RunningProcess, runningProcesses } from './processes.ts';

const ENDS_WITHIN_MS = 10_000;

/** Called by vitest before the first file. @returns what it calls after the last one */
export default function setup(): () => Promise<void> {
  return begin(ENDS_WITHIN_MS);
}

/**
 * Gives this process, and those that it starts, a temporary folder and a mark.
 * @returns looks for what is left after at most so many milliseconds, ends and removes it, and throws when there was any
 */
export function begin(withinMs: number): () => Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'popfleet-run-'));
  const run = basename(folder);
  process.env['TMPDIR'] = folder;
  process.env['POPFLEET_TEST_RUN'] = run;

  const mark = `POPFLEET_TEST_RUN=${run}`;
  const left = (): RunningProcess[] =>
    runningProcesses().filter(({ pid, parent, command, env, cwd }) => {
      // Its own children are the processes in which vitest runs the files.
      if (pid === process.pid || parent === process.pid) return false;
      // A redis-server writes its title over its command line and its variables.
      return env.includes(mark) || command.includes(run) || cwd.includes(run);
    });

  return async () => {
    const processes = await eventually(() => left().length === 0, withinMs).then(() => [], left);
    for (const { pid } of processes) kill(pid);
    const files = readdirSync(folder);
    rmSync(folder, { recursive: true, force: true });
    const lines = [
      ...processes.map(({ pid, command }) => `process ${pid}: ${command}`),
      ...files.map((name) => `in the temporary folder: ${name}`),
    ];
    if (lines.length > 0) throw new Error(`the tests have left something behind:\n${lines.join('\n')}`);
  };
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended meanwhile.
  }
}
