// Runs a task in a process of its own: one that lost its worker before. If it does so again, no other task is harmed, it is
// known for certain which one did it, and the way the process ended is known.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import type { Log } from '../../log.ts';
import { descendantsOf, endProcesses, type ProcessMark } from './child-processes.ts';
import { entryUrl, handlerEnv } from './entry.ts';
import { createFrameReader, FROM_PROCESS, TO_PROCESS, toFrame } from './frames.ts';
import { OutputBudget, OutputLines } from './output.ts';
import { createOutputLog } from './output-log.ts';
import {
  type HandlerEnd,
  type HandlerLink,
  type Job,
  type RunEnd,
  type Runner,
  type RunnerSettings,
  type Stop,
  StopGrace,
  type StopReason,
  type StopSource,
  withStop,
} from './runner.ts';
import { isFromThread, type Reply } from './thread-messages.ts';

/** What the worker sends to the process: first the task, later perhaps to stop. */
export type ToProcess =
  | { readonly kind: 'run'; readonly settings: RunnerSettings; readonly job: Job }
  | { readonly kind: 'stop'; readonly reason: StopReason }
  | ({ readonly kind: 'reply' } & Reply);

/** Characters of the last words of a process that are kept. */
const LAST_WORDS_CHARS = 2_000;
/** A process that it has started may hold its pipes open for ever. They are not read for longer than this after its end. */
const READ_WITHIN_MS = 1_000;

/** @param link takes what handlers say while they run */
export function createProcessRunner(settings: RunnerSettings, link: HandlerLink, log: Log): Runner {
  return {
    async run(job, stop) {
      const child = await start(settings);
      return new Promise((resolve) => runIn(child, job, stop, resolve));
    },
  };

  function runIn(child: ChildProcess, job: Job, stop: StopSource, resolve: (end: RunEnd) => void): void {
    let end: HandlerEnd | undefined;
    let killedAt: number | undefined;
    /** Processes that the task has started, by their number. */
    const started = new Map<number, ProcessMark>();

    const send = (message: ToProcess): void => {
      (child.stdio[TO_PROCESS] as Writable).write(toFrame(message));
    };
    readMessages(child, (message) => {
      if (!isFromThread(message)) return;
      if (message.kind === 'report') link.report(message.report);
      if (message.kind === 'request') {
        const { number, request } = message;
        void link.request(job, request).then((reply) => send({ kind: 'reply', number, reply }));
      }
      if (message.kind === 'child') started.set(message.mark.pid, message.mark);
      if (message.kind === 'child-gone') started.delete(message.pid);
      if (message.kind !== 'ended') return;
      end = message.end;
      if (end.report) link.report(end.report);
    });
    const lastWords = readLastWords(child);
    const output = readOutput(child, new OutputLines(createOutputLog(log, job, false), new OutputBudget()));
    send({ kind: 'run', settings, job: { ...job, content: Uint8Array.from(job.content) } });

    const grace = new StopGrace(stop, {
      ask: (reason) => send({ kind: 'stop', reason }),
      force() {
        killedAt = performance.now();
        // Also those that it waits for in `spawnSync`. When it is gone, nothing shows any more that they were its own.
        for (const mark of child.pid === undefined ? [] : descendantsOf(child.pid))
          started.set(mark.pid, mark);
        child.kill('SIGKILL');
      },
    });

    whenGone(child, (how) => {
      const asked = grace.end();
      const latencyMs = killedAt === undefined ? (asked?.latencyMs ?? 0) : performance.now() - killedAt;
      const stopped = asked && { ...asked, latencyMs };
      output.flush();
      // A handler that has finished, or failed by itself, may leave a process behind.
      if (end && (!stopped || end.kind === 'succeeded')) resolve(withStop(end, stopped));
      else void endProcesses([...started.values()]).then(() => resolve(endOf(how, stopped)));
    });

    function endOf(how: HowItEnded, stopped: Stop | undefined): RunEnd {
      if (end) return withStop(end, stopped);
      // Asked to end, it did: by force, or on its own in the time that it was given for that.
      if (stopped && (killedAt !== undefined || stopped.reason !== 'timed-out'))
        return { kind: 'killed', stop: stopped };
      return { kind: 'process-lost', error: lostError(how, lastWords()) };
    }
  }
}

/** @throws Error when it cannot be started: its task waits, as with any fault that is not its own */
async function start({ threadMemoryMb }: RunnerSettings): Promise<ChildProcess> {
  const args = [
    ...process.execArgv,
    `--max-old-space-size=${threadMemoryMb}`,
    fileURLToPath(entryUrl('process-entry')),
  ];
  let child: ChildProcess;
  try {
    child = spawn(process.execPath, args, {
      env: handlerEnv(),
      // The last one closes when this process ends, however that may be (process-watch.ts).
      stdio: ['ignore', 'pipe', 'pipe', 'pipe', 'pipe'],
    });
    await once(child, 'spawn');
  } catch (cause) {
    const limits = 'allow more processes (ulimit -u), more open files (ulimit -n) or more memory';
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new Error(`a process for a task cannot be started: ${reason}; ${limits}`, { cause });
  }
  // A pipe breaks when the process ends, and `whenGone` sees that anyway.
  for (const pipe of child.stdio) pipe?.on('error', () => undefined);
  return child;
}

/** Takes the messages of the process. One that writes something else there is ended: nothing can be read any more. */
function readMessages(child: ChildProcess, take: (message: unknown) => void): void {
  const read = createFrameReader(take);
  (child.stdio[FROM_PROCESS] as Readable).on('data', (piece: Buffer) => {
    try {
      read(piece);
    } catch {
      child.kill('SIGKILL');
    }
  });
}

function readLastWords(child: ChildProcess): () => string {
  let words = '';
  child.stderr?.on('data', (text: Buffer) => {
    words = (words + text.toString()).slice(-LAST_WORDS_CHARS);
  });
  return () => words.trim();
}

/** Also what programs write that it has started and that share its streams. */
function readOutput(child: ChildProcess, lines: OutputLines): OutputLines {
  child.stdout?.on('data', (text: Buffer) => lines.write('stdout', text));
  child.stderr?.on('data', (text: Buffer) => lines.write('stderr', text));
  return lines;
}

interface HowItEnded {
  readonly code: number | null;
  readonly signal: string | null;
}

/** @param done called once */
function whenGone(child: ChildProcess, done: (how: HowItEnded) => void): void {
  let isDone = false;
  const gone = (how: HowItEnded): void => {
    if (isDone) return;
    isDone = true;
    for (const pipe of child.stdio) pipe?.destroy();
    done(how);
  };
  // A signal or a message has not reached it.
  child.on('error', () => undefined);
  child.on('close', (code, signal) => gone({ code, signal }));
  child.on('exit', (code, signal) => {
    setTimeout(() => gone({ code, signal }), READ_WITHIN_MS).unref();
  });
}

function lostError({ code, signal }: HowItEnded, lastWords: string): Error {
  const end = signal === null ? `exited with code ${code}` : `was ended by ${signal}`;
  const error = new Error(`its process ${end}${lastWords ? `; last words: ${lastWords}` : ''}`);
  error.name = 'ProcessLost';
  delete error.stack;
  return error;
}
