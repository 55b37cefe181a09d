// The entry of a process that runs one task: one that lost its worker before, and may do so again.

import { writeSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { loadRegistry } from '../tasks/registry.ts';
import { FROM_ISOLATED, toFrame } from './frames.ts';
import type { ToIsolated } from './isolated.ts';
import type { Answer, Told } from './job.ts';
import { captureStreams, OutputBudget } from './output.ts';
import { ownBytes, runJob, toAnswer } from './run-job.ts';
import { stopError } from './stop-source.ts';
import type { FromThread } from './thread-messages.ts';
import type { KeepProgress } from './voice.ts';
import { watchChildren } from './watch-children.ts';

const controller = new AbortController();
const budget = new OutputBudget();
const exit = process.exit.bind(process);

captureStreams(() => ({
  write: (stream, chunk) => writeAll(stream === 'stdout' ? 1 : 2, Buffer.from(chunk)),
}));
watchChildren(
  (mark) => say({ kind: 'child', run: 0, mark }),
  (pid) => say({ kind: 'child-gone', pid }),
);
// All code here belongs to the one task: what it does not catch fails it.
process.on('uncaughtException', (error) => answer(toAnswer(error, undefined)));

// Reads what the worker says, and ends this process when the worker is gone, also while the handler never yields.
new Worker(new URL('./isolated-watch.js', import.meta.url)).on('message', (message: ToIsolated) => {
  if (message.kind === 'stop') controller.abort(stopError(message.reason));
  else run(message).catch((error: unknown) => answer(toAnswer(error, undefined)));
});

async function run({ settings, job }: Extract<ToIsolated, { kind: 'run' }>): Promise<void> {
  const registry = await loadRegistry(settings.tasks);
  const tell = (told: Told): void => say({ kind: 'told', told });
  const { queue, id, claim } = job;
  // Each one is there if the process ends now, unless the handler tells thousands a second.
  let unsaid: Told | undefined;
  const keep: KeepProgress = (percent, note) => {
    unsaid = { queue, id, claim, progress: { percent, note }, lines: [] };
    if (budget.take()) sayProgress();
  };
  const sayProgress = (): void => {
    if (unsaid) tell(unsaid);
    unsaid = undefined;
  };
  process.on('exit', sayProgress);
  answer(ownBytes(await runJob(registry, settings.resultLimitBytes, job, controller, tell, keep)));
}

function answer(given: Answer): void {
  say({ kind: 'answered', run: 0, answer: given, ranMs: 0, ends: true });
  exit();
}

function say(message: FromThread): void {
  writeAll(FROM_ISOLATED, toFrame(message));
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
