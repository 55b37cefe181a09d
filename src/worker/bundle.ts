// Waking a thread takes longer than running a tiny task, so a thread gets several in one message. What has become of each
// stands in memory that both sides share: one that shall not run is taken back, and a thread is ended only while the one
// that it is ended for runs.

import type { Job } from './job.ts';

/** Tasks that a thread gets at once, at most. */
export const MOST_TOGETHER = 32;

/** One after the other. */
export interface Bundle {
  readonly jobs: readonly NumberedJob[];
  /** Of its `BundleStates`. */
  readonly memory: SharedArrayBuffer;
}

export interface NumberedJob extends Job {
  /** Its answer has the same one. */
  readonly run: number;
}

const PENDING = 0;
const BEGUN = 1;
const ENDED = 2;
const WITHDRAWN = 3;

/** What has become of the jobs of a bundle, by their index. */
export class BundleStates {
  readonly memory: SharedArrayBuffer;
  readonly #begunAt: Float64Array;
  readonly #states: Int32Array;

  /** @param memory of the other side; without it all jobs are pending */
  constructor(memory?: SharedArrayBuffer) {
    const timesBytes = MOST_TOGETHER * Float64Array.BYTES_PER_ELEMENT;
    this.memory = memory ?? new SharedArrayBuffer(timesBytes + MOST_TOGETHER * Int32Array.BYTES_PER_ELEMENT);
    this.#begunAt = new Float64Array(this.memory, 0, MOST_TOGETHER);
    this.#states = new Int32Array(this.memory, timesBytes, MOST_TOGETHER);
  }

  /** Called by the thread. @returns false when it shall not run */
  begin(index: number): boolean {
    this.#begunAt[index] = monotonicMs();
    return Atomics.compareExchange(this.#states, index, PENDING, BEGUN) === PENDING;
  }

  /** Called by the thread, before it says how. */
  end(index: number): void {
    Atomics.store(this.#states, index, ENDED);
  }

  /** Takes a job back. @returns false when it has begun */
  withdraw(index: number): boolean {
    return Atomics.compareExchange(this.#states, index, PENDING, WITHDRAWN) === PENDING;
  }

  /** It runs, or has ended. */
  hasBegun(index: number): boolean {
    const state = Atomics.load(this.#states, index);
    return state === BEGUN || state === ENDED;
  }

  isRunning(index: number): boolean {
    return Atomics.load(this.#states, index) === BEGUN;
  }

  /** Milliseconds since a job has begun; `undefined` when it has not. */
  runningMs(index: number): number | undefined {
    return this.isRunning(index) ? monotonicMs() - (this.#begunAt[index] ?? 0) : undefined;
  }
}

/** The same in every thread, other than `performance.now()`. */
function monotonicMs(): number {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1_000 + nanoseconds / 1e6;
}
