// A batch as a hostile world sees it: programs that die between any two calls, calls that come late and twice, relays that die and run twice, members of
// two queues that fail, are retried, cancelled and removed.

import type { Redis } from 'ioredis';
import { expect } from 'vitest';
import type { Prepared } from '../../src/accept/new-task.ts';
import { type AcceptBatch, createAcceptBatch } from '../../src/batches/accept-batch.ts';
import { encodeCbor } from '../../src/protocol/cbor.ts';
import { encodeContent } from '../../src/protocol/message.ts';
import { newTaskId } from '../../src/protocol/task-id.ts';
import { type Batches, createBatches } from '../../src/store/batches.ts';
import { confirmMembers } from '../../src/store/confirm-members.ts';
import { createConsumer } from '../../src/store/consumer.ts';
import { homeOf } from '../../src/store/keys.ts';
import { createOperator } from '../../src/store/operator.ts';
import { createOutbox, type OutboxEntry } from '../../src/store/outbox.ts';
import type { NewTask } from '../../src/store/new-task.ts';
import { createProducer, type Producer } from '../../src/store/producer.ts';
import { createModelSweeper } from './model-sweeper.ts';
import { relayEntries } from '../../src/upkeep/relay.ts';
import { createLinks } from '../../src/workflows/links.ts';
import { steadyNow } from '../../src/steady-now.ts';
import type { ModelClock } from './model-clock.ts';
import { expectBalanced } from './moves.ts';
import { GROUP, toOutcome } from './outcome.ts';
import { recordOf } from './records.ts';
import { silentLog } from './store.ts';

const QUEUES = ['home', 'side'] as const;
export const AFTER = 'after';
const SENDER = { key: undefined, queues: undefined, traceparent: undefined };
const WHOLE_MEMBERS = 6;
const WHOLE = {
  key: 'whole',
  queue: 'home',
  then: { success: { type: 'add' }, complete: { type: 'add' } },
};
const ERROR = encodeCbor({ name: 'Error', message: 'm', fingerprint: '0123456789abcdef' });

class Died extends Error {}

export type BatchStep =
  | {
      readonly do: 'add';
      readonly count: number;
      readonly diesAfter: number | undefined;
      readonly twice: boolean;
      readonly late: boolean;
    }
  /** A batch with all of its tasks, or its repeat. */
  | {
      readonly do: 'whole';
      readonly diesAfter: number | undefined;
      readonly twice: boolean;
      readonly late: boolean;
    }
  | { readonly do: 'sweep'; readonly ms?: number }
  | { readonly do: 'close' | 'late' }
  | { readonly do: 'work'; readonly queue: number; readonly word: 'succeeded' | 'dead' }
  | { readonly do: 'relay'; readonly what: 'take' | 'go-on'; readonly dies: boolean }
  | { readonly do: 'cancel' | 'remove' | 'retry'; readonly member: number };

export interface BatchFlaws {
  /** Members have ids that derive from nothing. */
  readonly newIds?: boolean;
}

export class BatchModel {
  readonly late: (() => Promise<unknown>)[] = [];
  /** Ids that were sent, with the queue of each, and the last state of those that were removed. */
  readonly members = new Map<string, { readonly queue: string; removed?: string }>();
  /** Of the first batch; '' while there is none. */
  id: string;
  private readonly client: Redis;
  private readonly clock: ModelClock;
  private readonly producer: Producer;
  private readonly batches: Batches;
  private readonly outbox;
  private readonly operator;
  private readonly sweeper;
  private readonly flaws: BatchFlaws;
  private taken: readonly OutboxEntry[] = [];
  private workers = 0;

  constructor(client: Redis, clock: ModelClock, id: string, flaws: BatchFlaws) {
    this.client = client;
    this.clock = clock;
    this.id = id;
    this.flaws = flaws;
    this.producer = createProducer(client);
    this.batches = createBatches(client);
    this.outbox = createOutbox(client);
    this.operator = createOperator(client);
    this.sweeper = createModelSweeper(client);
  }

