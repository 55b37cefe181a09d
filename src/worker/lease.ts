// The tasks of one queue that this worker holds, and all calls that change which they are: claim, finish, beat, and looking
// again after a lost reply. One call at a time, so that the count of Redis and that of the worker can be compared.

import { createSerial } from '../lifecycle.ts';
import type { Log } from '../log.ts';
import { type LaneTurn, takeTurns } from '../protocol/lane.ts';
import type { ClaimedTask, Consumer, Hand, Outcome, PoppedMessage, Said, Spans } from '../store/consumer.ts';
import { refusalOf } from '../store/protocol-number.ts';
import { steadyNow } from '../steady-now.ts';
import { Ahead, type Telling } from './ahead.ts';
import type { CallWatch } from './call-watch.ts';
import { type Completer, createCompleter } from './completer.ts';
import { Demand } from './demand.ts';
import type { Execute } from './execute.ts';
import { Hands } from './hands.ts';
import type { Offers } from './offers.ts';
import { toOutcome } from './outcome.ts';
import type { Prefetch } from './prefetch.ts';
import { createReportWriter, type ReportWriter } from './report-writer.ts';
import type { Report } from './runners/runner.ts';
import type { HeldTask, Slots } from './slots.ts';
import type { ThreadRoom } from './thread-room.ts';

export interface LeaseDeps {
  readonly consumer: Consumer;
  /** Announces the worker and its queue. @throws Error of the store */
  readonly announce: () => Promise<void>;
  /** Has what follows the ends of its tasks accepted. */
  readonly relay: () => void;
  readonly slots: Slots;
  readonly prefetch: Pick<Prefetch, 'tellsFirst' | 'refused'>;
  readonly threadRoom: Pick<ThreadRoom, 'of' | 'ended'>;
  readonly execute: Execute;
  /** How its tasks have waited and run since it was asked last. */
  readonly takeSpans?: () => Spans;
  /** Whether `finish` may bring the next tasks: not while stopping, nor when it is another queue's turn. */
  readonly wantsMore: () => boolean;
  readonly laneTurn: LaneTurn;
  /** Tasks that can run at the same time. */
  readonly places: number;
  readonly offers: Offers;
  /** How long Redis keeps what this worker holds for it after a beat, in milliseconds. */
  readonly leaseMs: number;
  /** Called when a hand has taken the last place. */
  readonly onFull: () => void;
  /** Called when messages may be popped that might not before (`isOpen`), or the other way round. */
  readonly onChange: () => void;
  readonly watch: CallWatch;
  /** Called when a person wants the worker to end. */
  readonly onStop: () => void;
  readonly log: Log;
}

/** A task on which this program itself fails waits for this time, perhaps for another release. */
const BROKE_DELAY_MS = 10_000;
const BROKE_ERROR = { name: 'InternalError', message: 'the worker failed, see its log' };

export class Lease {
  readonly queue: string;
  readonly #deps: LeaseDeps;
  readonly #oneAtATime = createSerial();
  readonly #completer: Completer;
  readonly #reports: ReportWriter;
  readonly #toBegin: HeldTask[] = [];
  readonly #ahead: Ahead;
  readonly #hands: Hands;
  readonly #demand: Demand;
  /** Redis has let this release change the queue. */
  #isServed = false;
  /** Why it does not, as a sentence. */
  #refusal: string | undefined;
  /** A claiming call lost its reply: Redis may hold tasks for this worker that it does not know of. */
  #isInDoubt = false;

