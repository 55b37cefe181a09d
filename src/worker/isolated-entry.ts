// The entry of a process that runs one task: one that lost its worker before, and may do so again.

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
// Its worker is gone: nobody is left to answer to.
process.on('disconnect', () => process.exit());

async function run({ settings, job }: Extract<ToIsolated, { kind: 'run' }>): Promise<void> {
  const registry = await loadRegistry(settings.tasks);
  const runner = createJobRunner(registry, settings.resultLimitBytes, (told) => process.send?.({ told }));
  stop = runner.stop;
  const answer = await runner.run(job);
  process.send?.({ answer }, () => process.disconnect());
}
