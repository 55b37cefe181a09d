// The thread pool: one task a thread, so that ending a thread ends exactly one task.

import { Piscina } from 'piscina';
import type { Log } from '../log.ts';
import { PopfleetError } from '../protocol/errors.ts';
import { type ThreadAnswer, type ThreadJob, type ThreadSettings, WARM_UP } from './thread-job.ts';

/** Why a running task is stopped from outside; each reason ends it differently. */
export type StopReason = 'cancelled' | 'lease-lost' | 'shutting-down';

export type RunEnd =
  | { readonly kind: 'answered'; readonly answer: ThreadAnswer }
  | { readonly kind: 'stopped'; readonly reason: StopReason }
  /** The thread ended under the task: it exited, ran out of memory, or crashed. */
  | { readonly kind: 'thread-lost'; readonly error: unknown };

export interface Pool {
  /** @throws PopfleetError `bad-definition` when the threads cannot load the task modules */
  start(): Promise<void>;
  /** Runs a message. Aborting the signal with a `StopReason` ends the thread, whatever it is doing. Never rejects. */
  run(message: Uint8Array, attempt: number, signal: AbortSignal): Promise<RunEnd>;
  stop(): Promise<void>;
}

export function createPool(threads: number, settings: ThreadSettings, log: Log): Pool {
  let piscina: Piscina<ThreadJob | typeof WARM_UP, ThreadAnswer> | undefined;

  return {
    async start() {
      piscina = new Piscina({
        // A thread cannot load TypeScript on every supported Node, so the entry is always the built file.
        filename: builtThreadEntry(),
        minThreads: threads,
        maxThreads: threads,
        idleTimeout: Number.POSITIVE_INFINITY,
        concurrentTasksPerWorker: 1,
        // The default parks a thread between tasks and stops its timers and sockets with it.
        atomics: 'disabled',
        workerData: settings,
      });
      // Errors of threads that run no task: an exception in a timer that a handler left behind.
      piscina.on('error', (error: unknown) => log.error({ err: error }, 'a thread failed outside of a task'));
      try {
        await piscina.run(WARM_UP);
      } catch (error) {
        await piscina.destroy();
        const reason = error instanceof Error ? error.message : String(error);
        throw new PopfleetError('bad-definition', `the worker threads cannot start: ${reason}`, {
          cause: error,
        });
      }
    },

    async run(message, attempt, signal) {
      if (!piscina) throw new TypeError('the pool was not started');
      // A copy: the message is a slice of a reply buffer that other messages share.
      const own = Uint8Array.from(message);
      try {
        const options = { signal, transferList: [own.buffer] };
        return { kind: 'answered', answer: await piscina.run({ message: own, attempt }, options) };
      } catch (error) {
        if (signal.aborted) return { kind: 'stopped', reason: signal.reason as StopReason };
        return { kind: 'thread-lost', error };
      }
    },

    async stop() {
      await piscina?.destroy();
      piscina = undefined;
    },
  };
}

/** `thread.js` of the build, also when this module runs from its source (in tests). */
function builtThreadEntry(): string {
  const here = import.meta.url;
  return here.endsWith('.ts')
    ? new URL('../../dist/worker/thread.js', here).href
    : new URL('./thread.js', here).href;
}
