// A worker of the model: it takes, ends and renews as a real one does, and loses replies.

import type { Redis } from 'ioredis';
import { expect } from 'vitest';
import { LANES } from '../../src/protocol/lane.ts';
import {
  type Beat,
  type BegunWord,
  type ClaimedTask,
  type Consumer,
  createConsumer,
  type Hand,
  type Outcome,
  type OutcomeWord,
  readHand,
  type Said,
} from '../../src/store/consumer.ts';
import { handGraceOf } from '../../src/store/hand-grace.ts';
import { handChannel, homeOf } from '../../src/store/keys.ts';
import { readHeader } from '../../src/store/record.ts';
import type { Ears, Socket } from './ears.ts';
import { toOutcome } from './outcome.ts';
import { queueKey, readyKey } from './queue-key.ts';
import { recordOf } from './records.ts';
import type { ConfirmWord } from './model-steps.ts';
import type { ModelFlaws } from './relay-model.ts';

const LEASE_MS = 1_000;
const GRACE_MS = handGraceOf(LEASE_MS);
/** Tasks that it runs at the same time. */
const PLACES = 3;

export class ModelWorker {
  lostReplies = 0;
  private readonly client: Redis;
  private readonly queue: string;
  readonly name: string;
  private readonly consumer: Consumer;
  private readonly held = new Map<string, ClaimedTask>();
  /** Ids and tokens of the runs that have begun. */
  readonly begun = new Set<string>();
  /** Those of what was taken ahead: it begins once a call that names it was answered. */
  private readonly ahead = new Set<string>();
  private hasTold = false;
  /** Over which it is handed tasks, the number of the last hand that it has, and when it had an answer to a beat. */
  private socket: Socket | undefined;
  private seen = 0;
  private renewedAt = Number.NEGATIVE_INFINITY;
  /** The clock of Redis is not ahead of its own by more than this. */
  private clockAhead = Number.POSITIVE_INFINITY;
  /** When Redis ran a call of it, whether or not it has heard so. */
  private calledAt = Number.NEGATIVE_INFINITY;
  /** Runs of what was handed over that nobody has answered yet, by when that was sent, by its own clock; those of which Redis was told nothing. */
  private readonly unheard = new Map<string, number>();
  readonly untold = new Set<string>();
  /** A call that Redis has not read. */
  private late: (() => Promise<void>) | undefined;
  private isLeaving = false;
  private readonly flaws: ModelFlaws;
  /** Its own, which never goes back. */
  private readonly clock: () => number;
  /** Outcomes whose reply was lost: they are sent again. */
  private unsure: Outcome[] = [];
  private inDoubt = false;
  private paused = false;

  private readonly onBegin: (id: string) => void;

  /**
   * @param clock milliseconds, never going back
   * @param onBegin called when a run begins
   */
  constructor(
    client: Redis,
    queue: string,
    name: string,
    clock: () => number,
    flaws: ModelFlaws = {},
    onBegin: (id: string) => void = () => undefined,
  ) {
    this.onBegin = onBegin;
    this.flaws = flaws;
    this.client = client;
    this.queue = queue;
    this.name = name;
    this.clock = clock;
    this.consumer = createConsumer(client, homeOf(queue), name, LEASE_MS);
  }

  /** Connects it: from now on it offers its places. */
  async listen(ears: Ears): Promise<void> {
    this.socket = await ears.open(handChannel(homeOf(this.queue), this.name));
  }

  /** It dies. */
  async die(): Promise<void> {
    for (const message of this.socket?.unread ?? []) {
      const { number, tasks } = readHand(this.queue, message);
      if (number > this.seen) for (const { id, token } of tasks) this.untold.add(`${id} ${token}`);
    }
    this.held.clear();
    await this.socket?.close();
  }

  /** Reads what it was handed. @param word what becomes of the call that says so */
  async hear(word: ConfirmWord = 'no'): Promise<void> {
    this.stopUnheard();
    for (const message of this.socket?.unread.splice(0) ?? []) {
      const hand = readHand(this.queue, message);
      if (hand.number <= this.seen && !this.flaws.noNumbers) continue;
      this.seen = Math.max(this.seen, hand.number);
      if (!this.isCertain(hand)) {
        this.inDoubt = true;
        await this.beat();
        continue;
      }
      for (const { id, token } of hand.tasks) {
        const header = await this.client.hget(`${queueKey(this.queue)}:headers`, id);
        expect(header, `a handed task begins that is its worker's`).toBe(token);
      }
      await this.confirm(hand, word);
    }
  }

