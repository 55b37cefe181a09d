// The entry of every worker thread.

import { AsyncLocalStorage } from 'node:async_hooks';
import { readlinkSync } from 'node:fs';
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { toTaskError } from '../../protocol/task-error.ts';
import { loadRegistry, type Registry } from '../../tasks/registry.ts';
import { watchChildren } from './child-processes.ts';
import { BatchStates, type JobBatch } from './job-batch.ts';
import { captureStreams, OutputBudget, OutputLines, type Written } from './output.ts';
import type { OutputOwner } from './output-log.ts';
import { ownBytes, runHandler, toFailedEnd } from './run-handler.ts';
import { type HandlerEnd, type Job, type Report, type RunnerSettings, stopError } from './runner.ts';
import { Requests } from './requests.ts';
import { ThreadMemory } from './thread-memory.ts';
import type { FromThread, ToThread } from './thread-messages.ts';

/** What a thread is given when it starts. */
export interface ThreadStart {
  readonly settings: RunnerSettings;
  readonly port: MessagePort;
  /** Of its `ThreadMemory`. */
  readonly memory: SharedArrayBuffer;
}

/** A run, as far as code that it leaves behind may keep it in memory. */
interface Run extends OutputOwner {
  readonly number: number;
  readonly begunAt: number;
  readonly controller: AbortController;
  /** Made when it writes something for the first time. */
  output: OutputLines | undefined;
  /** Marks its job as ended. */
  markEnded(): void;
}

const { settings, port, memory: sharedMemory } = workerData as ThreadStart;
// Handlers find none of them: what they post, close or listen to can do no harm.
Reflect.deleteProperty(workerData as ThreadStart, 'port');
Reflect.deleteProperty(workerData as ThreadStart, 'memory');
parentPort?.close();
const exit = process.exit.bind(process);

/** The one that runs here: a thread runs one task at a time. */
let current: Run | undefined;
/** The run whose code executes, also in callbacks long after it has ended. */
const runs = new AsyncLocalStorage<Run>();
let hasLoaded = false;
const lastWords = new ThreadMemory(sharedMemory);
const requests = new Requests(post);
const outputBudget = new OutputBudget();
/** Of code that belongs to no run. */
const otherOutput = createOutput(undefined);
captureStreams(() => {
  const run = runs.getStore() ?? current;
  return run ? (run.output ??= createOutput(run)) : otherOutput;
});
watchChildren(
  (mark) => post({ kind: 'child', run: (runs.getStore() ?? current)?.number ?? 0, mark }),
  (pid) => post({ kind: 'child-gone', pid }),
);

// An unhandled rejection comes here too, in the asynchronous context of its promise.
process.on('uncaughtException', fail);
loadRegistry(settings.tasks).then(serve, fail);

function serve(registry: Registry): void {
  port.on('message', (message: ToThread) => {
    if (message.kind === 'run') runBatch(registry, message).catch(fail);
    else if (message.kind === 'reply') requests.settle(message);
    else if (current?.number === message.run) current.controller.abort(stopError(message.reason));
  });
  hasLoaded = true;
  post({ kind: 'loaded', proc: procPath() });
}

function procPath(): string | undefined {
  try {
    return readlinkSync('/proc/thread-self');
  } catch {
    return undefined;
  }
}

/** Runs the jobs of a batch one after the other, and posts how each has ended. */
async function runBatch(registry: Registry, { firstRun, jobs, memory }: JobBatch): Promise<void> {
  const states = new BatchStates(memory);
  for (const [index, job] of jobs.entries()) {
    if (!states.begin(index)) continue;
    const run = begin(firstRun + index, job, () => states.end(index));
    current = run;
    const running = runs.run(run, runHandler, registry, settings.resultLimitBytes, job, {
      source: run.controller,
      send: sendReport,
      keep: keepProgress,
      request: (request) => requests.send(run.number, request),
    });
    const end = running instanceof Promise ? await running : running;
    run.output?.flush();
    current = undefined;
    states.end(index);
    // At once: if the next one hangs, this thread is ended, and with it what it has not posted.
    postEnd(run, ownBytes(end), false);
  }
}

function begin(number: number, { queue, id, type }: Job, markEnded: () => void): Run {
  const controller = new AbortController();
  return { number, queue, id, type, begunAt: performance.now(), controller, output: undefined, markEnded };
}

function createOutput(run: Run | undefined): OutputLines {
  const by = run && { queue: run.queue, id: run.id, type: run.type };
  const pass = (written: Written): void =>
    post({ kind: 'output', by, isLate: run !== undefined && run !== current, written });
  return new OutputLines(pass, outputBudget, lastWords);
}

/**
 * Ends the thread because of an error that nothing has caught. It fails the run that it belongs to. When that one has
 * ended, the run that is under way is not to blame, and runs again elsewhere.
 */
function fail(error: unknown): void {
  const guilty = runs.getStore() ?? current;
  otherOutput.flush();
  guilty?.output?.flush();
  if (!hasLoaded) post({ kind: 'not-loaded', reason: toTaskError(error).message });
  else if (guilty && guilty === current) {
    guilty.markEnded();
    postEnd(guilty, toFailedEnd(error, undefined), true);
  } else {
    const by = guilty && { queue: guilty.queue, id: guilty.id, type: guilty.type };
    post({ kind: 'left-behind', by, error: toTaskError(error) });
  }
  exit(1);
}

function postEnd({ number, begunAt }: Run, end: HandlerEnd, exits: boolean): void {
  post({ kind: 'ended', run: number, end, ranMs: performance.now() - begunAt, exits });
}

function keepProgress(percent: number, note: string | undefined): void {
  if (current) lastWords.setProgress(current.number, percent, note);
}

function sendReport(report: Report): void {
  post({ kind: 'report', report });
}

function post(message: FromThread): void {
  port.postMessage(message);
}
