// The threads: one for each place and one that stands by. One that is gone is replaced.

import { retryDelayMs, type Service } from '../lifecycle.ts';
import type { Log } from '../log.ts';
import { PopfleetError } from '../protocol/errors.ts';
import type { RunnerSettings } from './job.ts';
import { createOutputLog } from './log-output.ts';
import { startThread, type Thread } from './thread.ts';
import type { LeftBehind, Output } from './thread-messages.ts';

export interface Threads extends Service {
  /** @throws PopfleetError `bad-definition` when the threads cannot load the task modules */
  start(): Promise<void>;
  /**
   * Takes a thread that has loaded and has nothing to do: at once, or when there is one.
   * @returns takes the wish back
   */
  take(given: (thread: Thread) => void): () => void;
  /** Gives a thread back that has nothing to do any more; one that is gone already may be given back too. */
  free(thread: Thread): void;
}

/** A thread whose module hangs while it loads is not waited for longer than this, at the start and at the end. */
const LOADED_WITHIN_MS = 10_000;
/** Between two tries to start a thread whose modules cannot be loaded (any more). */
const RETRY_FIRST_MS = 100;
const RETRY_CAP_MS = 10_000;

/** @param count one thread more stands by, so that a task need not wait for a new thread after one was ended */
export function createThreads(count: number, settings: RunnerSettings, log: Log): Threads {
  const loading = new Set<Thread>();
  const idle: Thread[] = [];
  const present = new Set<Thread>();
  /** Of all that have not ended, those that are taken for gone too. */
  const exits = new Set<Promise<void>>();
  const wishes = new Set<(thread: Thread) => void>();
  const watchers = new Set<() => void>();
  const retries = new Set<NodeJS.Timeout>();
  let failuresInARow = 0;
  let loadFault: string | undefined;
  let isStarted = false;
  let isStopped = false;

  function startOne(): void {
    const thread = startThread(settings, { loaded, gone, leftBehind, output });
    loading.add(thread);
    present.add(thread);
    exits.add(thread.exited);
    void thread.exited.then(() => exits.delete(thread.exited));
  }

  function loaded(thread: Thread): void {
    failuresInARow = 0;
    loading.delete(thread);
    offer(thread);
    changed();
  }

  function gone(thread: Thread, reason: string | undefined): void {
    present.delete(thread);
    loading.delete(thread);
    const index = idle.indexOf(thread);
    if (index >= 0) idle.splice(index, 1);
    if (reason !== undefined) loadFault = reason;
    changed();
    if (isStopped) return;
    if (reason === undefined) startOne();
    else if (isStarted) startLater(reason);
  }

  function startLater(reason: string): void {
    failuresInARow += 1;
    const inMs = retryDelayMs(failuresInARow, RETRY_FIRST_MS, RETRY_CAP_MS);
    log.error({ reason, retryInMs: inMs }, 'a thread cannot load the task modules');
    const timer = setTimeout(() => {
      retries.delete(timer);
      startOne();
    }, inMs);
    retries.add(timer);
  }

  function leftBehind({ by, error }: LeftBehind): void {
    log.error(
      { task: by?.id, queue: by?.queue, type: by?.type, err: error },
      by
        ? 'a task has left code behind that failed later: its thread is replaced'
        : 'code of a task module failed outside of tasks: its thread is replaced',
    );
  }

  function output({ by, isLate, said }: Output): void {
    const entries = createOutputLog(log, by, isLate);
    if ('dropped' in said) entries.dropped(said.dropped);
    else entries.line(said.stream, said.line);
  }

  /** Gives it to whoever waits longest. */
  function offer(thread: Thread): void {
    const [wish] = wishes;
    if (!wish) {
      idle.push(thread);
      return;
    }
    wishes.delete(wish);
    wish(thread);
  }

  function changed(): void {
    for (const watcher of watchers) watcher();
  }

  /** Resolves when the condition holds, or after the time when there is one. */
  function when(condition: () => boolean, withinMs?: number): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        watchers.delete(check);
        resolve();
      };
      const check = (): void => {
        if (condition()) done();
      };
      const timer = withinMs === undefined ? undefined : setTimeout(done, withinMs);
      watchers.add(check);
      check();
    });
  }

  return {
    async start() {
      for (let started = 0; started <= count; started += 1) startOne();
      const isOver = (): boolean => isStopped || loadFault !== undefined;
      await when(() => isOver() || idle.length > 0);
      // The first tasks shall not wait for the other threads, because those of another worker may be ready.
      await when(() => isOver() || loading.size === 0, LOADED_WITHIN_MS);
      isStarted = true;
      if (isStopped || loadFault === undefined) return;
      const reason = loadFault;
      await this.stop();
      throw new PopfleetError('bad-definition', `the worker threads cannot start: ${reason}`);
    },

    take(given) {
      const thread = idle.pop();
      if (thread) given(thread);
      else wishes.add(given);
      return () => void wishes.delete(given);
    },

    free(thread) {
      if (!present.has(thread) || thread.isEnding()) return;
      thread.free();
      offer(thread);
    },

    async stop() {
      if (isStopped) return;
      isStopped = true;
      changed();
      for (const timer of retries) clearTimeout(timer);
      await when(() => loading.size === 0, LOADED_WITHIN_MS);
      const rest = [...present];
      for (const thread of rest) thread.end();
      // The process cannot exit either while a system call holds a thread: whoever stops it must know.
      await Promise.all(exits);
    },
  };
}
