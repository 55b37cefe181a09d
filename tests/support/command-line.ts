// Runs commands of `popfleet` as a person at a terminal does, and as a script in a pipe does; or within this process.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { createProgram } from '../../src/command-line.ts';
import type { Terminal } from '../../src/commands/terminal.ts';
import { BARE_ENV } from './bare-env.ts';

const CLI = fileURLToPath(new URL('../../dist/cli.js', import.meta.url));

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Makes `popfleet` a command in a folder; @returns the variables that find it there */
export function installCommand(folder: string): Record<string, string> {
  chmodSync(CLI, 0o755);
  symlinkSync(CLI, join(folder, 'popfleet'));
  return { ...BARE_ENV, PATH: `${folder}:${BARE_ENV['PATH']}`, HOME: folder, SHELL: '/bin/bash' };
}

interface RunningCommand {
  readonly child: ChildProcess;
  stdout(): string;
  readonly ended: Promise<Ended>;
}

/** Starts a line of a shell with its outputs in pipes. */
export function startInPipe(line: string, cwd: string, env: Record<string, string>): RunningCommand {
  return start('bash', ['-c', line], cwd, env);
}

/** The same at a terminal of its own, whose output is all in `stdout`. What is written to the stdin of the child is typed. */
export function startAtTerminal(line: string, cwd: string, env: Record<string, string>): RunningCommand {
  return start('script', ['-qec', line, '/dev/null'], cwd, { ...env, TERM: 'xterm-256color' });
}

function start(program: string, args: string[], cwd: string, env: Record<string, string>): RunningCommand {
  const child = spawn(program, args, { cwd, env, stdio: 'pipe' });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  const ended = once(child, 'close').then(([code]) => ({ code: code as number | null, stdout, stderr }));
  return { child, stdout: () => stdout, ended };
}

export interface InProcess {
  readonly env?: Record<string, string>;
  readonly stdin?: string | Buffer;
  /** Whether stdin and both outputs are a terminal. */
  readonly isTerminal?: boolean;
  /** Interrupts it. */
  readonly interrupt?: AbortSignal;
}

/** Runs one command within this process. */
export async function runCommand(args: readonly string[], options: InProcess = {}): Promise<Ended> {
  const { env = {}, stdin = '', isTerminal = false, interrupt = new AbortController().signal } = options;
  const outputs = { stdout: '', stderr: '' };
  const output = (name: keyof typeof outputs): Terminal['stdout'] => {
    const stream = new PassThrough();
    stream.on('data', (chunk: Buffer) => (outputs[name] += chunk.toString()));
    return Object.assign(stream, { isTTY: isTerminal, columns: 200, hasColors: () => isTerminal });
  };
  const input = new PassThrough();
  input.end(stdin);
  const code = await new Promise<number>((resolve, reject) => {
    const terminal: Terminal = {
      env: { HOME: '/nonexistent', ...env },
      stdin: Object.assign(input, { isTTY: isTerminal }),
      stdout: output('stdout'),
      stderr: output('stderr'),
      interrupt: () => interrupt,
      exit: resolve,
    };
    createProgram(terminal, args)
      .parseAsync([...args], { from: 'user' })
      .catch(reject);
  });
  return { code, ...outputs };
}