  /** Whether what is handed over is its own still, as far as it can know. */
  private isCertain({ sentAt }: Hand): boolean {
    if (this.clock() - this.renewedAt >= LEASE_MS && !this.flaws.noRenewalCheck) return false;
    const ageMs = this.clock() + this.clockAhead - sentAt;
    return this.flaws.noAgeCheck || (ageMs >= 0 && ageMs <= GRACE_MS / 4);
  }

  /** It says that it has what it was handed, and begins that. */
  private async confirm({ tasks, sentAt: handSentAt }: Hand, word: ConfirmWord): Promise<void> {
    const sentAt = this.clock();
    this.hold(tasks, false);
    const runs = tasks.map(({ id, token }) => `${id} ${token}`);
    for (const run of runs) this.unheard.set(run, handSentAt - this.clockAhead);
    if (word === 'request') {
      this.lostReplies += 1;
      for (const run of runs) this.untold.add(run);
      return;
    }
    const send = async (): Promise<void> => {
      this.untold.clear();
      const reply = await this.consumer.beat(tasks, { seen: this.seen });
      this.calledAt = this.clock();
      if (word === 'reply') {
        this.lostReplies += 1;
        return;
      }
      this.renewed(sentAt, reply);
      for (const run of runs) this.unheard.delete(run);
      for (const { id, token } of tasks) {
        if (reply.lost.includes(id) && this.held.get(id)?.token === token) this.held.delete(id);
      }
    };
    if (word === 'late') this.late = send;
    else await send();
  }

  /** Redis reads what has waited for it. */
  async arrive(): Promise<void> {
    const send = this.late;
    this.late = undefined;
    await send?.();
  }

  /** What was handed over, and nobody has answered in time that it was heard of, is stopped. */
  stopUnheard(): void {
    for (const [run, sentAt] of this.unheard) {
      if (this.clock() - sentAt < (GRACE_MS * 4) / 5 || this.flaws.noStop) continue;
      this.unheard.delete(run);
      this.begun.delete(run);
      const [id = '', ...token] = run.split(' ');
      if (this.held.get(id)?.token === token.join(' ')) this.held.delete(id);
    }
  }

  /** Whether it runs this task, and may: it was not silent for as long as a lease. */
  runs(id: string): boolean {
    this.stopUnheard();
    const task = this.held.get(id);
    if (!task || this.clock() - this.calledAt >= LEASE_MS) return false;
    if (this.unsure.some((outcome) => outcome.id === id)) return false;
    return this.begun.has(`${id} ${task.token}`);
  }

  private renewed(sentAt: number, { settledUpTo, now }: Beat): void {
    this.renewedAt = sentAt;
    this.clockAhead = now - sentAt;
    if (!this.flaws.noVoid) this.seen = Math.max(this.seen, settledUpTo);
  }

  /** It withdraws, hears so, gives back all that it holds, and leaves. */
  async leave(): Promise<void> {
    this.isLeaving = true;
    await this.beat();
    await this.hear();
    await this.finish({ word: 'released', count: 1_000, want: 0, lost: false });
    await this.consumer.leave();
    await this.socket?.close();
  }

  private said(begun: BegunWord, more: number): Said {
    // It says of all hands until the last one that it has that it has them.
    this.untold.clear();
    if (!this.socket) return { begun };
    const free = this.isLeaving || this.paused ? 0 : Math.max(0, PLACES - this.held.size + more);
    return { begun, free, seen: this.seen };
  }

  /** What BRPOP over the lanes does, and then the claim; either reply may get lost. */
  async pop(lost: 'no' | 'pop' | 'claim', want: number, ahead = false): Promise<void> {
    this.stopUnheard();
    if (this.paused) return;
    for (const lane of LANES) {
      const message = await this.client.rpopBuffer(readyKey(this.queue, lane));
      if (!message) continue;
      if (lost === 'pop') {
        this.lostReplies += 1;
        return;
      }
      const word = this.tell(ahead);
      const claims = await this.consumer.claim([{ lane, message }], want, {}, this.said(word, -1));
      this.calledAt = this.clock();
      if (lost === 'claim') {
        this.lostReplies += 1;
        this.inDoubt = true;
        return;
      }
      this.paused = claims.paused;
      this.told(word);
      this.hold(claims.tasks, ahead);
      if (claims.back > 0) await this.lookAgain();
      return;
    }
  }

