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
import type { ModelPlaces } from './model-places.ts';
import { ModelRuns, runOf } from './model-runs.ts';
import { queueKey, readyKey } from './queue-key.ts';
import { recordOf } from './records.ts';
import type { ConfirmWord, Step } from './model-steps.ts';
import type { ModelFlaws } from './relay-model.ts';

const LEASE_MS = 1_000;
const GRACE_MS = handGraceOf(LEASE_MS);

type PopStep = Pick<Extract<Step, { do: 'pop' }>, 'lost' | 'want' | 'ahead' | 'hears'>;

export class ModelWorker {
  lostReplies = 0;
  private readonly client: Redis;
  private readonly queue: string;
  readonly name: string;
  private readonly consumer: Consumer;
  readonly runs: ModelRuns;
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
  private readonly places: ModelPlaces;
  /** Its own, which never goes back. */
  private readonly clock: () => number;
  /** Outcomes whose reply was lost: they are sent again. */
  private unsure: Outcome[] = [];
  private inDoubt = false;
  private paused = false;

  /**
   * @param clock milliseconds, never going back
   * @param places those that it has for all of its queues
   * @param onBegin called when a run begins
   */
  constructor(
    client: Redis,
    queue: string,
    name: string,
    clock: () => number,
    places: ModelPlaces,
    flaws: ModelFlaws,
    onBegin: (id: string) => void,
  ) {
    this.places = places;
    places.join(this);
    this.runs = new ModelRuns(places, onBegin);
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
      if (number > this.seen) for (const task of tasks) this.untold.add(runOf(task));
    }
    this.runs.held.clear();
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
    this.runs.holdHanded(tasks);
    this.places.checkHanded(this);
    const runs = tasks.map(runOf);
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
      for (const task of tasks) if (reply.lost.includes(task.id)) this.runs.drop(task);
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
      this.runs.begun.delete(run);
      this.runs.drop({ id: run.slice(0, 36), token: run.slice(37) });
    }
  }

  /** Whether it runs this task, and may: it was not silent for as long as a lease. */
  isRunning(id: string): boolean {
    this.stopUnheard();
    const task = this.runs.held.get(id);
    if (!task || this.clock() - this.calledAt >= LEASE_MS) return false;
    if (this.unsure.some((outcome) => outcome.id === id)) return false;
    return this.runs.begun.has(runOf(task));
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
    const free = this.places.free(this, more, !this.isLeaving && !this.paused);
    return { begun, free, seen: this.seen };
  }

  /** What BRPOP over the lanes does, and then the claim; either reply may get lost. */
  async pop({ lost, want, ahead = false, hears = false }: PopStep): Promise<void> {
    this.stopUnheard();
    if (this.paused || this.places.room <= 0) return;
    for (const lane of LANES) {
      const message = await this.client.rpopBuffer(readyKey(this.queue, lane));
      if (!message) continue;
      if (lost === 'pop') {
        this.lostReplies += 1;
        return;
      }
      for (const part of hears ? this.places.parts : []) await part.hear();
      const word = this.tell(ahead);
      const more = Math.max(0, Math.min(want, this.places.room - 1));
      const claims = await this.consumer.claim([{ lane, message }], more, {}, this.said(word, -1));
      this.calledAt = this.clock();
      if (lost === 'claim') {
        this.lostReplies += 1;
        this.inDoubt = true;
        return;
      }
      this.paused = claims.paused;
      this.told(word);
      this.hold(claims.tasks, ahead);
      if (claims.tasks.length > 0) expect(this.places.room, 'room').toBeGreaterThanOrEqual(0);
      this.places.popped(this);
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
    const ending = [...this.runs.held.values()]
      .filter(({ id }) => !this.unsure.some((outcome) => outcome.id === id))
      .slice(0, step.count);
    const fresh = ending.map((task) =>
      toOutcome(task, this.runs.isCrowded(task) ? 'unbegun' : step.word, 120),
    );
    const outcomes = [...this.unsure, ...fresh];
    if (outcomes.length === 0) return;
    if (this.inDoubt) await this.lookAgain();
    const mine = await Promise.all(outcomes.map((outcome) => this.isMine(outcome)));
    for (const task of ending) this.runs.ends(task);
    const word = this.tell(step.ahead ?? false);
    // What was stopped meanwhile, because nobody had answered, has left its place.
    const freed = outcomes.filter(({ id, token }) => this.runs.held.get(id)?.token === token).length;
    const finished = await this.consumer.finish(outcomes, step.want, {}, this.said(word, freed));
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
    for (const outcome of outcomes) this.runs.drop(outcome);
    this.told(word);
    this.hold(finished.tasks, step.ahead ?? false);
  }

  async beat(): Promise<void> {
    this.stopUnheard();
    if (this.inDoubt) await this.lookAgain();
    const mine = [...this.runs.held.values()];
    const word = this.tell(this.hasTold);
    const sentAt = this.clock();
    const said = this.said(word, 0);
    const beat = await this.consumer.beat(mine, said);
    this.calledAt = this.clock();
    this.renewed(sentAt, beat);
    for (const task of mine) this.unheard.delete(runOf(task));
    // Redis may be full.
    const announced = `${queueKey(this.queue)}:announced`;
    if (!beat.isAnnounced) await this.client.hset(announced, this.name, 'it').catch(() => undefined);
    this.paused = beat.paused;
    this.told(word);
    for (const id of beat.lost) {
      this.runs.held.delete(id);
      this.unsure = this.unsure.filter((outcome) => outcome.id !== id);
    }
    if (beat.held !== mine.length - beat.lost.length) await this.lookAgain();
    if (said.free === undefined || said.free <= 0) this.places.withdrawn(this);
    const cancelled = beat.cancel.map((id) => this.runs.held.get(id)).filter((task) => task !== undefined);
    if (cancelled.length === 0) return;
    const outcomes = cancelled.map((task) => toOutcome(task, 'cancelled', 0));
    await this.consumer.finish(outcomes, 0);
    for (const { id } of cancelled) this.runs.held.delete(id);
    this.unsure = this.unsure.filter(({ id }) => !beat.cancel.includes(id));
  }

  /** Whether the task is of this run, or is as this outcome has left it: a sweep that has given it back has left other numbers. */
  private async isMine({ id, token, word }: Outcome): Promise<boolean> {
    const record = await recordOf(this.client, this.queue, id);
    const run = readHeader(token);
    if (record?.claims !== run.claims || record.worker !== this.name) return false;
    if (record.state === 'running') return true;
    if (['succeeded', 'dead', 'cancelled'].includes(word)) return record.state === word;
    const isTold = word !== 'failed' || record.failures > run.failures || record.finishedAt !== undefined;
    return isTold && record.crashes === run.crashes + (word === 'crashed' ? 1 : 0);
  }

  private async lookAgain(): Promise<void> {
    const { upTo, tasks: held } = await this.consumer.held();
    this.seen = Math.max(this.seen, upTo);
    this.hold(
      held.filter(({ id, token }) => this.runs.held.get(id)?.token !== token),
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
      ...[...this.runs.begun, ...this.runs.ahead].map((run) => readHeader(run.slice(37)).startedAt ?? 0),
    );
  }

  /** A call was answered: what it named begins. */
  private told(word: BegunWord): void {
    if (word === 'all') this.hasTold = false;
    this.runs.beginAhead();
  }

  private hold(tasks: readonly ClaimedTask[], ahead: boolean): void {
    this.runs.hold(tasks, ahead && !this.flaws.beginsUntold);
  }
}
