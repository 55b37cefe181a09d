// The entry of a process that runs one task: one that lost its worker before, and may do so again.

import { writeSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { loadRegistry } from '../../tasks/registry.ts';
import { watchChildren } from './child-processes.ts';
import { FROM_PROCESS, toFrame } from './frames.ts';
import { captureStreams, OutputBudget } from './output.ts';
import type { ToProcess } from './process.ts';
import type { KeepProgress } from './reporter.ts';
import { Requests } from './requests.ts';
import { type HandlerSide, ownBytes, runHandler, toFailedEnd } from './run-handler.ts';
import { type HandlerEnd, type Report, stopError } from './runner.ts';
import type { FromThread } from './thread-messages.ts';

const controller = new AbortController();
const budget = new OutputBudget();
const requests = new Requests(post);
const exit = process.exit.bind(process);

captureStreams(() => ({
  write: (stream, chunk) => writeAll(stream === 'stdout' ? 1 : 2, Buffer.from(chunk)),
}));
watchChildren(
  (mark) => post({ kind: 'child', run: 0, mark }),
  (pid) => post({ kind: 'child-gone', pid }),
);
// All code here belongs to the one task: what it does not catch fails it.
process.on('uncaughtException', fail);

// Reads the messages of the worker, and ends this process when the worker is gone, also while the handler never yields.
new Worker(new URL('./process-watch.js', import.meta.url)).on('message', (message: ToProcess) => {
  if (message.kind === 'stop') controller.abort(stopError(message.reason));
  else if (message.kind === 'reply') requests.settle(message);
  else run(message).catch(fail);
});

async function run({ settings, job }: Extract<ToProcess, { kind: 'run' }>): Promise<void> {
  const registry = await loadRegistry(settings.tasks);
  const send = (report: Report): void => post({ kind: 'report', report });
  const { queue, id, claim } = job;
  // Each one is there if the process ends now, unless the handler reports thousands a second.
  let unsent: Report | undefined;
  const keep: KeepProgress = (percent, note) => {
    unsent = { queue, id, claim, progress: { percent, note }, lines: [] };
    if (budget.take()) sendProgress();
  };
  const sendProgress = (): void => {
    if (unsent) send(unsent);
    unsent = undefined;
  };
  process.on('exit', sendProgress);
  const request: HandlerSide['request'] = (asked) => requests.send(0, asked);
  const side = { source: controller, send, keep, request };
  finish(ownBytes(await runHandler(registry, settings.resultLimitBytes, job, side)));
}

function fail(error: unknown): void {
  finish(toFailedEnd(error, undefined));
}

function finish(end: HandlerEnd): void {
  post({ kind: 'ended', run: 0, end, ranMs: 0, exits: true });
  exit();
}

function post(message: FromThread): void {
  writeAll(FROM_PROCESS, toFrame(message));
}

/** Returns when the pipe has all of it: whatever happens next, the worker can read it. */
function writeAll(fd: number, bytes: Buffer): void {
  for (let written = 0; written < bytes.length; ) {
    try {
      written += writeSync(fd, bytes, written);
    } catch (error) {
      // Node has set the pipes of stdout and stderr so that they do not wait for their reader.
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') return;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
    }
  }
}
