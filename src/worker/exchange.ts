// All traffic of one queue that changes what this worker holds: claim, finish, beat, and looking again after a lost reply.
// One call at a time, so that what Redis counts and what the worker counts can be compared.

import { createSerial } from '../lifecycle.ts';
import type { Log } from '../log.ts';
import { encodeCbor } from '../protocol/cbor.ts';
import type { ClaimedTask, Consumer, Outcome, PoppedMessage } from '../store/consumer.ts';
import type { Execute } from './execute.ts';
import type { Told } from './job.ts';
import type { CallWatch } from './call-watch.ts';
import { type LaneTurn, takeTurns } from './lane-turn.ts';
import { createOutbox } from './outbox.ts';
import { createReports } from './reports.ts';
import type { HeldTask, Slots } from './slots.ts';

export interface Exchange {
  readonly queue: string;
  isPaused(): boolean;
  /** Claims popped messages and fills the free slots. @throws Error of the store; what was popped comes back by itself */
  claim(popped: readonly PoppedMessage[]): Promise<void>;
  /**
   * Renews the lease and, when Redis has lost it, the announcement; stops what was lost or cancelled, and adopts what a lost
   * reply has hidden. @throws Error of the store
   */
  beat(): Promise<void>;
  /** Takes what a running handler tells, to be written with the next batch. */
  tell(told: Told): void;
  /** Resolves when every outcome is recorded. */
  settled(): Promise<void>;
  /** Gives up the lease. @throws Error of the store */
  leave(): Promise<void>;
}

export interface ExchangeParts {
  readonly consumer: Consumer;
  /** Writes what the worker says of itself. @throws Error of the store */
  readonly announce: () => Promise<void>;
  readonly slots: Slots;
  readonly execute: Execute;
  /** Whether `finish` may bring the next tasks: not while stopping, nor when it is another queue's turn. */
  readonly wantsMore: () => boolean;
  readonly laneTurn: LaneTurn;
  /** Tasks that can run at the same time. */
  readonly places: number;
  readonly watch: CallWatch;
  readonly log: Log;
}

/** A task on which this program itself fails waits for this time, perhaps for another release. */
const BROKE_DELAY_MS = 10_000;

export function createExchange(parts: ExchangeParts): Exchange {
  const { consumer, slots, execute, wantsMore, laneTurn, places, announce, watch, log } = parts;
  const { queue } = consumer;
  const claiming = `claim of ${queue}`;
  const oneAtATime = createSerial();
  const reports = createReports(consumer, slots, log);
  const toBegin: HeldTask[] = [];
  const outbox = createOutbox({
    send: (batch) => oneAtATime(() => finish(batch)),
    slots,
    places,
    queue,
    watch,
    log,
  });
  let paused = false;
  /** A claiming call lost its reply: Redis may hold tasks for this worker that it has not heard of. */
  let inDoubt = false;

  /** Holds tasks and lets them begin, but only when whoever brought them is done: the next call may go out before. */
  function adopt(tasks: readonly ClaimedTask[]): void {
    if (tasks.length > 0 && toBegin.length === 0) process.nextTick(beginAll);
    for (const task of tasks) {
      const held = slots.hold(task);
      if (held) toBegin.push(held);
    }
  }

  function beginAll(): void {
    for (const held of toBegin.splice(0)) {
      try {
        const outcome = execute(held);
        if (outcome instanceof Promise) {
          outcome.then((one) => ended(held, one)).catch((error: unknown) => broke(held, error));
        } else ended(held, outcome);
      } catch (error) {
        broke(held, error);
      }
    }
  }

  /** A fault of ours: the task is not to blame, and neither are those beside it. */
  function broke({ task }: HeldTask, fault: unknown): void {
    log.error({ err: fault, queue, task: task.id }, 'popfleet itself failed: the task runs again later');
    outbox.push(toPostponed(task));
  }

  function ended(held: HeldTask, outcome: Outcome | undefined): void {
    if (outcome) {
      const hasHistory = held.hasReported || held.task.claim > 1;
      outbox.push(hasHistory ? { ...outcome, hasHistory } : outcome);
    } else slots.drop(queue, held.task.id, held.task.token);
  }

  async function finish(batch: readonly Outcome[]): Promise<void> {
    if (inDoubt) await lookAgain();
    const want = wantsMore() && !paused ? slots.reserve(Number.POSITIVE_INFINITY, batch.length) : 0;
    // What their handlers told last goes first: it counts only while they run.
    reports.passOn();
    try {
      const answer = await inDoubtUntilAnswered(consumer.finish(batch, want, takeTurns(laneTurn, want)));
      paused = answer.paused;
      for (const { id, token } of answer.stale)
        log.warn({ queue, task: id, token }, 'the outcome came too late and was not recorded');
      for (const { id, token } of batch) slots.drop(queue, id, token);
      adopt(answer.tasks);
    } finally {
      slots.unreserve(want);
    }
  }

  async function inDoubtUntilAnswered<T>(call: Promise<T>): Promise<T> {
    const wasInDoubt = inDoubt;
    inDoubt = true;
    const answer = await call;
    inDoubt = wasInDoubt;
    return answer;
  }

  async function lookAgain(): Promise<void> {
    const held = await consumer.held();
    inDoubt = false;
    const hidden = held.filter(({ id, token }) => slots.find(queue, id)?.task.token !== token);
    if (hidden.length > 0)
      log.info({ queue, tasks: hidden.length }, 'adopted tasks whose claim was not heard of');
    adopt(hidden);
  }

  return {
    queue,

    isPaused: () => paused,

    claim: (popped) =>
      oneAtATime(async () => {
        const extra = paused ? 0 : slots.reserve(Number.POSITIVE_INFINITY);
        try {
          const answer = await inDoubtUntilAnswered(
            consumer.claim(popped, extra, takeTurns(laneTurn, extra)),
          );
          watch.worked(claiming);
          paused = answer.paused;
          adopt(answer.tasks);
        } catch (error) {
          watch.failed(claiming, error); // The fetch loop, which asked for it, logs it.
          throw error;
        } finally {
          slots.unreserve(extra);
        }
      }),

    beat: () =>
      oneAtATime(async () => {
        if (inDoubt) await lookAgain();
        const mine = slots.held(queue);
        const answer = await consumer.beat(mine.map(({ task }) => task));
        paused = answer.paused;
        for (const id of answer.lost) slots.find(queue, id)?.stop('lease-lost');
        for (const id of answer.cancel) slots.find(queue, id)?.stop('cancelled');
        if (!answer.isAnnounced) await announce();
        if (answer.held !== mine.length - answer.lost.length) await lookAgain();
      }),

    tell: (told) => reports.tell(told),

    settled: () => outbox.settled(),

    leave: () => oneAtATime(() => consumer.leave()),
  };
}

function toPostponed({ id, token, content }: ClaimedTask): Outcome {
  const payload = encodeCbor({ name: 'InternalError', message: 'the worker failed, see its log' });
  return { id, token, contentBytes: content.length, word: 'postponed', payload, delayMs: BROKE_DELAY_MS };
}
