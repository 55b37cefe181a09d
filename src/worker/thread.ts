// The entry of every worker thread.

import { BroadcastChannel, parentPort, threadId, workerData } from 'node:worker_threads';
import { loadRegistry } from '../tasks/registry.ts';
import {
  type Answer,
  type FromThread,
  type Job,
  type RunnerSettings,
  type StopRequest,
  WARM_UP,
} from './job.ts';
import { createJobRunner } from './run-job.ts';

const settings = workerData as RunnerSettings;

// Begun once when the thread starts, not at its first task.
const loading = loadRegistry(settings.tasks).then((registry) => {
  const runner = createJobRunner(registry, settings.resultLimitBytes, say);
  const stops = new BroadcastChannel(settings.stopChannel);
  stops.addEventListener('message', (event: unknown) => runner.stop((event as { data: StopRequest }).data));
  stops.unref();
  return runner;
});
// One that failed is told as well: each job awaits it, and reports it.
const sayLoaded = (): void => say({ loaded: threadId });
loading.then(sayLoaded, sayLoaded);

/** Runs one job; called by the pool. */
export default async function runInThread(job: Job | typeof WARM_UP): Promise<Answer | undefined> {
  const runner = await loading;
  return job === WARM_UP ? undefined : runner.run(job);
}

function say(message: FromThread): void {
  parentPort?.postMessage(message);
}