  constructor(deps: LeaseDeps) {
    const { consumer, slots, places, watch, log } = deps;
    const { queue } = consumer;
    this.queue = queue;
    this.#deps = deps;
    this.#hands = new Hands({ queue, ask: this.#ask, ...deps });
    this.#demand = new Demand({ queue, ...deps });
    this.#ahead = new Ahead(
      (held) => this.#beginSoon(held),
      (held) => this.#goesBack(held),
    );
    this.#reports = createReportWriter(consumer, slots, log);
    const send = async (batch: readonly Outcome[]): Promise<void> => {
      if (!(await this.#unlessRefused(() => this.#finish(batch)))) this.#giveUp(batch);
    };
    const ahead = (): number => this.#ahead.size;
    this.#completer = createCompleter({ send, slots, ahead, places, queue, watch, log });
  }

  get consumer(): Consumer {
    return this.#deps.consumer;
  }

  /** Whether messages may be popped: tasks may be claimed, and by the last reply no other release keeps the queue. */
  get isOpen(): boolean {
    return this.#isServed && this.#demand.room > 0;
  }

  /** Claims popped messages and fills the free slots. @throws Error of the store; what was popped comes back by itself */
  async claim(popped: readonly PoppedMessage[]): Promise<void> {
    const { consumer, slots, laneTurn, offers, watch } = this.#deps;
    const call = `claim of ${this.queue}`;
    const claimed = this.#unlessRefused(async () => {
      const extra = slots.reserve(Math.max(0, this.#demand.room - popped.length));
      const telling = this.#tell(0);
      const said = this.#hands.say(telling, -popped.length, this.#demand.isRoomy);
      const sentAt = steadyNow();
      try {
        const reply = await this.#inDoubtUntilReplied(
          consumer.claim(popped, extra, takeTurns(laneTurn, extra), said),
        );
        this.#heard(telling, said, sentAt);
        watch.worked(call);
        this.#demand.isPaused = reply.paused;
        this.#adopt(reply.tasks, telling.bringsAhead, sentAt);
        // What was handed over has taken the place, and is not here yet: it may never come.
        if (reply.back > 0 && (said.free ?? 0) >= 0) await this.#lookAgain();
        if (popped.length > 0) offers.popped(this.queue);
      } finally {
        slots.unreserve(extra);
      }
    });
    await claimed.catch((error: unknown) => {
      watch.failed(call, error); // The fetcher, which asked for it, logs it.
      throw error;
    });
  }

