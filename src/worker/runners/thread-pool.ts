// Runs tasks in threads. As many threads work as there are places; tiny tasks go to a thread several at once (job-batch.ts).

import type { Service } from '../../lifecycle.ts';
import type { Log } from '../../log.ts';
import type { Prefetch, TimedRun } from '../prefetch.ts';
import { BatchStates, type JobBatch, MOST_JOBS } from './job-batch.ts';
import {
  type HandlerLink,
  type Job,
  type OnRan,
  type RunEnd,
  type Runner,
  type RunnerSettings,
  startDeadline,
  StopGrace,
  type Stoppable,
  type StopReason,
  type StopSource,
  withStop,
} from './runner.ts';
import { createWaitLimit, type Semaphore, type WaitLimit } from './semaphore.ts';
import type { Thread, ThreadLost } from './thread.ts';
import type { Ended, Request } from './thread-messages.ts';
import { Threads } from './threads.ts';

export interface ThreadPoolDeps {
  readonly settings: RunnerSettings;
  /** There is a thread for each of its places. */
  readonly semaphore: Semaphore;
  readonly prefetch: Prefetch;
  /** Takes what handlers say while they run. */
  readonly link: HandlerLink;
  readonly log: Log;
  readonly onRan?: OnRan | undefined;
  /** A thread is gone that had tasks to run, and another one takes its place. */
  readonly onReplaced?: ((reason: string) => void) | undefined;
  /** Milliseconds that a run may wait for those before it. */
  readonly waitLimitMs?: number;
}

/** While all threads load, tasks wait for this long, and go back then. */
const THREAD_WITHIN_MS = 10_000;
/** A thread that has nothing to do begins within a millisecond. One that needs longer than this is blocked. */
const BEGUN_WITHIN_MS = 5_000;

export class ThreadPool implements Runner, Service {
  readonly #deps: ThreadPoolDeps;
  readonly #threads: Threads;
  /** Runs that no thread has yet. */
  readonly #waiting: PoolRun[] = [];
  /** Of runs that wait for others to end. */
  readonly #runLimit: WaitLimit<PoolRun>;
  readonly #threadLimit: WaitLimit<SentBatch>;
  readonly #beginLimit: WaitLimit<SentBatch>;
  /** Number of the next run: 0 stands for none. */
  #nextRun = 1;
  #isAboutToSend = false;
  #waitsForPlace = false;

  constructor(deps: ThreadPoolDeps) {
    this.#deps = deps;
    this.#threads = new Threads(deps.semaphore.places, deps.settings, deps.log);
    this.#runLimit = createWaitLimit((run) => this.#withdraw(run), deps.waitLimitMs);
    this.#threadLimit = createWaitLimit((batch) => this.#withdrawAll(batch), THREAD_WITHIN_MS);
    this.#beginLimit = createWaitLimit((batch) => this.#endBlocked(batch), BEGUN_WITHIN_MS);
  }

  /** @throws PopfleetError `bad-definition` when the threads cannot load the task modules */
  start(): Promise<void> {
    return this.#threads.start();
  }

  run(job: Job, stop: StopSource): RunEnd | Promise<RunEnd> {
    if (stop.reason) return { kind: 'not-begun' };
    return new Promise((resolve) => {
      const run = new PoolRun(this, job, stop, resolve);
      this.#waiting.push(run);
      this.#runLimit.start(run);
      this.#sendSoon();
    });
  }

  stop(): Promise<void> {
    return this.#threads.stop();
  }

  /** When all runs of this turn of the event loop are there: they are shared out among the threads. */
  #sendSoon(): void {
    if (this.#isAboutToSend) return;
    this.#isAboutToSend = true;
    queueMicrotask(() => {
      this.#isAboutToSend = false;
      this.#sendAll();
    });
  }

  #sendAll(): void {
    while (this.#waiting.length > 0 && !this.#waitsForPlace) {
      if (this.#deps.semaphore.tryAcquire(this.#acquired)) this.#sendBatch();
      else this.#waitsForPlace = true;
    }
  }

  readonly #acquired = (): void => {
    this.#waitsForPlace = false;
    if (this.#waiting.length === 0) this.#deps.semaphore.release();
    else this.#sendBatch();
    this.#sendAll();
  };

