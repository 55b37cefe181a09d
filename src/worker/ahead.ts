// Tasks that were taken ahead and may not begin yet: Redis has to hear of it first, in a call that goes out anyway. So it knows
// of a worker that dies which of its tasks had no part in that.

import type { BegunWord } from '../store/consumer.ts';
import { readHeader } from '../store/record.ts';
import { createWaitLimit } from './runners/semaphore.ts';
import type { HeldTask } from './slots.ts';

/** What a call says, and what its answer lets begin. */
export interface Telling {
  readonly word: BegunWord;
  /** Whether the tasks that the call brings wait for the next one. */
  readonly bringsAhead: boolean;
  readonly named: readonly HeldTask[];
}

export class Ahead {
  readonly #begin: (held: HeldTask) => void;
  readonly #waiting = new Set<HeldTask>();
  readonly #limit;
  /** What was claimed until then has begun, or may: milliseconds of the clock of Redis. */
  #begunUntil = 0;
  /** Redis may have a time of this worker: it takes what was claimed later for not begun. */
  #hasTold = false;

  /**
   * @param begin called with a task that may begin, or shall stop
   * @param overdue called with one that has waited for too long: another worker may have a place for it
   * @param waitLimitMs `WAIT_LIMIT_MS` unless a test says so
   */
  constructor(begin: (held: HeldTask) => void, overdue: (held: HeldTask) => void, waitLimitMs?: number) {
    this.#begin = begin;
    this.#limit = createWaitLimit<HeldTask>((held) => {
      if (this.#waiting.delete(held)) overdue(held);
    }, waitLimitMs);
  }

  get size(): number {
    return this.#waiting.size;
  }

  /** Whether tasks that nobody knew of (`held`) have to wait: the call that claimed them may have said so. */
  get hasTold(): boolean {
    return this.#hasTold;
  }

  /** Before a call is sent. @param bringsAhead whether what it brings can wait for the next one */
  tell(bringsAhead: boolean): Telling {
    const named = [...this.#waiting];
    if (bringsAhead) {
      this.#hasTold = true;
      const word = Math.max(this.#begunUntil, ...named.map(({ task }) => claimedAt(task.token)));
      return { word, bringsAhead, named };
    }
    return { word: this.#hasTold ? 'all' : '', bringsAhead, named };
  }

  /** The call was answered. */
  told({ word, named }: Telling): void {
    if (word === 'all') this.#hasTold = false;
    for (const held of named) this.#letBegin(held);
  }

  /** A task was taken that may begin at once. */
  begins(token: string): void {
    this.#begunUntil = Math.max(this.#begunUntil, claimedAt(token));
  }

  /** A task was taken that may not. */
  add(held: HeldTask): void {
    this.#waiting.add(held);
    this.#limit.start(held);
    held.onStop(() => this.#letBegin(held));
  }

  #letBegin(held: HeldTask): void {
    if (!this.#waiting.delete(held)) return;
    this.#limit.clear(held);
    this.begins(held.task.token);
    this.#begin(held);
  }
}

function claimedAt(token: string): number {
  return readHeader(token).startedAt ?? 0;
}
