// What one lease knows of tasks that may be handed over: how many Redis may think of as welcome, and which of them are here.

import type { Log } from '../log.ts';
import { steadyNow } from '../steady-now.ts';
import type { Beat, Consumer, Hand, Said } from '../store/consumer.ts';
import { handGraceOf } from '../store/hand-grace.ts';
import type { Telling } from './ahead.ts';
import type { Offers } from './offers.ts';
import type { HeldTask, Slots } from './slots.ts';

export interface HandsDeps {
  readonly queue: string;
  readonly slots: Slots;
  /** Tasks that can run at the same time. */
  readonly places: number;
  readonly offers: Offers;
  /** How long Redis keeps what this worker holds for it after a beat, in milliseconds. */
  readonly leaseMs: number;
  readonly consumer: Pick<Consumer, 'beat'>;
  /** Asks Redis what this worker holds. */
  readonly ask: () => void;
  readonly log: Log;
}

/** A hand that is older than this part of its grace is asked for before it begins: it has waited, or the clocks are not what they were. */
const BEGINS_WITHIN = 1 / 4;
/** What has begun is stopped when nobody has answered by this part of its grace. The stop has the rest of it, and the second look. */
const HEARD_WITHIN = 4 / 5;

export class Hands {
  readonly #deps: HandsDeps;
  readonly #graceMs: number;
  /** Redis may think that places are free. */
  #isOffering = false;
  /** Hands up to this number are here, void, or among what `held` has brought. */
  #seen = 0;
  /** Redis has heard that it has them up to this number. */
  #told = 0;
  /** When the last beat that was answered was sent, by `steadyNow()`. */
  #renewedAt = Number.NEGATIVE_INFINITY;
  /** What was handed over, and nobody has answered yet that it was heard of. */
  readonly #unheard = new Set<HeldTask>();
  /** The clock of Redis is not ahead of `steadyNow()` by more than this, in milliseconds. */
  #clockAhead = Number.POSITIVE_INFINITY;

  constructor(deps: HandsDeps) {
    this.#deps = deps;
    this.#graceMs = handGraceOf(deps.leaseMs);
  }

  get isOffering(): boolean {
    return this.#isOffering;
  }

  get seen(): number {
    return this.#seen;
  }

  /** A beat was answered that named these tasks. @param sentAt when it was sent, by `steadyNow()` */
  compare(named: readonly HeldTask[], sentAt: number, reply: Beat): void {
    this.#renewedAt = sentAt;
    this.#clockAhead = reply.now - sentAt;
    this.see(reply.settledUpTo);
    const lost = new Set(reply.lost);
    const cancel = new Set(reply.cancel);
    for (const held of named) {
      this.#unheard.delete(held);
      if (lost.has(held.task.id)) held.stop('lease-lost');
      if (cancel.has(held.task.id)) held.stop('cancelled');
    }
  }

  /**
   * Tells Redis that tasks which were handed over are here, before they begin: whatever takes this worker down then, or keeps it from all
   * else. What nobody has answered in time is stopped: others get it then.
   * @param handSentAt as in `Hand`
   */
  confirm(handed: readonly HeldTask[], handSentAt: number): void {
    const { consumer, ask } = this.#deps;
    for (const held of handed) this.#unheard.add(held);
    // The answer may be here already, and was not read.
    const overdue = (): unknown => setImmediate(() => this.#stopUnheard(handed));
    const leftMs = this.#graceMs * HEARD_WITHIN - this.#ageMs(handSentAt);
    const timer = setTimeout(overdue, leftMs).unref();
    const said = { seen: this.#seen };
    const sentAt = steadyNow();
    const tasks = handed.map(({ task }) => task);
    // Beside the calls that wait for each other: it changes nothing of what is held.
    const heard = consumer.beat(tasks, said).then((reply) => {
      clearTimeout(timer);
      this.heard(said);
      this.compare(handed, sentAt, reply);
      if (!reply.isAnnounced) ask();
    });
    heard.catch(ask);
  }

  #stopUnheard(handed: readonly HeldTask[]): void {
    const { queue, log } = this.#deps;
    const unheard = handed.filter((held) => this.#unheard.delete(held));
    for (const held of unheard) held.stop('lease-lost');
    if (unheard.length > 0)
      log.warn({ queue, tasks: unheard.length }, 'stopped what was handed over: Redis has not answered');
  }

  /** Hands up to this number are spoken for. */
  see(number: number): void {
    this.#seen = Math.max(this.#seen, number);
  }

  /** How long ago a hand was sent, at most. */
  #ageMs(handSentAt: number): number {
    return steadyNow() + this.#clockAhead - handSentAt;
  }

  /**
   * What becomes of a hand: it is dropped when its number was spoken for; its tasks begin only as long as they are certain to be
   * this worker's, else Redis has to be asked (the worker was frozen, or a clock was set).
   */
  judge({ number, sentAt }: Hand): 'drop' | 'begin' | 'ask' {
    if (number <= this.#seen) return 'drop';
    this.#seen = number;
    if (steadyNow() - this.#renewedAt >= this.#deps.leaseMs) return 'ask';
    const ageMs = this.#ageMs(sentAt);
    // One that is not old enough for its time: the clock of Redis was set forward.
    if (!(ageMs >= 0 && ageMs <= this.#graceMs * BEGINS_WITHIN)) return 'ask';
    this.#deps.offers.handed();
    return 'begin';
  }

  /**
   * What the next call says.
   * @param more places that it frees, beside those that are free
   * @param mayClaim whether tasks are welcome at all
   */
  say({ word: begun }: Telling, more: number, mayClaim: boolean): Said {
    const { queue, slots, places, offers } = this.#deps;
    const size = slots.size() - more;
    // What was popped goes back when tasks that were handed over have taken its slot.
    const room = Math.min(0, slots.limit() - size);
    const mayOffer = mayClaim && offers.mayOffer(queue, size);
    const free = mayOffer && room === 0 ? Math.max(0, places - size) : room;
    // Most calls of a busy worker have nothing to say.
    const isNews = free > 0 || this.#isOffering || (more < 0 && room < 0);
    if (free > 0) {
      this.#isOffering = true;
      offers.offered();
    }
    return {
      begun,
      free: isNews ? free : undefined,
      seen: isNews || this.#seen > this.#told ? this.#seen : undefined,
    };
  }

  /** A call was answered that has said this. */
  heard({ free, seen = 0 }: Said): void {
    this.#told = Math.max(this.#told, seen);
    if (free !== undefined) this.#isOffering = free > 0;
  }
}
