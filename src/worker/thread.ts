// The entry of every worker thread.

import { BroadcastChannel, parentPort, workerData } from 'node:worker_threads';
import { loadRegistry } from '../tasks/registry.ts';
import { type Answer, type Job, type RunnerSettings, type StopRequest, WARM_UP } from './job.ts';
import { createJobRunner } from './run-job.ts';

const settings = workerData as RunnerSettings;

// Begun once when the thread starts, not at its first task.
const loading = loadRegistry(settings.tasks).then((registry) => {
  const runner = createJobRunner(registry, settings.resultLimitBytes, (told) =>
    parentPort?.postMessage(told),
  );
  const stops = new BroadcastChannel(settings.stopChannel);
  stops.addEventListener('message', (event: unknown) => runner.stop((event as { data: StopRequest }).data));
  stops.unref();
  return runner;
});
loading.catch(() => undefined); // Whoever awaits it reports it.

/** Runs one job; called by the pool. */
export default async function runInThread(job: Job | typeof WARM_UP): Promise<Answer | undefined> {
  const runner = await loading;
  return job === WARM_UP ? undefined : runner.run(job);
}
