// The entry of a process that runs one task: one that lost its worker before, and may do so again.

import { Worker } from 'node:worker_threads';
import { loadRegistry } from '../tasks/registry.ts';
import type { Job, RunnerSettings, StopRequest, Told } from './job.ts';
import { ownBytes, runJob } from './run-job.ts';
import { stopError } from './stop-source.ts';

/** First the task, later perhaps a request to stop. */
export type ToIsolated =
  | { readonly kind: 'run'; readonly settings: RunnerSettings; readonly job: Job }
  | { readonly kind: 'stop'; readonly request: StopRequest };

const controller = new AbortController();

process.on('message', (message: ToIsolated) => {
  if (message.kind === 'stop') controller.abort(stopError(message.request.reason));
  else void run(message);
});
// Its worker is gone: nobody is left to answer to. A handler that never yields is ended by the thread that watches.
process.on('disconnect', () => process.exit());
new Worker(new URL('./isolated-watch.js', import.meta.url)).unref();

async function run({ settings, job }: Extract<ToIsolated, { kind: 'run' }>): Promise<void> {
  const registry = await loadRegistry(settings.tasks);
  const tell = (told: Told): void => void process.send?.({ told });
  const answer = ownBytes(await runJob(registry, settings.resultLimitBytes, job, controller, tell));
  process.send?.({ answer }, () => process.disconnect());
}
