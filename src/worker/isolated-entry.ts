// The entry of a process that runs one task: one that lost its worker before, and may do so again.

import { Worker } from 'node:worker_threads';
import { loadRegistry } from '../tasks/registry.ts';
import type { Job, RunnerSettings, StopRequest } from './job.ts';
import { createJobRunner } from './run-job.ts';

/** First the task, later perhaps a request to stop. */
export type ToIsolated =
  | { readonly kind: 'run'; readonly settings: RunnerSettings; readonly job: Job }
  | { readonly kind: 'stop'; readonly request: StopRequest };

let stop: ((request: StopRequest) => void) | undefined;

process.on('message', (message: ToIsolated) => {
  if (message.kind === 'stop') stop?.(message.request);
  else void run(message);
});
// Its worker is gone: nobody is left to answer to. A handler that never yields is ended by the thread that watches.
process.on('disconnect', () => process.exit());
new Worker(new URL('./isolated-watch.js', import.meta.url)).unref();

async function run({ settings, job }: Extract<ToIsolated, { kind: 'run' }>): Promise<void> {
  const registry = await loadRegistry(settings.tasks);
  const runner = createJobRunner(registry, settings.resultLimitBytes, (told) => process.send?.({ told }));
  stop = runner.stop;
  const answer = await runner.run(job);
  process.send?.({ answer }, () => process.disconnect());
}
