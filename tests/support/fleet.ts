// Starts the built program in its roles, as an operator would.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';
import { BARE_ENV } from './bare-env.ts';
import { eventually } from './eventually.ts';

const CLI = fileURLToPath(new URL('../../dist/cli.js', import.meta.url));

/** A role that starts and ends soon. One place, on any machine: by default a worker has as many as there are cores. */
export const SMALL = { PORT: '0', TASK_DURATION_MS: '0', DRAIN_MS: '0', CONCURRENCY: '1' };

/** For a server whose queues nobody shall sweep: not before the test has ended. */
export const NO_SWEEPS = { HEARTBEAT_MS: '1000000', LEASE_MS: '3000000' };

export interface RoleProcess {
  readonly pid: number;
  readonly child: ChildProcess;
  /** Lines of its log, parsed. */
  log(): readonly Record<string, unknown>[];
  /** What it wrote to stderr. */
  errors(): string;
  /** Base URL of a server role. */
  url(): string;
  /** Name of the worker in Redis. */
  worker(): string;
  signal(signal: NodeJS.Signals): void;
  /** Resolves with the exit code (or the signal's name) once the process is gone. */
  readonly exited: Promise<number | string>;
}

/**
 * Starts a role and returns at once; `startRole` also waits until it is up.
 * @param args options of the command line, which then names the role too
 * @param cli file of the command; that of this build unless told
 */
export function spawnRole(
  role: string,
  env: Record<string, string> = {},
  cwd = tmpdir(),
  args: readonly string[] = [],
  cli = CLI,
): RoleProcess {
  const child = spawn(process.execPath, args.length > 0 ? [cli, role, ...args] : [cli], {
    cwd,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...BARE_ENV, ...SMALL, APP_TYPE: role, ...env },
  });
  let out = '';
  let errors = '';
  child.stdout.on('data', (text: Buffer) => {
    out += text.toString();
  });
  child.stderr.on('data', (text: Buffer) => {
    errors += text.toString();
  });
  const log = (): Record<string, unknown>[] =>
    out
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  const entry = (msg: string): Record<string, unknown> | undefined =>
    log().find((line) => line['msg'] === msg);
  const exited = once(child, 'exit').then(([code, signal]) => (code ?? signal) as number | string);
  return {
    pid: child.pid ?? 0,
    child,
    log,
    errors: () => errors,
    url: () => String(entry('server started')?.['url']),
    worker: () => String(entry('worker started')?.['worker']),
    signal: (signal) => void child.kill(signal),
    exited,
  };
}

/** Starts a role and waits until it says that it is up. */
export async function startRole(
  role: string,
  env: Record<string, string> = {},
  cwd?: string,
  args?: readonly string[],
  cli?: string,
): Promise<RoleProcess> {
  const process_ = spawnRole(role, env, cwd, args, cli);
  const up = role === 'worker' ? 'worker started' : 'server started';
  try {
    await eventually(() => {
      if (process_.child.exitCode !== null) throw new Error(`it ended: ${process_.errors()}`);
      return process_.log().some((line) => line['msg'] === up);
    }, 60_000);
    // Until its connection to Redis stands it answers 503.
    if (role !== 'worker') await eventually(async () => (await fetch(`${process_.url()}/readyz`)).ok);
    return process_;
  } catch (error) {
    await endAll([process_]);
    throw error;
  }
}

/** Ends a process as a supervisor does, and waits until it is gone. @returns its exit code, or the signal's name */
export async function stopRole(one: RoleProcess | undefined): Promise<number | string | undefined> {
  one?.signal('SIGTERM');
  return one?.exited;
}

/** Ends processes however they are, also stopped ones, and waits until they are gone. */
export async function endAll(processes: readonly (RoleProcess | undefined)[]): Promise<void> {
  for (const one of processes) one?.signal('SIGKILL');
  await Promise.all(processes.map(async (one) => one?.exited));
}