  async run(one: BatchStep): Promise<unknown> {
    switch (one.do) {
      case 'add':
        return this.add(one);
      case 'whole':
        return this.sendWhole(one);
      case 'close':
        return this.batches.close('home', this.id);
      case 'late':
        return this.late.shift()?.();
      case 'sweep':
        return this.sweep(one.ms);
      case 'work':
        return this.work(QUEUES[one.queue] ?? 'home', one.word);
      case 'relay':
        return this.relay(one.what, one.dies);
      case 'cancel':
      case 'remove':
      case 'retry': {
        const [id, member] = [...this.members][one.member % Math.max(1, this.members.size)] ?? [];
        return id === undefined || !member ? undefined : this.act(one.do, id, member);
      }
    }
  }

  private async act(
    what: 'cancel' | 'remove' | 'retry',
    id: string,
    member: { readonly queue: string; removed?: string },
  ): Promise<unknown> {
    if (what === 'cancel') return this.operator.cancel(member.queue, id);
    if (what === 'retry') return this.operator.replay(member.queue, id);
    const before = (await recordOf(this.client, member.queue, id))?.state;
    if ((await this.operator.remove(member.queue, id)) !== 'removed' || before === undefined)
      return undefined;
    const hasEnded = before === 'succeeded' || before === 'dead' || before === 'cancelled';
    member.removed = hasEnded ? before : 'cancelled';
    return undefined;
  }

  private async add({ count, ...how }: Extract<BatchStep, { do: 'add' }>): Promise<void> {
    await this.sending(how, (batches) => batches.add('home', this.id, tasksOf(count)));
  }

  private async sendWhole(how: Extract<BatchStep, { do: 'whole' }>): Promise<void> {
    await this.sending(how, (batches) => batches.open(WHOLE, tasksOf(WHOLE_MEMBERS), SENDER));
    this.id ||= (await this.batches.list(['home'], { limit: 1 })).records[0]?.plan.id ?? '';
  }

  /** A program that dies after some of its calls, whose replies are lost, and one of whose calls is under way for long. */
  private async sending(
    { diesAfter, twice, late }: Omit<Extract<BatchStep, { do: 'add' }>, 'do' | 'count'>,
    act: (batches: AcceptBatch) => Promise<unknown>,
  ): Promise<void> {
    let calls = 0;
    const alive = (): void => {
      if (diesAfter !== undefined && calls >= diesAfter) throw new Died();
      calls += 1;
    };
    const batches: Batches = {
      ...this.batches,
      reserve: async (...args) => {
        alive();
        // A lost reply: nobody knows of these numbers.
        if (twice) await this.batches.reserve(...args);
        return this.batches.reserve(...args);
      },
      confirm: async (...args) => {
        alive();
        if (twice) await this.batches.confirm(...args);
        return this.batches.confirm(...args);
      },
    };
    const sendMany = async (many: number, taskAt: (index: number) => Prepared) => {
      const all = Array.from({ length: many }, (_, at) => taskAt(at));
      for (const queue of QUEUES) {
        const tasks = all.flatMap((one): NewTask[] => {
          if (one.queue !== queue) return [];
          return [this.flaws.newIds ? { ...one.task, id: newTaskId() } : one.task];
        });
        if (tasks.length === 0) continue;
        for (const { id } of tasks) this.members.set(id, this.members.get(id) ?? { queue });
        const send = (): Promise<unknown> => this.producer.enqueue(queue, tasks);
        if (late) this.late.push(send);
        alive();
        await send();
      }
      return new Map();
    };
    const accept = { prepare: () => taskOf(AFTER), sendMany, admitQueue: async () => undefined };
    try {
      await act(createAcceptBatch({ accept, store: batches }));
    } catch (error) {
      const isRefused = (error as { code?: string }).code === 'invalid-state';
      if (!(error instanceof Died) && !isRefused) throw error;
    }
  }

