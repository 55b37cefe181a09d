// The entry of every worker thread.

import { BroadcastChannel, parentPort, threadId, workerData } from 'node:worker_threads';
import { loadRegistry } from '../tasks/registry.ts';
import { type Bundle, BundleStates } from './bundle.ts';
import { type FromThread, type Job, type RunnerSettings, type StopRequest, WARM_UP } from './job.ts';
import { ownBytes, runJob } from './run-job.ts';
import { stopError } from './stop-source.ts';

const settings = workerData as RunnerSettings;

/** The one that runs here: a thread runs one task at a time. */
let current: { readonly job: Job; readonly controller: AbortController } | undefined;

// Begun once when the thread starts, not at its first task.
const loading = loadRegistry(settings.tasks).then((registry) => {
  const stops = new BroadcastChannel(settings.stopChannel);
  stops.addEventListener('message', (event: unknown) => stop((event as { data: StopRequest }).data));
  stops.unref();
  return registry;
});
// One that failed is told as well: each job awaits it, and reports it.
const sayLoaded = (): void => say({ loaded: threadId });
loading.then(sayLoaded, sayLoaded);

/** Runs the jobs of a bundle and says how each ended; called by the pool. */
export default async function runInThread(bundle: Bundle | typeof WARM_UP): Promise<void> {
  const registry = await loading;
  if (bundle === WARM_UP) return;
  const states = new BundleStates(bundle.memory);
  for (const [index, job] of bundle.jobs.entries()) {
    if (!states.begin(index)) continue;
    const begunAt = performance.now();
    current = { job, controller: new AbortController() };
    const running = runJob(registry, settings.resultLimitBytes, job, current.controller, say);
    const answer = running instanceof Promise ? await running : running;
    current = undefined;
    states.end(index);
    // At once: if the next one hangs, this thread is ended, and with it what it has not said.
    say({ run: job.run, answer: ownBytes(answer), ranMs: performance.now() - begunAt });
  }
}

function stop({ id, claim, reason }: StopRequest): void {
  if (current?.job.id === id && current.job.claim === claim) current.controller.abort(stopError(reason));
}

function say(message: FromThread): void {
  parentPort?.postMessage(message);
}
