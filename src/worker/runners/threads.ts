// The threads: one for each place and one that stands by. One that is gone is replaced.

import { createChanges, retryDelayMs, type Service, timeLimit } from '../../lifecycle.ts';
import type { Log } from '../../log.ts';
import { PopfleetError } from '../../protocol/errors.ts';
import { createOutputLog } from './output-log.ts';
import type { RunnerSettings } from './runner.ts';
import { Thread, type ThreadEvents } from './thread.ts';
import type { LeftBehind } from './thread-messages.ts';

/** A thread whose module hangs while it loads is not waited for longer than this, at the start and at the end. */
const LOADED_WITHIN_MS = 10_000;
/** Between two tries to start a thread whose modules cannot be loaded (any more), or fail by themselves. */
const RETRY_FIRST_MS = 100;
const RETRY_CAP_MS = 10_000;
/** Failures that are further apart are not in a row. */
const IN_A_ROW_MS = 3 * RETRY_CAP_MS;

export class Threads implements Service {
  readonly #count: number;
  readonly #settings: RunnerSettings;
  readonly #log: Log;
  readonly #events: ThreadEvents;
  readonly #present = new Set<Thread>();
  readonly #loading = new Set<Thread>();
  readonly #idle: Thread[] = [];
  /** Of all that have not ended, those that count as gone too. */
  readonly #exits = new Set<Promise<void>>();
  /** Each waits for a thread, the longest first. */
  readonly #waiting = new Set<(thread: Thread) => void>();
  readonly #changes = createChanges();
  readonly #retries = new Set<NodeJS.Timeout>();
  #failuresInARow = 0;
  #failedAt = 0;
  #loadFault: string | undefined;
  #isStarted = false;
  #isStopped = false;

  /** @param count one thread more stands by, so that a task need not wait for a new thread after one was ended */
  constructor(count: number, settings: RunnerSettings, log: Log) {
    this.#count = count;
    this.#settings = settings;
    this.#log = log;
    this.#events = {
      loaded: (thread) => this.#loaded(thread),
      gone: (thread, reason) => this.#gone(thread, reason),
      leftBehind: (fault) => this.#leftBehind(fault),
      output: ({ by, isLate, written }) => createOutputLog(log, by, isLate)(written),
    };
  }

  /** @throws PopfleetError `bad-definition` when the threads cannot load the task modules */
  async start(): Promise<void> {
    for (let started = 0; started <= this.#count; started += 1) this.#startOne();
    const isOver = (): boolean => this.#isStopped || this.#loadFault !== undefined;
    await this.#changes.until(() => isOver() || this.#idle.length > 0);
    // The first tasks shall not wait for the other threads, because those of another worker may be ready.
    await this.#changes.until(() => isOver() || this.#loading.size === 0, timeLimit(LOADED_WITHIN_MS));
    this.#isStarted = true;
    if (this.#isStopped || this.#loadFault === undefined) return;
    const reason = this.#loadFault;
    await this.stop();
    throw new PopfleetError('bad-definition', `the worker threads cannot start: ${reason}`);
  }

  /**
   * Takes a thread that has loaded and has nothing to do: at once, or when there is one.
   * @returns waits for it no more
   */
  acquire(take: (thread: Thread) => void): () => void {
    const thread = this.#idle.pop();
    if (thread) take(thread);
    else this.#waiting.add(take);
    return () => void this.#waiting.delete(take);
  }

  /** Gives a thread back that has nothing to do any more; one that is gone already may be given back too. */
  release(thread: Thread): void {
    if (!this.#present.has(thread) || thread.isEnding) return;
    thread.forget();
    this.#offer(thread);
  }

  async stop(): Promise<void> {
    if (this.#isStopped) return;
    this.#isStopped = true;
    this.#changes.changed();
    for (const timer of this.#retries) clearTimeout(timer);
    await this.#changes.until(() => this.#loading.size === 0, timeLimit(LOADED_WITHIN_MS));
    for (const thread of this.#present) thread.end();
    // The process cannot exit either while a system call holds a thread, so this does not resolve before.
    await Promise.all(this.#exits);
  }

  #startOne(): void {
    const thread = new Thread(this.#settings, this.#events);
    this.#loading.add(thread);
    this.#present.add(thread);
    this.#exits.add(thread.exited);
    void thread.exited.then(() => this.#exits.delete(thread.exited));
  }

  #loaded(thread: Thread): void {
    this.#loading.delete(thread);
    this.#offer(thread);
    this.#changes.changed();
  }

  #gone(thread: Thread, reason: string | undefined): void {
    this.#present.delete(thread);
    const wasLoading = this.#loading.delete(thread);
    const index = this.#idle.indexOf(thread);
    if (index >= 0) this.#idle.splice(index, 1);
    if (wasLoading) this.#loadFault = reason;
    this.#changes.changed();
    if (this.#isStopped) return;
    if (reason === undefined) this.#startOne();
    else if (this.#isStarted || !wasLoading) this.#startLater(reason);
  }

  #startLater(reason: string): void {
    const now = performance.now();
    this.#failuresInARow = now - this.#failedAt < IN_A_ROW_MS ? this.#failuresInARow + 1 : 1;
    this.#failedAt = now;
    const inMs = retryDelayMs(this.#failuresInARow, RETRY_FIRST_MS, RETRY_CAP_MS);
    this.#log.error(
      { reason, retryInMs: inMs },
      'a thread cannot load the task modules, or they fail by themselves: another one starts later',
    );
    const timer = setTimeout(() => {
      this.#retries.delete(timer);
      this.#startOne();
    }, inMs);
    this.#retries.add(timer);
  }

  #leftBehind({ by, error }: LeftBehind): void {
    this.#log.error(
      { task: by?.id, queue: by?.queue, type: by?.type, err: error },
      by
        ? 'a task has left code behind that failed later: its thread is replaced'
        : 'code of a task module failed outside of tasks: its thread is replaced',
    );
  }

  #offer(thread: Thread): void {
    const [longest] = this.#waiting;
    if (!longest) {
      this.#idle.push(thread);
      return;
    }
    this.#waiting.delete(longest);
    longest(thread);
  }
}