  /** Gives a thread its share of what waits, for a place that was taken. */
  #sendBatch(): void {
    const share = Math.ceil(this.#waiting.length / (1 + this.#deps.semaphore.available()));
    const runs = this.#waiting.splice(0, Math.min(share, this.#deps.prefetch.batchSize(), MOST_JOBS));
    const batch = new SentBatch(this.#nextRun, runs);
    this.#nextRun += runs.length;
    for (const [index, run] of runs.entries()) run.sendWith(batch, index, this.#deps.prefetch.started());
    // The first one waits for nothing but its thread. If that is slow, so are those of other workers.
    const [first] = runs;
    if (first) this.#runLimit.clear(first);
    this.#threadLimit.start(batch);
    batch.stopWaiting = this.#threads.acquire((thread) => this.#give(batch, thread));
  }

  #give(batch: SentBatch, thread: Thread): void {
    batch.thread = thread;
    this.#threadLimit.clear(batch);
    this.#beginLimit.start(batch);
    thread.send(batch.toJobBatch(), {
      ended: (message) => this.#ended(batch, message),
      report: (report) => this.#deps.link.report(report),
      request: (request) => this.#requested(batch, request),
      lost: (lost) => this.#lost(batch, lost),
    });
  }

  #ended(batch: SentBatch, { run: number, end, ranMs }: Ended): void {
    const run = batch.runs[number - batch.firstRun];
    if (!run?.isOpen) return;
    if (end.report) this.#deps.link.report(end.report);
    if (batch.isEndingChildrenOf(run)) return;
    // A handler that has finished may leave a process behind; one that was stopped may not.
    if (run.grace.asked && end.kind !== 'succeeded') void batch.thread?.endChildren(number, false);
    this.#settle(run, withStop(end, run.grace.end()), ranMs);
  }

  #requested(batch: SentBatch, { run: number, number: ofRequest, request }: Request): void {
    const run = batch.runs[number - batch.firstRun];
    if (!run?.isOpen) return;
    void this.#deps.link.request(run.job, request).then((reply) => batch.thread?.reply(ofRequest, reply));
  }

  #lost(batch: SentBatch, lost: ThreadLost): void {
    this.#deps.onReplaced?.(
      batch.killed?.grace.asked?.reason ?? (lost.isLeftBehind ? 'left-behind' : lost.cause),
    );
    for (const run of batch.runs) {
      if (run.isOpen && !this.#withdraw(run)) this.#settle(run, endOfLost(run, batch, lost));
    }
  }

  #settle(run: PoolRun, end: RunEnd, ranMs?: number): void {
    if (!run.isOpen) return;
    this.#runLimit.clear(run);
    if (run.sent) {
      this.#tellRan(run, ranMs);
      this.#deps.prefetch.ended(run.sent.timed, ranMs);
      this.#leave(run.sent.batch);
    } else this.#waiting.splice(this.#waiting.indexOf(run), 1);
    run.settle(end);
  }

  /** One that did not end by itself has run until now. */
  #tellRan({ job, sent }: PoolRun, ranMs: number | undefined): void {
    if (!this.#deps.onRan || !sent) return;
    const ms = ranMs ?? sent.batch.states.runningMs(sent.index);
    if (ranMs !== undefined || ms > 0) this.#deps.onRan(job, ms);
  }

  /** One run of a batch has ended; with the last one its thread is free. */
  #leave(batch: SentBatch): void {
    batch.open -= 1;
    if (batch.open > 0) return;
    this.#threadLimit.clear(batch);
    this.#beginLimit.clear(batch);
    if (batch.thread) this.#threads.release(batch.thread);
    else batch.stopWaiting();
    this.#deps.semaphore.release();
  }

  /** Takes a run back if it has not begun. */
  #withdraw(run: PoolRun): boolean {
    if (run.sent && !run.sent.batch.states.withdraw(run.sent.index)) return false;
    this.#settle(run, { kind: 'not-begun' });
    return true;
  }

  #withdrawAll(batch: SentBatch): void {
    for (const run of batch.withdrawUnbegun()) this.#settle(run, { kind: 'not-begun' });
  }

  /** Something that an earlier task left behind keeps the thread from beginning, and would do so for ever. */
  #endBlocked(batch: SentBatch): void {
    const withdrawn = batch.withdrawUnbegun();
    if (withdrawn.length === 0) return;
    if (!batch.hasBegun()) {
      this.#deps.log.error(
        'a thread does not begin, because of what an earlier task left behind: it is replaced',
      );
      batch.thread?.end();
    }
    for (const run of withdrawn) this.#settle(run, { kind: 'not-begun' });
  }

  /** Called by a run that shall stop. */
  ask(run: PoolRun, reason: StopReason): void {
    if (this.#withdraw(run) || !run.sent) return;
    const { batch, index } = run.sent;
    batch.thread?.ask(batch.firstRun + index, reason);
  }

  /** Called by a run whose grace is over: ends its thread, and no other run with it. */
  force(run: PoolRun): void {
    if (!run.sent) return;
    const { batch, index } = run.sent;
    for (const other of batch.runs) if (other !== run && other.isOpen) this.#withdraw(other);
    // Nothing else can begin now. If it has ended meanwhile, its end is on its way.
    if (batch.killed || !batch.states.isRunning(index)) return;
    batch.kill(run, index);
  }
}

