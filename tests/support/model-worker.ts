// A worker of the model: it takes, ends and renews as a real one does, and loses replies.

import type { Redis } from 'ioredis';
import { expect } from 'vitest';
import { LANES } from '../../src/protocol/lane.ts';
import {
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
  /** Outcomes whose reply was lost: they are sent again. */
  private unsure: Outcome[] = [];
  private inDoubt = false;
  private paused = false;

  constructor(client: Redis, queue: string, name: string) {
    this.client = client;
    this.queue = queue;
    this.name = name;
    this.consumer = createConsumer(client, homeOf(queue), name, LEASE_MS);
  }

  /** What BRPOP over the lanes does, and then the claim; either reply may get lost. */
  async pop(lost: 'no' | 'pop' | 'claim', want: number): Promise<void> {
    if (this.paused) return;
    for (const lane of LANES) {
      const message = await this.client.rpopBuffer(readyKey(this.queue, lane));
      if (!message) continue;
      if (lost === 'pop') {
        this.lostReplies += 1;
        return;
      }
      const claims = await this.consumer.claim([{ lane, message }], want);
      if (lost === 'claim') {
        this.lostReplies += 1;
        this.inDoubt = true;
        return;
      }
      this.paused = claims.paused;
      this.hold(claims.tasks);
      return;
    }
  }

  async finish(step: {
    readonly word: OutcomeWord;
    readonly count: number;
    readonly want: number;
    readonly lost: boolean;
  }): Promise<void> {
    const fresh = [...this.held]
      .filter(([id]) => !this.unsure.some((outcome) => outcome.id === id))
      .slice(0, step.count)
      .map(([, task]) => toOutcome(task, step.word, 120));
    const outcomes = [...this.unsure, ...fresh];
    if (outcomes.length === 0) return;
    if (this.inDoubt) await this.lookAgain();
    const mine = await Promise.all(outcomes.map((outcome) => this.isMine(outcome)));
    const finished = await this.consumer.finish(outcomes, step.want);
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
    this.hold(finished.tasks);
  }

  async beat(): Promise<void> {
    if (this.inDoubt) await this.lookAgain();
    const mine = [...this.held.values()];
    const beat = await this.consumer.beat(mine);
    this.paused = beat.paused;
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
    this.hold(await this.consumer.held());
    this.inDoubt = false;
  }

  private hold(tasks: readonly ClaimedTask[]): void {
    for (const task of tasks) this.held.set(task.id, task);
  }
}
