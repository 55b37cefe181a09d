// The thread pool: one task a thread, so that ending a thread ends exactly one task.

import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { BroadcastChannel, type Worker } from 'node:worker_threads';
import { Piscina } from 'piscina';
import { within } from '../lifecycle.ts';
import type { Log } from '../log.ts';
import { PopfleetError } from '../protocol/errors.ts';
import type { KillCause } from '../protocol/task-error.ts';
import {
  type FromThread,
  type Job,
  type RunnerSettings,
  type StopReason,
  type ThreadAnswer,
  type Told,
  WARM_UP,
} from './job.ts';
import { createLoadedThreads } from './loaded-threads.ts';
import { createTells, type Tells } from './tells.ts';
import { type RunEnd, type Runner, STOP_GRACE_MS } from './runner.ts';
import type { StopSource } from './stop-source.ts';

export interface Pool extends Runner {
  /** @throws PopfleetError `bad-definition` when the threads cannot load the task modules */
  start(): Promise<void>;
  stop(): Promise<void>;
}

/** Handing a buffer over costs more than copying a small one once more. */
const TRANSFERRED_FROM_BYTES = 16_384;
/** A thread that is waiting in the kernel may not end at once; nobody waits for it longer than this. */
const THREAD_GONE_WITHIN_MS = 2_000;
/** A thread whose module hangs while it loads is not waited for longer than this. */
const THREADS_LOADED_WITHIN_MS = 10_000;

/**
 * @param threads tasks at the same time; one thread more stands by, so that a task need not wait for a new thread after
 *   one was ended
 * @param onTold what handlers tell while they run
 */
export function createPool(
  threads: number,
  settings: Omit<RunnerSettings, 'stopChannel'>,
  onTold: (told: Told) => void,
  log: Log,
): Pool {
  const stopChannel = `popfleet-stop-${randomUUID()}`;
  let piscina: Piscina<Job | typeof WARM_UP, ThreadAnswer> | undefined;
  let stops: BroadcastChannel | undefined;
  const tells = createTells();
  const loaded = createLoadedThreads(() => piscina?.threads.map(({ threadId }) => threadId) ?? []);

  function hear(message: FromThread): void {
    if (!('loaded' in message)) {
      tells.add(message);
      onTold(message);
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
        minThreads: threads + 1,
        maxThreads: threads + 1,
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

    async run(job, stop) {
      if (!piscina || !stops) throw new TypeError('the pool was not started');
      const end = await runInThread(piscina, stops, tells, job, stop);
      if (end.kind === 'answered' && end.answer.told) onTold(end.answer.told);
      return end;
    },

    async stop() {
      stops?.close();
      if (piscina) await within(loaded.whenAll(), THREADS_LOADED_WITHIN_MS);
      await piscina?.destroy();
      piscina = undefined;
    },
  };
}

async function runInThread(
  piscina: Piscina<Job | typeof WARM_UP, ThreadAnswer>,
  stops: BroadcastChannel,
  tells: Tells,
  job: Job,
  stop: StopSource,
): Promise<RunEnd> {
  const kill = new AbortController();
  let asked: { readonly reason: StopReason; readonly at: number } | undefined;
  let gone: Promise<number | undefined> | undefined;
  let grace: NodeJS.Timeout | undefined;

  tells.begin(job);
  const off = stop.onStop((reason) => {
    asked = { reason, at: performance.now() };
    stops.postMessage({ id: job.id, claim: job.claim, reason });
    grace = setTimeout(() => {
      gone = endThread(piscina, kill);
    }, STOP_GRACE_MS);
  });

  // A copy: the content is a slice of a reply buffer that others share, and all of that would go to the thread.
  const content = Uint8Array.from(job.content);
  const transferList = content.length < TRANSFERRED_FROM_BYTES ? [] : [content.buffer];
  try {
    const { answer, tells: told } = await piscina.run(
      { ...job, content },
      { signal: kill.signal, transferList },
    );
    await tells.whenHeard(job, told);
    const ended = asked && { reason: asked.reason, latencyMs: performance.now() - asked.at };
    return { kind: 'answered', answer, stop: ended };
  } catch (error) {
    if (!asked || !gone) return { kind: 'thread-lost', cause: causeOf(error), error };
    return {
      kind: 'killed',
      stop: { reason: asked.reason, latencyMs: (await gone) ?? THREAD_GONE_WITHIN_MS },
    };
  } finally {
    clearTimeout(grace);
    off();
    tells.forget(job);
  }
}

/** Ends the thread of one run. @returns milliseconds until it was gone; `undefined` when it hangs in the kernel */
async function endThread(piscina: Piscina, kill: AbortController): Promise<number | undefined> {
  const before = piscina.threads;
  const begun = performance.now();
  kill.abort();
  // The pool takes the thread off its list while it handles the abort, and ends it.
  const ended = before.find((thread: Worker) => !piscina.threads.includes(thread));
  if (!ended) return 0; // It was waiting for a thread, and never got one.
  const exit = once(ended, 'exit').then(() => performance.now() - begun);
  return within(exit, THREAD_GONE_WITHIN_MS);
}

function causeOf(error: unknown): KillCause {
  return (error as { code?: unknown } | null)?.code === 'ERR_WORKER_OUT_OF_MEMORY'
    ? 'out-of-memory'
    : 'thread-exit';
}

/** A built entry file, also when this module runs from its source (in tests). */
export function builtEntry(name: 'thread' | 'isolated-entry'): string {
  const here = import.meta.url;
  return here.endsWith('.ts')
    ? new URL(`../../dist/worker/${name}.js`, here).href
    : new URL(`./${name}.js`, here).href;
}
