// The threads: each runs one task at a time, so that ending a thread ends exactly one task.

import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { BroadcastChannel, type Worker } from 'node:worker_threads';
import { Piscina } from 'piscina';
import { type Service, within } from '../lifecycle.ts';
import type { Log } from '../log.ts';
import { PopfleetError } from '../protocol/errors.ts';
import { builtEntry } from './built-entry.ts';
import type { Bundle } from './bundle.ts';
import { handlerEnv } from './handler-env.ts';
import { type FromThread, type RunnerSettings, type StopRequest, WARM_UP } from './job.ts';
import { createLoadedThreads } from './loaded-threads.ts';

export interface Threads extends Service {
  /** @throws PopfleetError `bad-definition` when the threads cannot load the task modules */
  start(): Promise<void>;
  /**
   * Gives a bundle to an idle thread, and resolves when it is through. How its jobs ended comes as messages, perhaps later.
   * @param kill to be given to `end`
   * @throws Error when the thread was lost or ended
   */
  run(bundle: Bundle, kill: AbortController): Promise<void>;
  /** Asks the handler of one run to end by itself. */
  ask(request: StopRequest): void;
  /** Ends the thread of a bundle. @returns milliseconds until it was gone, and all was heard that it said before */
  end(kill: AbortController): Promise<number>;
}

/** Handing a buffer over costs more than copying a small one once more. */
const TRANSFERRED_FROM_BYTES = 16_384;
/** A thread that is waiting in the kernel may not end at once; nobody waits for it longer than this. */
const THREAD_GONE_WITHIN_MS = 2_000;
/** A thread whose module hangs while it loads is not waited for longer than this. */
const THREADS_LOADED_WITHIN_MS = 10_000;

/**
 * @param count one thread more stands by, so that a task need not wait for a new thread after one was ended
 * @param onMessage what the threads say of their runs
 */
export function createThreads(
  count: number,
  settings: Omit<RunnerSettings, 'stopChannel'>,
  onMessage: (message: Exclude<FromThread, { readonly loaded: number }>) => void,
  log: Log,
): Threads {
  const stopChannel = `popfleet-stop-${randomUUID()}`;
  let piscina: Piscina<Bundle | typeof WARM_UP, void> | undefined;
  let stops: BroadcastChannel | undefined;
  const loaded = createLoadedThreads(() => piscina?.threads.map(({ threadId }) => threadId) ?? []);

  function hear(message: FromThread): void {
    if (!('loaded' in message)) {
      onMessage(message);
      return;
    }
    loaded.add(message.loaded);
    // Piscina looks at its queue when a run ends. A load that failed is told by the first task.
    piscina?.run(WARM_UP).catch(() => undefined);
  }

  return {
    async start() {
      stops = new BroadcastChannel(stopChannel);
      piscina = new Piscina({
        // A thread cannot load TypeScript on every supported Node, so the entry is always the built file.
        filename: builtEntry('thread'),
        env: handlerEnv(),
        minThreads: count + 1,
        maxThreads: count + 1,
        idleTimeout: Number.POSITIVE_INFINITY,
        concurrentTasksPerWorker: 1,
        recordTiming: false,
        // The default parks a thread between tasks and stops its timers and sockets with it.
        atomics: 'disabled',
        // The default also gives tasks to threads that still load.
        loadBalancer: ({ isAbortable: isTask }, all) => {
          const isIdle = ({ currentUsage }: { readonly currentUsage: number }): boolean => currentUsage === 0;
          const ready = all.find((worker) => isIdle(worker) && loaded.has(worker.id));
          return ready ?? (isTask ? null : (all.find(isIdle) ?? null));
        },
        workerData: { ...settings, stopChannel } satisfies RunnerSettings,
      });
      piscina.on('message', hear);
      // Errors of threads that run no task: an exception in a timer that a handler left behind.
      piscina.on('error', (error: unknown) => log.error({ err: error }, 'a thread failed outside of a task'));
      try {
        await piscina.run(WARM_UP);
        // Or the time of the first tasks would pass while their threads still load.
        await within(loaded.whenAll(), THREADS_LOADED_WITHIN_MS);
      } catch (error) {
        await this.stop();
        const reason = error instanceof Error ? error.message : String(error);
        throw new PopfleetError('bad-definition', `the worker threads cannot start: ${reason}`, {
          cause: error,
        });
      }
    },

    async run(bundle, { signal }) {
      if (!piscina) throw new TypeError('the threads were not started');
      const transferList = bundle.jobs.flatMap(({ content }) =>
        content.length < TRANSFERRED_FROM_BYTES ? [] : [content.buffer as ArrayBuffer],
      );
      await piscina.run(bundle, { signal, transferList });
    },

    ask: (request) => stops?.postMessage(request),

    async end(kill) {
      const before = piscina?.threads ?? [];
      const begun = performance.now();
      kill.abort();
      // The pool takes the thread off its list while it handles the abort, and ends it.
      const ended = before.find((thread: Worker) => !piscina?.threads.includes(thread));
      if (ended) await within(once(ended, 'exit'), THREAD_GONE_WITHIN_MS);
      return performance.now() - begun;
    },

    async stop() {
      stops?.close();
      if (piscina) await within(loaded.whenAll(), THREADS_LOADED_WITHIN_MS);
      await piscina?.destroy();
      piscina = undefined;
    },
  };
}
