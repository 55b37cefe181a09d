// One job on its way through the pool: it waits, a thread has it, it ended. And the jobs that one thread gets at once.

import type { Run } from './ahead.ts';
import { type Bundle, BundleStates, type NumberedJob } from './bundle.ts';
import type { Job, StopReason } from './job.ts';
import type { RunEnd, Stop } from './runner.ts';
import type { StopSource } from './stop-source.ts';
import type { Thread } from './thread.ts';

export class SentBundle {
  readonly runs: readonly PoolRun[];
  readonly states = new BundleStates();
  /** Takes the wish for a thread back. */
  unwish: () => void = () => undefined;
  /** The thread that has it. */
  thread: Thread | undefined;
  /** The run that its thread was ended for. */
  killed: PoolRun | undefined;
  #isEndingChildren = false;
  /** Runs that have not ended. */
  open: number;

  constructor(runs: readonly PoolRun[]) {
    this.runs = runs;
    this.open = runs.length;
  }

  hasBegun(): boolean {
    return this.runs.some((_, index) => this.states.hasBegun(index));
  }

  /** Takes all runs back when none has begun. @returns those that were open until now */
  withdrawUnbegun(): readonly PoolRun[] {
    if (this.hasBegun()) return [];
    return this.runs.filter((_, index) => this.states.withdraw(index));
  }

  /** Ends the thread for one of its runs. */
  kill(run: PoolRun): void {
    this.killed = run;
    // Its processes first: only while the thread is there it takes notice of their end, or they would stay as zombies.
    const ending = this.thread?.endChildren(run.number);
    this.#isEndingChildren = ending !== undefined;
    if (ending) void ending.then(() => this.thread?.end());
    else this.thread?.end();
  }

  /** The processes of the run are being ended, and then its thread: what its handler makes of that is no answer. */
  isEndingChildrenOf(run: PoolRun): boolean {
    return this.#isEndingChildren && this.killed === run;
  }

  toBundle(): Bundle {
    return { jobs: this.runs.map((run) => run.toNumbered()), memory: this.states.memory };
  }
}

export class PoolRun {
  readonly number: number;
  /** Where it is, once it is given to a thread. */
  sent: { readonly bundle: SentBundle; readonly index: number; readonly run: Run } | undefined;
  /** It was asked to end by itself, and is ended when `grace` is over. */
  asked: { readonly reason: StopReason; readonly at: number; readonly grace: NodeJS.Timeout } | undefined;
  readonly job: Job;
  readonly #stop: StopSource;
  readonly #resolve: (end: RunEnd) => void;
  readonly #off: () => void;
  #deadline: NodeJS.Timeout | undefined;

  /** @param onStop called when it shall stop, for whatever reason */
  constructor(
    number: number,
    job: Job,
    stop: StopSource,
    resolve: (end: RunEnd) => void,
    onStop: (run: PoolRun, reason: StopReason) => void,
  ) {
    this.number = number;
    this.job = job;
    this.#stop = stop;
    this.#resolve = resolve;
    this.#off = stop.onStop((reason) => onStop(this, reason));
  }

  sendWith(bundle: SentBundle, index: number, run: Run): void {
    this.sent = { bundle, index, run };
    this.#armDeadline(this.job.timeoutMs);
  }

  /** Why it was asked to end, and how long ago. */
  stopped(): Stop | undefined {
    return this.asked && { reason: this.asked.reason, latencyMs: performance.now() - this.asked.at };
  }

  end(ended: RunEnd): void {
    clearTimeout(this.#deadline);
    clearTimeout(this.asked?.grace);
    this.#off();
    this.#resolve(ended);
  }

  /** With a copy of the content, which is a slice of a reply buffer that others share: all of that would go to the thread. */
  toNumbered(): NumberedJob {
    return { ...this.job, content: Uint8Array.from(this.job.content), run: this.number };
  }

  /** The time of a run counts from its begin, which only the thread knows. */
  #armDeadline(inMs: number | undefined): void {
    const { timeoutMs } = this.job;
    if (inMs === undefined || timeoutMs === undefined) return;
    this.#deadline = setTimeout(() => {
      const leftMs = timeoutMs - (this.sent?.bundle.states.runningMs(this.sent.index) ?? 0);
      if (leftMs > 0) this.#armDeadline(leftMs);
      else this.#stop.stop('timed-out');
    }, inMs);
  }
}