  async finish(step: {
    readonly word: OutcomeWord;
    readonly count: number;
    readonly want: number;
    readonly lost: boolean;
    readonly ahead?: boolean;
  }): Promise<void> {
    this.stopUnheard();
    const fresh = [...this.held]
      .filter(([id]) => !this.unsure.some((outcome) => outcome.id === id))
      .slice(0, step.count)
      .map(([, task]) => toOutcome(task, step.word, 120));
    const outcomes = [...this.unsure, ...fresh];
    if (outcomes.length === 0) return;
    if (this.inDoubt) await this.lookAgain();
    const mine = await Promise.all(outcomes.map((outcome) => this.isMine(outcome)));
    // One that was taken ahead, and goes back because it finds no place in time, does not begin.
    for (const { id, token } of fresh) this.ahead.delete(`${id} ${token}`);
    const word = this.tell(step.ahead ?? false);
    const finished = await this.consumer.finish(outcomes, step.want, {}, this.said(word, outcomes.length));
    this.calledAt = this.clock();
    const heard = outcomes.map((outcome) => !finished.stale.includes(outcome));
    expect(heard, 'only the holder of the latest claim is heard').toEqual(mine);
    if (step.lost) {
      this.lostReplies += 1;
      this.unsure = outcomes;
      this.inDoubt = true;
      return;
    }
    this.unsure = [];
    this.paused = finished.paused;
    for (const { id, token } of outcomes) if (this.held.get(id)?.token === token) this.held.delete(id);
    this.told(word);
    this.hold(finished.tasks, step.ahead ?? false);
  }

  async beat(): Promise<void> {
    this.stopUnheard();
    if (this.inDoubt) await this.lookAgain();
    const mine = [...this.held.values()];
    const word = this.tell(this.hasTold);
    const sentAt = this.clock();
    const beat = await this.consumer.beat(mine, this.said(word, 0));
    this.calledAt = this.clock();
    this.renewed(sentAt, beat);
    for (const { id, token } of mine) this.unheard.delete(`${id} ${token}`);
    // Redis may be full.
    const announced = `${queueKey(this.queue)}:announced`;
    if (!beat.isAnnounced) await this.client.hset(announced, this.name, 'it').catch(() => undefined);
    this.paused = beat.paused;
    this.told(word);
    for (const id of beat.lost) {
      this.held.delete(id);
      this.unsure = this.unsure.filter((outcome) => outcome.id !== id);
    }
    if (beat.held !== mine.length - beat.lost.length) await this.lookAgain();
    const cancelled = beat.cancel.map((id) => this.held.get(id)).filter((task) => task !== undefined);
    if (cancelled.length === 0) return;
    const outcomes = cancelled.map((task) => toOutcome(task, 'cancelled', 0));
    await this.consumer.finish(outcomes, 0);
    for (const { id } of cancelled) this.held.delete(id);
    this.unsure = this.unsure.filter(({ id }) => !beat.cancel.includes(id));
  }

  private async isMine({ id, token }: Outcome): Promise<boolean> {
    const record = await recordOf(this.client, this.queue, id);
    return record?.claims === readHeader(token).claims && record.worker === this.name;
  }

  private async lookAgain(): Promise<void> {
    const { upTo, tasks: held } = await this.consumer.held();
    this.seen = Math.max(this.seen, upTo);
    this.hold(
      held.filter(({ id, token }) => this.held.get(id)?.token !== token),
      this.hasTold,
    );
    this.inDoubt = false;
  }

  /** What a call says of what may have begun. @param ahead whether what it brings waits for the next one */
  private tell(ahead: boolean): BegunWord {
    if (!ahead) return this.hasTold ? 'all' : '';
    this.hasTold = true;
    return Math.max(
      0,
      ...[...this.begun, ...this.ahead].map((run) => readHeader(run.slice(37)).startedAt ?? 0),
    );
  }

  /** A call was answered: what it named begins. */
  private told(word: BegunWord): void {
    if (word === 'all') this.hasTold = false;
    for (const token of this.ahead) this.begins(token);
    this.ahead.clear();
  }

  private hold(tasks: readonly ClaimedTask[], ahead: boolean): void {
    for (const task of tasks) {
      this.held.set(task.id, task);
      if (ahead && !this.flaws.beginsUntold) this.ahead.add(`${task.id} ${task.token}`);
      else this.begins(`${task.id} ${task.token}`);
    }
  }

  /** @param run id and token */
  private begins(run: string): void {
    expect(this.begun.has(run), `${run} begins once`).toBe(false);
    this.begun.add(run);
    this.onBegin(run.slice(0, 36));
  }
}
