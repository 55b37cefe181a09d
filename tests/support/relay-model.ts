// Relays as a hostile world sees them: two that hold what they have read for a while, die before they send or before they note,
// and run twice; tasks that they accept go away at once. It counts what has to follow, and checks that it did, once.

import type { Redis } from 'ioredis';
import { expect } from 'vitest';
import { encodeContent } from '../../src/protocol/message.ts';
import { isTerminal, type TaskState } from '../../src/protocol/task-state.ts';
import { homeOf, type Place } from '../../src/store/keys.ts';
import { createOperator } from '../../src/store/operator.ts';
import { createOutbox, type Follower, type OutboxEntry, writeFollower } from '../../src/store/outbox.ts';
import type { Producer } from '../../src/store/producer.ts';
import type { Swept } from '../../src/store/sweeper.ts';
import { createLinks } from '../../src/workflows/links.ts';
import { relayEntries } from '../../src/upkeep/relay.ts';
import { steadyNow } from '../../src/steady-now.ts';
import type { ModelClock } from './model-clock.ts';
import type { RelayStep } from './model-steps.ts';
import { queueKey } from './queue-key.ts';
import { limitMemory } from './servers-of.ts';
import { silentLog } from './store.ts';

/** Where followers of tasks of a queue go. */
export function nextOf(queue: string): string {
  return `${queue}-next`;
}

/** What the world leaves out, to see that its checks find it. */
export interface ModelFlaws {
  /** A worker begins what it has taken ahead before Redis was told. */
  readonly beginsUntold?: boolean;
  /** A worker that was forgotten takes what it was handed before. */
  readonly noVoid?: boolean;
  /** A worker takes hands whatever their numbers. */
  readonly noNumbers?: boolean;
  /** A worker begins what it was handed, however long it has heard nothing of its lease. */
  readonly noRenewalCheck?: boolean;
  /** A worker begins what it was handed, however old that is. */
  readonly noAgeCheck?: boolean;
  /** A worker goes on with what it was handed although nobody has answered that it was heard of. */
  readonly noStop?: boolean;
  readonly noRelayBySweep?: boolean;
  /** A worker offers its places in all of its queues. */
  readonly offersEverywhere?: boolean;
  /** A worker offers its places in another queue before it has withdrawn them in the one before. */
  readonly changesAtOnce?: boolean;
}

class Died extends Error {}

export class RelayModel {
  /** Followers of each task that has any. */
  private readonly followed = new Map<string, number>();
  /** How often something has to be accepted in `next`. */
  expected = 0;
  private readFrom = '-';
  private names = 0;
  private readonly taken: ({ readonly entries: readonly OutboxEntry[]; readonly at: number } | undefined)[] =
    [];
  private readonly client: Redis;
  private readonly producer: Producer;
  private readonly clock: ModelClock;
  private readonly place: Place;
  private readonly next: string;
  private readonly flaws: ModelFlaws;
  private readonly outbox;
  private readonly operator;

  constructor(client: Redis, producer: Producer, clock: ModelClock, queue: string, flaws: ModelFlaws) {
    this.flaws = flaws;
    this.client = client;
    this.producer = producer;
    this.clock = clock;
    this.place = homeOf(queue);
    this.next = nextOf(queue);
    this.outbox = createOutbox(client);
    this.operator = createOperator(client);
  }

  /** A task has been accepted with this follower. */
  isFollowed(id: string): void {
    this.followed.set(id, (this.followed.get(id) ?? 0) + 1);
  }

  newFollower(): Follower {
    const content = encodeContent('add', { one: (this.names += 1), two: 2 });
    return { queue: this.next, lane: 'normal', content };
  }

  async run(step: RelayStep, accepted: readonly string[]): Promise<void> {
    switch (step.do) {
      case 'relay':
        await this.relay(step);
        break;
      case 'follow': {
        const known = step.unknown ? undefined : accepted[step.task % Math.max(1, accepted.length)];
        await this.follow(known ?? this.clock.newTaskId());
        break;
      }
      case 'drop-followers':
        for (const id of await this.client.hkeys(`${queueKey(this.next)}:contents`)) {
          await this.operator.remove(this.next, id);
        }
        break;
      case 'fill':
        await limitMemory(this.client, '1');
        break;
      case 'drain':
        await limitMemory(this.client, '0');
        break;
    }
  }

