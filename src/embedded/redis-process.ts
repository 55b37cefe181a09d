// Starts a redis-server that ends with this program, however this program ends.

import { type ChildProcess, spawn } from 'node:child_process';
import { within } from '../lifecycle.ts';
import { PopfleetError } from '../protocol/errors.ts';

export interface RedisProcess {
  /** Process id of the shell that watches Redis and ends only after it. */
  readonly watcherPid: number;
  /** The last output of Redis. */
  said(): string;
  /** Valid after the end: true when no `redis-server` or `valkey-server` is installed. */
  isMissing(): boolean;
  /** Resolves when Redis and its watcher have ended. */
  readonly ended: Promise<void>;
  /** Lets Redis write its file and waits for its end; kills it when it does not end in time. */
  end(): Promise<void>;
}

/**
 * A shell runs Redis and reads a pipe whose other end this program alone holds. The system closes that end with the program,
 * after `kill -9` as well; the shell then signals Redis to write its file and end, waits for it, and ends. It is the parent
 * of Redis, so the process id that it signals cannot belong to another process by then. `CONT`: a Redis that is suspended
 * would not handle `TERM`. `umask`: other users must not read the files that Redis writes.
 */
const SCRIPT = `umask 077
for program in redis-server valkey-server; do
  command -v "$program" >/dev/null || continue
  "$program" "$@" &
  exec >/dev/null 2>&1
  read -r line
  kill -TERM $!
  kill -CONT $!
  wait $!
  exit
done
exit 69`;
/** `EX_UNAVAILABLE` of sysexits(3): the script found no program. */
const NOT_INSTALLED = 69;
/** Milliseconds in which Redis must write its memory to its file and end, before it is killed. */
const LEAVES_WITHIN_MS = 5_000;
/** Milliseconds: the event that the outputs of Redis are closed may come after the event that the shell has ended. */
const OUTPUTS_CLOSE_WITHIN_MS = 1_000;
const LINES_KEPT = 20;

/**
 * Starts `redis-server`, or `valkey-server`, which has the same protocol and options.
 * @throws PopfleetError `bad-config` without a shell
 */
export async function startRedisProcess(args: readonly string[]): Promise<RedisProcess> {
  // In a session of its own: Ctrl-C at a terminal must not end Redis before its program has stopped.
  const shell = spawn('/bin/sh', ['-c', SCRIPT, 'popfleet-redis', ...args], {
    detached: true,
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  const isSpawned = new Promise<boolean>((done) => {
    shell.once('spawn', () => done(true)).once('error', () => done(false));
  });
  const lastWords: string[] = [];
  for (const stream of [shell.stdout, shell.stderr]) {
    stream.on('data', (text: Buffer) => {
      lastWords.push(text.toString());
      if (lastWords.length > LINES_KEPT) lastWords.shift();
    });
  }
  shell.stdin.on('error', () => undefined); // The shell has ended already.
  const closePipe = (): void => void shell.stdin.end();
  // The shell does not notice when Redis ends by itself; closed outputs show it.
  shell.stdout.once('close', closePipe);
  // Not `exit`: the last output of Redis may arrive after that.
  const ended = new Promise<void>((done) => shell.once('close', () => done()));
  shell.once('exit', () => void endWithoutShell(shell, ended));
  if (!(await isSpawned)) {
    throw new PopfleetError(
      'bad-config',
      'a Redis of its own needs /bin/sh, which is not there: set REDIS_URL',
    );
  }
  return {
    watcherPid: shell.pid ?? 0,
    ended,
    said: () => lastWords.join('').trim(),
    isMissing: () => shell.exitCode === NOT_INSTALLED,

    async end() {
      closePipe();
      if (await isSettled(ended, LEAVES_WITHIN_MS)) return;
      signalGroup(shell, 'SIGKILL');
      await ended;
    },
  };
}

/** Signals Redis to end when the shell alone was killed. */
async function endWithoutShell(shell: ChildProcess, ended: Promise<void>): Promise<void> {
  if (!(await isSettled(ended, OUTPUTS_CLOSE_WITHIN_MS))) signalGroup(shell, 'SIGTERM');
}

function isSettled(promise: Promise<void>, withinMs: number): Promise<boolean | undefined> {
  return within(
    promise.then(() => true),
    withinMs,
  );
}

/** Signals the shell and Redis: the shell leads their process group. */
function signalGroup({ pid }: ChildProcess, signal: NodeJS.Signals): void {
  try {
    if (pid !== undefined) process.kill(-pid, signal);
  } catch {
    // The group has no process any more.
  }
}
