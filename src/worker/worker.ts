// The worker role: serves queues with threads, the main thread and processes of their own.

import type { Service } from '../lifecycle.ts';
import { queuesOf, type TaskSettings } from '../tasks/registry.ts';
import { createInline } from './runners/inline.ts';
import { createProcessRunner } from './runners/process.ts';
import { createSemaphore, limitRunner } from './runners/semaphore.ts';
import { traced } from './runners/traced-runner.ts';
import { ThreadPool } from './runners/thread-pool.ts';
import { createServing, type ServingDeps, type ServingSettings } from './serving.ts';

export interface WorkerSettings extends Omit<ServingSettings, 'queues'> {
  /** Those of the registry when it has none. */
  readonly queues?: readonly string[] | undefined;
  readonly threadMemoryMb: number;
  readonly resultLimitBytes: number;
  readonly tasks: TaskSettings;
}

export type WorkerDeps = ServingDeps;

export function createWorker(settings: WorkerSettings, deps: WorkerDeps): Service {
  const { tasks, concurrency, threads, threadMemoryMb, resultLimitBytes } = settings;
  const { registry, log } = deps;
  const serving = { ...settings, queues: settings.queues ?? queuesOf(registry) };
  return createServing('worker', serving, deps, (prefetch, link, watch) => {
    const runnerSettings = { tasks, resultLimitBytes, threadMemoryMb };
    const semaphore = createSemaphore(threads);
    const pool = { settings: runnerSettings, semaphore, prefetch, link, log };
    const threadPool = new ThreadPool({ ...pool, ...watch });
    const { onRan } = watch;
    const inline = createInline(registry, resultLimitBytes, link, log);
    return {
      services: [threadPool, inline],
      threads: traced(threadPool),
      inline: traced(limitRunner(inline, createSemaphore(concurrency), prefetch, onRan)),
      // A process takes the place of a thread.
      processes: traced(
        limitRunner(createProcessRunner(runnerSettings, link, log), semaphore, prefetch, onRan),
      ),
    };
  });
}