  /** Counts the ends of followed tasks since the last time. Called after each step. */
  async watch(): Promise<void> {
    const entries = await this.client.xrange(`${queueKey(this.place.queue)}:events`, this.readFrom, '+');
    for (const [entry, fields] of entries) {
      this.readFrom = `(${entry}`;
      const texts = fields.filter((_, at) => at % 2 === 1 && fields[at - 1] === 'm');
      for (const move of texts.flatMap((text) => text.split(' '))) {
        if (isTerminal(move.slice(36) as TaskState))
          this.expected += this.followed.get(move.slice(0, 36)) ?? 0;
      }
    }
  }

  /** Does what a sweep has named, as those who sweep do it. */
  async afterSweep(place: Place, swept: Swept): Promise<void> {
    await this.outbox.settleMarks(place, swept.marks);
    if (swept.toRelay > 0 && !this.flaws.noRelayBySweep) await this.relayAll();
  }

  /** Both places, and nothing dies. */
  async relayAll(): Promise<void> {
    for (;;) {
      const entries = await this.outbox.take(this.place, 3);
      if (entries.length === 0) return;
      if (!(await this.relayEntries(entries, steadyNow(), 'no'))) return;
    }
  }

  async checkEnd(): Promise<void> {
    const key = queueKey(this.place.queue);
    for (const name of ['outbox', 'outbox-due', 'outbox-ages', 'pins']) {
      expect(await this.client.exists(`${key}:${name}`), name).toBe(0);
    }
    const counts = await this.client.hgetall(`${queueKey(this.next)}:count`);
    expect(Number(counts['accepted'] ?? 0), 'tasks that were accepted because others ended').toBe(
      this.expected,
    );
    const events = await this.client.xrange(`${queueKey(this.next)}:events`, '-', '+');
    const moves = events.flatMap(([, fields]) => fields.join(' ').split(' '));
    const begun = moves.filter((move) => move.slice(36) === 'ready');
    expect(new Set(begun).size, 'each of them once').toBe(begun.length);
  }

  private async follow(id: string): Promise<void> {
    const answer = await this.outbox.follow(this.place.queue, id, this.newFollower());
    // As if it ended now, for this follower alone.
    if (answer === 'ended' || answer === 'gone') this.expected += 1;
    if (answer !== 'gone') this.isFollowed(id);
  }

  private async relay({ relay, what, dies }: Extract<RelayStep, { do: 'relay' }>): Promise<void> {
    if (what === 'take') {
      this.taken[relay] = { entries: await this.outbox.take(this.place, 3), at: this.clock.now() };
      return;
    }
    const taken = this.taken[relay];
    if (!taken) return;
    // Its own clock has gone on as that of Redis has.
    const readAt = steadyNow() - (this.clock.now() - taken.at);
    await this.relayEntries(taken.entries, readAt, dies);
    // One that lives may do it again.
    if (dies !== 'no') this.taken[relay] = undefined;
  }

  /** @returns whether all of them were noted */
  private async relayEntries(
    entries: readonly OutboxEntry[],
    readAt: number,
    dies: 'no' | 'before-send' | 'before-note',
  ): Promise<boolean> {
    const die = async (): Promise<never> => {
      throw new Died();
    };
    try {
      await relayEntries(entries, readAt, {
        producer: dies === 'before-send' ? { enqueue: die } : this.producer,
        links: createLinks(this.client),
        outbox: dies === 'no' ? this.outbox : { ...this.outbox, note: die },
        log: silentLog,
      });
      return true;
    } catch (error) {
      const isFull = (error as { readonly code?: unknown }).code === 'redis-full';
      const isLate = error instanceof Error && error.message.includes('took too long');
      if (error instanceof Died || isFull || isLate) return false;
      throw error;
    }
  }

  /** What a task brings that is followed. */
  extras(): { readonly follower: string } {
    return { follower: writeFollower(this.newFollower()) };
  }
}
