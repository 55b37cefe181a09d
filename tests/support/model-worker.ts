// A worker of the model: it takes, ends and renews as a real one does, and loses replies.

import type { Redis } from 'ioredis';
import { expect } from 'vitest';
import { LANES } from '../../src/protocol/lane.ts';
import {
  type BegunWord,
  type ClaimedTask,
  type Consumer,
  createConsumer,
  type Outcome,
  type OutcomeWord,
} from '../../src/store/consumer.ts';
import { homeOf } from '../../src/store/keys.ts';
import { readHeader } from '../../src/store/record.ts';
import { toOutcome } from './outcome.ts';
import { readyKey } from './queue-key.ts';
import { recordOf } from './records.ts';

const LEASE_MS = 1_000;

export class ModelWorker {
  lostReplies = 0;
  private readonly client: Redis;
  private readonly queue: string;
  private readonly name: string;
  private readonly consumer: Consumer;
  private readonly held = new Map<string, ClaimedTask>();
  /** Tokens of the runs that have begun. */
  readonly begun = new Set<string>();
  /** Tokens of what was taken ahead: it begins once a call that names it was answered. */
  private readonly ahead = new Set<string>();
  private hasTold = false;
  /** It begins everything at once, whatever it has said. */
  private readonly beginsUntold: boolean;
  /** Outcomes whose reply was lost: they are sent again. */
  private unsure: Outcome[] = [];
  private inDoubt = false;
  private paused = false;

  constructor(client: Redis, queue: string, name: string, beginsUntold = false) {
    this.beginsUntold = beginsUntold;
    this.client = client;
    this.queue = queue;
    this.name = name;
    this.consumer = createConsumer(client, homeOf(queue), name, LEASE_MS);
  }

  /** What BRPOP over the lanes does, and then the claim; either reply may get lost. */
  async pop(lost: 'no' | 'pop' | 'claim', want: number, ahead = false): Promise<void> {
    if (this.paused) return;
    for (const lane of LANES) {
      const message = await this.client.rpopBuffer(readyKey(this.queue, lane));
      if (!message) continue;
      if (lost === 'pop') {
        this.lostReplies += 1;
        return;
      }
      const word = this.tell(ahead);
      const claims = await this.consumer.claim([{ lane, message }], want, {}, word);
      if (lost === 'claim') {
        this.lostReplies += 1;
        this.inDoubt = true;
        return;
      }
      this.paused = claims.paused;
      this.told(word);
      this.hold(claims.tasks, ahead);
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
    const fresh = [...this.held]
      .filter(([id]) => !this.unsure.some((outcome) => outcome.id === id))
      .slice(0, step.count)
      .map(([, task]) => toOutcome(task, step.word, 120));
    const outcomes = [...this.unsure, ...fresh];
    if (outcomes.length === 0) return;
    if (this.inDoubt) await this.lookAgain();
    const mine = await Promise.all(outcomes.map((outcome) => this.isMine(outcome)));
    const word = this.tell(step.ahead ?? false);
    const finished = await this.consumer.finish(outcomes, step.want, {}, word);
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
    if (this.inDoubt) await this.lookAgain();
    const mine = [...this.held.values()];
    const word = this.tell(this.hasTold);
    const beat = await this.consumer.beat(mine, word);
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
    const held = await this.consumer.held();
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
    return Math.max(0, ...[...this.begun, ...this.ahead].map((token) => readHeader(token).startedAt ?? 0));
  }

  /** A call was answered: what it named begins. */
  private told(word: BegunWord): void {
    if (word === 'all') this.hasTold = false;
    for (const token of this.ahead) this.begun.add(token);
    this.ahead.clear();
  }

  private hold(tasks: readonly ClaimedTask[], ahead: boolean): void {
    for (const task of tasks) {
      this.held.set(task.id, task);
      (ahead && !this.beginsUntold ? this.ahead : this.begun).add(task.token);
    }
  }
}