/** How a run has ended whose thread is gone. */
function endOfLost(run: PoolRun, { killed }: SentBatch, lost: ThreadLost): RunEnd {
  const { asked } = run.grace;
  if (asked && killed === run) {
    return { kind: 'killed', stop: { reason: asked.reason, latencyMs: lost.latencyMs } };
  }
  // It had to end anyway, and did so on its own in the time that it was given for that.
  if (asked && asked.reason !== 'timed-out') {
    return { kind: 'killed', stop: { reason: asked.reason, latencyMs: performance.now() - asked.at } };
  }
  if (lost.isLeftBehind) return { kind: 'displaced' };
  return { kind: 'thread-lost', cause: lost.cause, error: lost.error };
}

/** A job in the pool, until it has ended. */
class PoolRun implements Stoppable {
  readonly job: Job;
  readonly #pool: ThreadPool;
  readonly grace: StopGrace;
  isOpen = true;
  /** Where it is, once it is given to a thread. */
  sent: { readonly batch: SentBatch; readonly index: number; readonly timed: TimedRun } | undefined;
  readonly #stop: StopSource;
  readonly #resolve: (end: RunEnd) => void;
  #clearDeadline: (() => void) | undefined;

  constructor(pool: ThreadPool, job: Job, stop: StopSource, resolve: (end: RunEnd) => void) {
    this.#pool = pool;
    this.job = job;
    this.#stop = stop;
    this.#resolve = resolve;
    this.grace = new StopGrace(stop, this);
  }

  sendWith(batch: SentBatch, index: number, timed: TimedRun): void {
    this.sent = { batch, index, timed };
    const { timeoutMs } = this.job;
    if (timeoutMs === undefined) return;
    // Its time counts from its begin, which only the thread knows.
    this.#clearDeadline = startDeadline(timeoutMs, this.#stop, () => batch.states.runningMs(index));
  }

  ask(reason: StopReason): void {
    this.#pool.ask(this, reason);
  }

  force(): void {
    this.#pool.force(this);
  }

  settle(end: RunEnd): void {
    this.isOpen = false;
    this.#clearDeadline?.();
    this.grace.end();
    this.#resolve(end);
  }
}

/** Runs that one thread gets at once. */
class SentBatch {
  /** The number of its first run. */
  readonly firstRun: number;
  readonly runs: readonly PoolRun[];
  readonly states = new BatchStates();
  /** Waits for a thread no more. */
  stopWaiting: () => void = () => undefined;
  /** The thread that has it. */
  thread: Thread | undefined;
  /** The run that its thread was ended for. */
  killed: PoolRun | undefined;
  #isEndingChildren = false;
  /** Runs that have not ended. */
  open: number;

  constructor(firstRun: number, runs: readonly PoolRun[]) {
    this.firstRun = firstRun;
    this.runs = runs;
    this.open = runs.length;
  }

  hasBegun(): boolean {
    return this.runs.some((_, index) => this.states.hasBegun(index));
  }

  /** Withdraws all runs when none has begun. @returns those that were open until now */
  withdrawUnbegun(): readonly PoolRun[] {
    if (this.hasBegun()) return [];
    return this.runs.filter((_, index) => this.states.withdraw(index));
  }

  /** Ends the thread for one of its runs. */
  kill(run: PoolRun, index: number): void {
    this.killed = run;
    // Its processes first: only while the thread is there it takes notice of their end, or they would stay as zombies.
    const ending = this.thread?.endChildren(this.firstRun + index, true);
    this.#isEndingChildren = ending !== undefined;
    if (ending) void ending.then(() => this.thread?.end());
    else this.thread?.end();
  }

  /** The processes of the run are being ended, and then its thread: what its handler makes of that does not count. */
  isEndingChildrenOf(run: PoolRun): boolean {
    return this.#isEndingChildren && this.killed === run;
  }

  /** With copies of the contents, which are slices of a reply buffer that others share: all of that would go to the thread. */
  toJobBatch(): JobBatch {
    const jobs = this.runs.map(({ job }) => ({ ...job, content: Uint8Array.from(job.content) }));
    return { firstRun: this.firstRun, jobs, memory: this.states.memory };
  }
}
