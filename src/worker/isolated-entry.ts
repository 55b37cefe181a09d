// The entry of a process that runs one task: one that lost its worker before, and may do so again.

import { writeSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { loadRegistry } from '../tasks/registry.ts';
import { FROM_ISOLATED, toFrame } from './frames.ts';
import type { ToIsolated } from './isolated.ts';
import type { Answer, Told } from './job.ts';
import { ownBytes, runJob, toAnswer } from './run-job.ts';
import { stopError } from './stop-source.ts';
import type { FromThread } from './thread-messages.ts';

const controller = new AbortController();
const exit = process.exit.bind(process);

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
  answer(ownBytes(await runJob(registry, settings.resultLimitBytes, job, controller, tell)));
}

function answer(given: Answer): void {
  say({ kind: 'answered', run: 0, answer: given, ranMs: 0, ends: true });
  exit();
}

/** Returns when the worker's pipe has all of it: whatever happens next, it was said. */
function say(message: FromThread): void {
  const frame = toFrame(message);
  for (let written = 0; written < frame.length; ) {
    written += writeSync(FROM_ISOLATED, frame, written);
  }
}
