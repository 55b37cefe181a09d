// The entry of every worker thread.

import { BroadcastChannel, parentPort, threadId, workerData } from 'node:worker_threads';
import { loadRegistry } from '../tasks/registry.ts';
import {
  type FromThread,
  type Job,
  type RunnerSettings,
  type StopRequest,
  type ThreadAnswer,
  type Told,
  WARM_UP,
} from './job.ts';
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

/** Runs one job; called by the pool. */
export default async function runInThread(job: Job | typeof WARM_UP): Promise<ThreadAnswer | undefined> {
  const registry = await loading;
  if (job === WARM_UP) return undefined;
  const controller = new AbortController();
  current = { job, controller };
  let tells = 0;
  const tell = (told: Told): void => {
    tells += 1;
    say(told);
  };
  try {
    const answer = await runJob(registry, settings.resultLimitBytes, job, controller, tell);
    return { answer: ownBytes(answer), tells };
  } finally {
    current = undefined;
  }
}

function stop({ id, claim, reason }: StopRequest): void {
  if (current?.job.id === id && current.job.claim === claim) current.controller.abort(stopError(reason));
}

function say(message: FromThread): void {
  parentPort?.postMessage(message);
}
