// Waking a thread takes longer than running a tiny task, so a thread gets several in one message. The state of each
// stands in memory that both sides share: one that shall not run is withdrawn, and a thread is ended only while the one
// that it is ended for runs.

import type { Job } from './runner.ts';

/** Jobs that a thread gets at once, at most. */
export const MOST_JOBS = 32;

/** Jobs that run one after the other. */
export interface JobBatch {
  /** Number of the first run; the others follow. Messages name a run by its number, which no other one of this worker has. */
  readonly firstRun: number;
  readonly jobs: readonly Job[];
  /** Of its `BatchStates`. */
  readonly memory: SharedArrayBuffer;
}

const PENDING = 0;
const BEGUN = 1;
const ENDED = 2;
const WITHDRAWN = 3;

/** The states of the jobs of a batch, by their index. */
export class BatchStates {
  readonly memory: SharedArrayBuffer;
  readonly #begunAt: Float64Array;
  readonly #states: Int32Array;

  /** @param memory of the other side; without it all jobs are pending */
  constructor(memory?: SharedArrayBuffer) {
    const timesBytes = MOST_JOBS * Float64Array.BYTES_PER_ELEMENT;
    this.memory = memory ?? new SharedArrayBuffer(timesBytes + MOST_JOBS * Int32Array.BYTES_PER_ELEMENT);
    this.#begunAt = new Float64Array(this.memory, 0, MOST_JOBS);
    this.#states = new Int32Array(this.memory, timesBytes, MOST_JOBS);
  }

  /** Called by the thread. @returns false when it shall not run */
  begin(index: number): boolean {
    this.#begunAt[index] = monotonicMs();
    return Atomics.compareExchange(this.#states, index, PENDING, BEGUN) === PENDING;
  }

  /** Called by the thread, before it posts how it ended. */
  end(index: number): void {
    Atomics.store(this.#states, index, ENDED);
  }

  /** @returns false when it has begun */
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

  /** Milliseconds since it has begun; 0 when it does not run. */
  runningMs(index: number): number {
    return this.isRunning(index) ? monotonicMs() - (this.#begunAt[index] ?? 0) : 0;
  }
}

/** The same in every thread, other than `performance.now()`. */
function monotonicMs(): number {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1_000 + nanoseconds / 1e6;
}