  /**
   * Renews the lease and, when Redis has lost it, the announcement; stops what was lost or cancelled, and adopts what a lost
   * reply has hidden. @throws Error of the store
   */
  async beat(): Promise<void> {
    await this.#unlessRefused(async () => {
      const { consumer, slots, announce, takeSpans, offers } = this.#deps;
      if (this.#isInDoubt) await this.#lookAgain();
      const mine = slots.held(this.queue);
      const telling = this.#ahead.tell(this.#ahead.hasTold);
      const said = this.#hands.say(telling, 0, this.#demand.isRoomy);
      const seenBefore = this.#hands.seen;
      const sentAt = steadyNow();
      const tasks = mine.map(({ task }) => task);
      // The spans of a beat that fails are not told again: they may have been counted.
      const reply = await consumer.beat(tasks, said, this.#demand.order, takeSpans?.());
      const wasHanded = this.#hands.seen > seenBefore;
      this.#heard(telling, said, sentAt);
      this.#hands.compare(mine, sentAt, reply);
      this.#demand.isPaused = reply.paused;
      this.#demand.obey(reply.order);
      if (!reply.isAnnounced) await announce();
      // With tasks that were handed over meanwhile the next one counts.
      if (wasHanded) return;
      if (reply.held !== mine.length - reply.lost.length) await this.#lookAgain();
      // Not before: hands that it has not read yet need their places.
      if (!this.#hands.isOffering) offers.withdrawn(this.queue);
    });
  }

  /** Takes tasks that a script has handed over: they are this worker's already, and begin at once. */
  take(hand: Hand): void {
    const { slots, onFull } = this.#deps;
    const verdict = this.#hands.judge(hand);
    if (verdict === 'drop') return;
    if (!this.#isServed || verdict === 'ask') return this.#ask();
    // Before they begin: what takes this worker down, or keeps it from all else, has been told then.
    this.#hands.confirm(this.#hold(hand.tasks, false), hand.sentAt);
    this.#beginAll();
    if (slots.limit() <= slots.size()) onFull();
  }

  readonly #ask = (): void => {
    this.#isInDoubt = true;
    this.beat().catch(() => undefined); // The heartbeat goes on asking.
  };

  /** Offers no places any more, and takes what was handed over until then. @throws Error of the store */
  async withdraw(): Promise<void> {
    if (this.#hands.isOffering) await this.beat();
  }

  /** Takes a report of a running handler, to be written with the next batch. */
  report(report: Report): void {
    this.#reports.add(report);
  }

  /** Resolves when every outcome is recorded. */
  settled(): Promise<void> {
    return this.#completer.settled();
  }

  /** Gives up the lease. @throws Error of the store */
  leave(): Promise<void> {
    return this.#oneAtATime(() => this.#deps.consumer.leave());
  }

  /** Makes a call when it is its turn. @returns false when it was refused: another release keeps the queue */
  #unlessRefused(call: () => Promise<void>): Promise<boolean> {
    return this.#oneAtATime(async () => {
      const { isOpen } = this;
      try {
        await call();
        this.#served();
        return true;
      } catch (error) {
        const refusal = refusalOf(error);
        if (refusal === undefined) throw error;
        this.#refused(refusal);
        return false;
      } finally {
        // Whichever call has brought it: the fetcher waits for this alone while it may not pop.
        if (this.isOpen !== isOpen) this.#deps.onChange();
      }
    });
  }

  #served(): void {
    if (this.#refusal !== undefined) this.#deps.log.info({ queue: this.queue }, 'the queue is served again');
    this.#isServed = true;
    this.#refusal = undefined;
  }

  /** No outcome can count any more: what runs is stopped. The heartbeat goes on asking. */
  #refused(reason: string): void {
    if (reason !== this.#refusal)
      this.#deps.log.error(
        { queue: this.queue, reason },
        'the queue is left alone: another release of popfleet keeps it',
      );
    this.#isServed = false;
    this.#refusal = reason;
    for (const held of this.#deps.slots.held(this.queue)) held.stop('lease-lost');
  }

  /** The release that keeps the queue gives these tasks to another worker when the lease has run out. */
  #giveUp(batch: readonly Outcome[]): void {
    const { slots, log } = this.#deps;
    log.warn({ queue: this.queue, outcomes: batch.length }, 'outcomes cannot be recorded and are dropped');
    for (const { id, token } of batch) slots.drop(this.queue, id, token);
  }

  async #finish(batch: readonly Outcome[]): Promise<void> {
    const { consumer, slots, threadRoom, wantsMore, laneTurn, relay, log } = this.#deps;
    if (this.#isInDoubt) await this.#lookAgain();
    const want = wantsMore() ? slots.reserve(this.#demand.room, batch.length) : 0;
    // The last reports of their handlers go first: they count only while the tasks run.
    this.#reports.flush();
    const telling = this.#tell(batch.length);
    const said = this.#hands.say(telling, batch.length, this.#demand.isRoomy);
    const sentAt = steadyNow();
    try {
      const reply = await this.#inDoubtUntilReplied(
        consumer.finish(batch, want, takeTurns(laneTurn, want), said),
      );
      this.#heard(telling, said, sentAt);
      this.#demand.isPaused = reply.paused;
      if (reply.toRelay > 0) relay();
      for (const { id: task, token } of reply.stale)
        log.warn({ queue: this.queue, task, token }, 'the outcome came too late and was not recorded');
      for (const { id, token } of batch) slots.drop(this.queue, id, token);
      this.#adopt(reply.tasks, telling.bringsAhead, sentAt);
    } finally {
      slots.unreserve(want);
    }
    threadRoom.ended();
  }

  async #inDoubtUntilReplied<T>(call: Promise<T>): Promise<T> {
    const wasInDoubt = this.#isInDoubt;
    this.#isInDoubt = true;
    const reply = await call;
    this.#isInDoubt = wasInDoubt;
    return reply;
  }

  async #lookAgain(): Promise<void> {
    const { consumer, slots, log } = this.#deps;
    const sentAt = steadyNow();
    const { upTo, tasks } = await consumer.held();
    this.#isInDoubt = false;
    this.#hands.see(upTo);
    const hidden = tasks.filter(({ id, token }) => slots.find(this.queue, id)?.task.token !== token);
    if (hidden.length > 0)
      log.info({ queue: this.queue, tasks: hidden.length }, 'adopted tasks whose claim was not heard of');
    this.#adopt(hidden, this.#ahead.hasTold, sentAt);
  }

  /** What the next call says of what may begin. @param ending tasks that it lets go */
  #tell(ending: number): Telling {
    const { slots, places, prefetch } = this.#deps;
    const isBusy = slots.size() - this.#ahead.size - ending >= places;
    return this.#ahead.tell(isBusy && prefetch.tellsFirst());
  }

  /** A call was answered. */
  #heard(telling: Telling, said: Said, sentAt: number): void {
    this.#hands.heard(said);
    // What was taken ahead may be another's by now.
    if (this.#isOld(sentAt)) this.#ask();
    else this.#ahead.told(telling);
  }

  /**
   * Whether an answer has waited here for longer than a lease (the worker was frozen, or its machine suspended): what it says may be true
   * no more.
   * @param sentAt when its call was sent, by `steadyNow()`
   */
  #isOld(sentAt: number): boolean {
    return steadyNow() - sentAt >= this.#deps.leaseMs;
  }

  /**
   * Holds tasks, and lets them begin unless they were taken ahead. An old answer may bring what others have by now: Redis is asked.
   * @param sentAt when the call was sent that brings them, by `steadyNow()`
   */
  #adopt(tasks: readonly ClaimedTask[], areAhead: boolean, sentAt: number): void {
    if (tasks.length > 0 && this.#isOld(sentAt)) return this.#ask();
    this.#hold(tasks, areAhead);
    if (this.#toBegin.length > 0) process.nextTick(() => this.#beginAll());
  }

  /** @returns those that it has not held before */
  #hold(tasks: readonly ClaimedTask[], areAhead: boolean): readonly HeldTask[] {
    const fresh: HeldTask[] = [];
    let token = '';
    for (const task of tasks) {
      const held = this.#deps.slots.hold(task);
      if (!held) continue;
      fresh.push(held);
      if (areAhead) this.#ahead.add(held);
      else {
        // Tasks that are claimed together often have the same.
        if (task.token !== token) this.#ahead.begins(task.token);
        token = task.token;
        this.#toBegin.push(held);
      }
    }
    return fresh;
  }

  /** But only when the call that brought them is done: the next one may go out before. */
  #beginSoon(held: HeldTask): void {
    if (this.#toBegin.length === 0) process.nextTick(() => this.#beginAll());
    this.#toBegin.push(held);
  }

  /** It was taken ahead, and finds no place in time. */
  #goesBack({ task }: HeldTask): void {
    this.#deps.prefetch.refused();
    this.#completer.push(toOutcome({ task, resultTtlMs: undefined }, 'unbegun'));
  }

  #beginAll(): void {
    for (const held of this.#toBegin.splice(0)) {
      try {
        const outcome = this.#deps.execute(held);
        if (outcome instanceof Promise) {
          outcome.then((one) => this.#ended(held, one)).catch((error: unknown) => this.#broke(held, error));
        } else this.#ended(held, outcome);
      } catch (error) {
        this.#broke(held, error);
      }
    }
  }

  #ended(held: HeldTask, outcome: Outcome | undefined): void {
    if (outcome) {
      const hasHistory = held.hasReported || held.task.claim > 1;
      this.#completer.push(hasHistory ? { ...outcome, hasHistory } : outcome);
    } else this.#deps.slots.drop(this.queue, held.task.id, held.task.token);
  }

  /** A fault of ours: the task is not to blame, and neither are those beside it. */
  #broke({ task }: HeldTask, fault: unknown): void {
    const which = { queue: this.queue, task: task.id };
    this.#deps.log.error({ err: fault, ...which }, 'popfleet itself failed: the task runs again later');
    const run = { task, resultTtlMs: undefined };
    this.#completer.push(toOutcome(run, 'snoozed', BROKE_ERROR, BROKE_DELAY_MS));
  }
}