  async sweep(ms = 2_500): Promise<void> {
    await this.clock.advance(ms);
    for (const queue of QUEUES) {
      await this.client.hdel(`pf:{${queue}}:queue`, 'sweep_at');
      const { unconfirmedMembers } = await this.sweeper(homeOf(queue));
      await confirmMembers(this.client, queue, unconfirmedMembers);
    }
  }

  async work(queue: string, word: 'succeeded' | 'dead'): Promise<number> {
    const worker = createConsumer(this.client, homeOf(queue), `w${(this.workers += 1)}`, 1_000);
    const { tasks } = await worker.claim([], 2);
    const more = word === 'dead' ? { payload: ERROR, group: GROUP } : {};
    const outcomes = tasks.map((task) => Object.assign(toOutcome(task, word, 0), more, { hasHistory: true }));
    for (let times = 0; times < 2; times += 1) await worker.finish(outcomes, 0);
    await worker.leave();
    return tasks.length;
  }

  async relay(what: 'take' | 'go-on', dies: boolean): Promise<number> {
    if (what === 'take') {
      const all = await Promise.all(QUEUES.map((queue) => this.outbox.take(homeOf(queue), 3)));
      this.taken = all.flat();
      return this.taken.length;
    }
    const die = async (): Promise<never> => {
      throw new Died();
    };
    for (const queue of QUEUES) {
      const entries = this.taken.filter(({ place }) => place.queue === queue);
      const outbox = dies ? { ...this.outbox, note: die } : this.outbox;
      const deps = { producer: this.producer, links: createLinks(this.client), outbox, log: silentLog };
      await relayEntries(entries, steadyNow(), deps).catch((error: unknown) => {
        if (!(error instanceof Died)) throw error;
      });
    }
    return 0;
  }

  /** The world becomes kind: what is under way arrives, all tasks run, and what has ended is told. */
  async settle(): Promise<void> {
    await this.sweep(61_000);
    while (this.late.length > 0) await this.run({ do: 'late' });
    await this.batches.close('home', this.id);
    for (let rounds = 0; rounds < 8; rounds += 1) {
      for (const queue of QUEUES) while ((await this.work(queue, 'succeeded')) > 0);
      await this.sweep();
      while ((await this.relay('take', false)) > 0) await this.relay('go-on', false);
    }
  }

  /** @param wasWhole it came with its tasks */
  async check(wasWhole = false): Promise<void> {
    const states: string[] = [];
    for (const [id, { queue, removed }] of this.members) {
      // One that something still follows stays, and may be retried meanwhile.
      const state = (await recordOf(this.client, queue, id))?.state ?? removed;
      if (state !== undefined) states.push(state);
    }
    const count = (state: string): number => states.filter((one) => one === state).length;
    // Of one that came with its tasks, those that were never accepted.
    const missing = wasWhole ? WHOLE_MEMBERS - states.length : 0;
    const members = states.length + missing;
    const progress = (await this.batches.find(this.id, ['home']))?.progress;
    expect(progress).toMatchObject({
      isClosed: true,
      pending: 0,
      members,
      ended: members,
      succeeded: count('succeeded'),
      dead: count('dead'),
      cancelled: count('cancelled') + missing,
    });
    expect(progress?.missing ?? 0).toBe(missing);
    const isSuccess = count('succeeded') === members;
    const followed = await this.client.hget(`pf:{${AFTER}}:count`, 'accepted');
    expect(Number(followed ?? 0), 'what follows').toBe(isSuccess ? 2 : 1);
    for (const queue of QUEUES) {
      expect(await this.client.zcard(`pf:{${queue}}:outbox-ages`)).toBe(0);
      await expectBalanced(this.client, queue);
    }
  }
}

/** In turn for each queue. */
const tasksOf = (count: number): Prepared[] =>
  Array.from({ length: count }, (_, at) => taskOf(QUEUES[at % 2] ?? 'home'));

export function taskOf(queue: string): Prepared {
  const task = { id: newTaskId(), content: encodeContent('add', {}), lane: 'normal' as const };
  return { queue, state: 'ready', task };
}
