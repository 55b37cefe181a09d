// Runs a task in a process of its own: one that lost its worker before. If it does so again, nobody else is harmed, it is
// known for certain who did it, and the process can tell how it ended.

import { type ChildProcess, spawn } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { builtEntry } from './built-entry.ts';
import { descendantsOf, endProcesses, type ProcessMark } from './child-processes.ts';
import { createFrameReader, FROM_ISOLATED, TO_ISOLATED, toFrame } from './frames.ts';
import type { Log } from '../log.ts';
import { createOutputLog } from './log-output.ts';
import { OutputBudget, OutputLines } from './output.ts';
import { handlerEnv } from './handler-env.ts';
import type { Answer, Job, RunnerSettings, StopReason, Told } from './job.ts';
import { type RunEnd, type Runner, STOP_GRACE_MS } from './runner.ts';
import type { StopSource } from './stop-source.ts';
import { isFromThread } from './thread-messages.ts';

/** What the process is told: first the task, later perhaps to stop. */
export type ToIsolated =
  | { readonly kind: 'run'; readonly settings: RunnerSettings; readonly job: Job }
  | { readonly kind: 'stop'; readonly reason: StopReason };

/** The last words of a process that are kept. */
const LAST_WORDS_CHARS = 2_000;
/** A process that it has started may hold its pipes open for ever. They are not read for longer than this after its end. */
const READ_WITHIN_MS = 1_000;

export function createIsolated(settings: RunnerSettings, onTold: (told: Told) => void, log: Log): Runner {
  return {
    run: (job, stop) => new Promise((resolve) => runIsolated(settings, job, stop, { onTold, log }, resolve)),
  };
}

function runIsolated(
  settings: RunnerSettings,
  job: Job,
  stop: StopSource,
  { onTold, log }: { readonly onTold: (told: Told) => void; readonly log: Log },
  resolve: (end: RunEnd) => void,
): void {
  const child = start(settings);
  let answer: Answer | undefined;
  let asked: { readonly reason: StopReason; readonly at: number } | undefined;
  let killedAt: number | undefined;
  let grace: NodeJS.Timeout | undefined;
  /** Processes that the task has started, by their number. */
  const started = new Map<number, ProcessMark>();

  const tell = (message: ToIsolated): void => {
    (child.stdio[TO_ISOLATED] as Writable).write(toFrame(message));
  };
  hear(child, (message) => {
    if (!isFromThread(message)) return;
    if (message.kind === 'told') onTold(message.told);
    if (message.kind === 'child') started.set(message.mark.pid, message.mark);
    if (message.kind === 'child-gone') started.delete(message.pid);
    if (message.kind !== 'answered') return;
    answer = message.answer;
    if (answer.told) onTold(answer.told);
  });
  const lastWords = readLastWords(child);
  const output = readOutput(child, new OutputLines(createOutputLog(log, job, false), new OutputBudget()));
  tell({ kind: 'run', settings, job: { ...job, content: Uint8Array.from(job.content) } });

  const off = stop.onStop((reason) => {
    asked = { reason, at: performance.now() };
    tell({ kind: 'stop', reason });
    grace = setTimeout(() => {
      killedAt = performance.now();
      // Also those that it waits for in `spawnSync`. When it is gone, nothing shows any more that they were its own.
      for (const mark of child.pid === undefined ? [] : descendantsOf(child.pid)) started.set(mark.pid, mark);
      child.kill('SIGKILL');
    }, STOP_GRACE_MS);
  });

  whenGone(child, (how) => {
    clearTimeout(grace);
    off();
    output.flush();
    const latencyMs = performance.now() - (killedAt ?? asked?.at ?? performance.now());
    const stopped = asked && { reason: asked.reason, latencyMs };
    const end = endOf(how);
    // A handler that has finished, or failed by itself, may leave a process behind.
    if (end.kind === 'answered' && (!stopped || end.answer.kind === 'result')) resolve(end);
    else void endProcesses([...started.values()]).then(() => resolve(end));

    function endOf(ended: HowItEnded | undefined): RunEnd {
      if (answer) return { kind: 'answered', answer, stop: stopped };
      // Asked to end, it did: by force, or on its own in the time that it was given for that.
      if (stopped && (killedAt !== undefined || stopped.reason !== 'timed-out'))
        return { kind: 'killed', stop: stopped };
      if (ended === undefined) return { kind: 'not-begun' };
      return { kind: 'process-lost', error: lostError(ended, lastWords()) };
    }
  });
}

function start({ threadMemoryMb }: RunnerSettings): ChildProcess {
  const args = [
    ...process.execArgv,
    `--max-old-space-size=${threadMemoryMb}`,
    fileURLToPath(builtEntry('isolated-entry')),
  ];
  const child = spawn(process.execPath, args, {
    env: handlerEnv(),
    // The last one closes when this process ends, however that may be (isolated-watch.ts).
    stdio: ['ignore', 'pipe', 'pipe', 'pipe', 'pipe'],
  });
  // A pipe breaks when the process ends, and that is heard of anyway.
  for (const pipe of child.stdio) pipe?.on('error', () => undefined);
  return child;
}

/** Takes what the process says. One that writes something else there is ended: nothing is understood any more. */
function hear(child: ChildProcess, take: (message: unknown) => void): void {
  const read = createFrameReader(take);
  (child.stdio[FROM_ISOLATED] as Readable).on('data', (piece: Buffer) => {
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

/** @param done called once, with `undefined` when the process could not be started */
function whenGone(child: ChildProcess, done: (how: HowItEnded | undefined) => void): void {
  let isDone = false;
  const once = (how: HowItEnded | undefined): void => {
    if (isDone) return;
    isDone = true;
    for (const pipe of child.stdio) pipe?.destroy();
    done(how);
  };
  child.on('error', () => {
    if (child.pid === undefined) once(undefined);
  });
  child.on('close', (code, signal) => once({ code, signal }));
  child.on('exit', (code, signal) => {
    setTimeout(() => once({ code, signal }), READ_WITHIN_MS).unref();
  });
}

function lostError({ code, signal }: HowItEnded, lastWords: string): Error {
  const end = signal === null ? `exited with code ${code}` : `was ended by ${signal}`;
  const error = new Error(`its process ${end}${lastWords ? `; last words: ${lastWords}` : ''}`);
  error.name = 'ProcessLost';
  delete error.stack;
  return error;
}
