// Workflows as a hostile world sees them: over two queues, accepted and retried by programs that die between any two calls and whose replies
// are lost, with workers that crash, relays that die, run twice and late, and rows that go. It checks that each step begins exactly when
// its needs are met, once, and that nothing waits for ever.

import type { Redis } from 'ioredis';
import { expect } from 'vitest';
import { encodeCbor } from '../../src/protocol/cbor.ts';
import { PopfleetError } from '../../src/protocol/errors.ts';
import { encodeContent } from '../../src/protocol/message.ts';
import { isTerminal, TASK_STATES } from '../../src/protocol/task-state.ts';
import type { WorkflowCall } from '../../src/protocol/workflow.ts';
import { createConsumer } from '../../src/store/consumer.ts';
import { homeOf } from '../../src/store/keys.ts';
import { createOperator } from '../../src/store/operator.ts';
import { createOutbox, type OutboxEntry } from '../../src/store/outbox.ts';
import type { Producer } from '../../src/store/producer.ts';
import { createModelSweeper } from './model-sweeper.ts';
import { confirmSteps, createWorkflows, type Workflows } from '../../src/store/workflows.ts';
import { relayEntries } from '../../src/upkeep/relay.ts';
import { createAcceptWorkflow } from '../../src/workflows/accept-workflow.ts';
import { createLinks } from '../../src/workflows/links.ts';
import { steadyNow } from '../../src/steady-now.ts';
import type { ModelClock } from './model-clock.ts';
import type { Faults, FlowStep } from './flow-steps.ts';
import { FlowWatch } from './flow-watch.ts';
import { expectBalanced } from './moves.ts';
import { toOutcome } from './outcome.ts';
import { recordOf } from './records.ts';
import { silentLog } from './store.ts';

const FLOW_QUEUES = ['flow', 'side'] as const;

/** What the world leaves out, to see that its checks find it. */
export interface FlowFlaws {
  /** Steps may begin as soon as the record is there. */
  readonly noCommit?: boolean;
}

class Died extends Error {}

interface Flow {
  readonly id: string;
  readonly home: string;
}

export class FlowModel {
  readonly flows: Flow[] = [];
  /** In all of this world. */
  deaths = 0;
  retried = 0;
  private readonly watched: FlowWatch;
  private readonly client: Redis;
  private readonly producer: Producer;
  private readonly clock: ModelClock;
  private readonly flaws: FlowFlaws;
  private readonly workflows: Workflows;
  private readonly outbox;
  private readonly operator;
  private readonly sweep;
  private readonly taken = new Map<string, readonly OutboxEntry[]>();
  private workers = 0;

  constructor(client: Redis, producer: Producer, clock: ModelClock, flaws: FlowFlaws = {}) {
    this.client = client;
    this.producer = producer;
    this.clock = clock;
    this.flaws = flaws;
    this.workflows = createWorkflows(client);
    this.outbox = createOutbox(client);
    this.operator = createOperator(client);
    this.watched = new FlowWatch(client, FLOW_QUEUES);
    this.sweep = createModelSweeper(client);
  }

  get starts(): number {
    return this.watched.starts;
  }

  async run(step: FlowStep): Promise<void> {
    await this.runStep(step);
    await this.watched.watch();
  }

  private async runStep(step: FlowStep): Promise<void> {
    switch (step.do) {
      case 'start':
        await this.start(step);
        break;
      case 'retry':
        await this.retry(step);
        break;
      case 'cancel':
        await this.withFlow(step.flow, async ({ id, home }) => {
          for (const task of this.watched.tasks.values()) if (task.flow === id) task.mayBeCancelled = true;
          await this.workflows.cancel(home, id);
        });
        break;
      case 'late-commit':
        // A program that was slow: it has written all steps, and the record may be taken back by now.
        await this.withFlow(step.flow, async ({ id, home }) => {
          const own = [...this.watched.tasks.values()].filter((task) => task.flow === id);
          if (own.every(({ state }) => state !== 'none')) await this.workflows.commit(home, id, 1);
        });
        break;
      case 'cancel-task':
      case 'remove-task': {
        const [id, task] = [...this.watched.tasks][step.task % Math.max(1, this.watched.tasks.size)] ?? [];
        if (id === undefined || !task) break;
        task.mayBeCancelled = true;
        if (step.do === 'cancel-task') await this.operator.cancel(task.queue, id);
        else await this.operator.remove(task.queue, id);
        break;
      }
      case 'work':
        await this.work(FLOW_QUEUES[step.queue] ?? 'flow', step.want, step.word);
        break;
      case 'relay':
        await this.relay(FLOW_QUEUES[step.queue] ?? 'flow', step.what, step.dies);
        break;
      case 'sweep':
        await this.sweepAll();
        break;
      case 'go-on':
        for (let round = 0; round < 5; round += 1) {
          await this.clock.advance(2_100);
          await this.sweepAll();
          for (const queue of FLOW_QUEUES) await this.work(queue, 20, step.word);
        }
        break;
      case 'advance':
        await this.clock.advance(step.ms);
        break;
    }
  }

  private async withFlow(number: number, act: (flow: Flow) => Promise<unknown>): Promise<void> {
    const flow = this.flows[number % Math.max(1, this.flows.length)];
    if (flow) await act(flow);
  }

  /** The store of a program that dies. */
  private faulty({ diesAfter, twice }: Faults): Workflows {
    let calls = 0;
    const wrap = (name: string, call: (...args: never[]) => Promise<unknown>) => {
      return async (...args: never[]): Promise<unknown> => {
        if (diesAfter !== undefined && calls >= diesAfter) throw new Died();
        calls += 1;
        // A retry whose reply was lost is not made again: it is taken back.
        if (twice && name !== 'retry') await call(...args);
        return call(...args);
      };
    };
    const wrapped = Object.entries(this.workflows).map(([name, call]) => [name, wrap(name, call)]);
    const store = Object.fromEntries(wrapped) as Workflows;
    if (!this.flaws.noCommit) return store;
    return {
      ...store,
      open: async (plan, digest, followers) => {
        const opened = await store.open(plan, digest, followers);
        await this.workflows.commit(plan.home, plan.id, 1);
        return opened;
      },
    };
  }

  private acceptor(store: Workflows) {
    const accept = {
      prepare: ({ queue = 'flow' }: { readonly queue?: string | undefined }) => ({
        queue,
        state: 'ready' as const,
        task: { id: this.clock.newTaskId(), content: encodeContent('add', {}), lane: 'normal' as const },
      }),
      admitMany: async () => undefined,
      around: <T>(_: unknown, send: () => Promise<T>) => send(),
    };
    return createAcceptWorkflow({ accept, store });
  }

  private async start({ graph, cancelSiblings, faults }: Extract<FlowStep, { do: 'start' }>): Promise<void> {
    const steps = graph.map(({ needs, policy, queue }, at) => {
      const named = graph.flatMap((_, from) => (from < at && (needs >> from) % 2 === 1 ? [`s${from}`] : []));
      return [`s${at}`, { type: 'add', queue: FLOW_QUEUES[queue], needs: named, onNeedFailed: policy }];
    });
    const store = this.faulty(faults);
    const watched: Workflows = {
      ...store,
      open: (plan, digest, followers) => {
        const ids = new Map(plan.steps.map((step) => [step.step, step.id]));
        for (const step of plan.steps) {
          this.watched.tasks.set(step.id, {
            queue: step.queue,
            flow: plan.id,
            needs: step.needs.map((need) => ids.get(need) ?? ''),
            policy: step.onNeedFailed,
            generation: 1,
            state: 'none',
            starts: 0,
            end: undefined,
            mayBeCancelled: cancelSiblings,
          });
        }
        this.flows.push({ id: plan.id, home: plan.home });
        return store.open(plan, digest, followers);
      },
    };
    const call = { tasks: Object.fromEntries(steps), cancelSiblings } as WorkflowCall;
    const sender = { key: undefined, queues: undefined, traceparent: undefined };
    await this.survive(() => this.acceptor(watched).accept(call, sender));
  }

  private async retry({ flow: number, faults }: Extract<FlowStep, { do: 'retry' }>): Promise<void> {
    await this.withFlow(number, async ({ id, home }) => {
      const record = await this.workflows.find(id, [home]);
      if (record) {
        await this.survive(() => this.acceptor(this.faulty(faults)).retry(record));
        const after = await this.workflows.find(id, [home]);
        this.retried += after?.progress.generation === record.progress.generation ? 0 : 1;
      }
    });
  }

  /** What a program is told, and its death, change nothing here. */
  private async survive(act: () => Promise<unknown>): Promise<void> {
    await act().catch((error: unknown) => {
      if (error instanceof Died) this.deaths += 1;
      else if (!(error instanceof PopfleetError) || error.code === 'internal') throw error;
    });
  }

  private async work(queue: string, want: number, word: 'succeeded' | 'dead' | 'crash'): Promise<void> {
    const worker = createConsumer(this.client, homeOf(queue), `w${(this.workers += 1)}`, 1_000);
    const { tasks } = await worker.claim([], want);
    const payload = word === 'dead' ? encodeCbor({ name: 'Error', message: 'no' }) : Buffer.alloc(0);
    if (word !== 'crash') {
      const outcomes = tasks.map((task) =>
        Object.assign(toOutcome(task, word, 0), { payload, hasHistory: true }),
      );
      await worker.finish(outcomes, 0);
      // The reply was lost.
      await worker.finish(outcomes, 0);
      await worker.leave();
    }
  }

  private async relay(queue: string, what: 'take' | 'go-on', dies: 'no' | 'before-note'): Promise<void> {
    if (what === 'take') this.taken.set(queue, await this.outbox.take(homeOf(queue), 3));
    else await this.relayEntries(this.taken.get(queue) ?? [], dies);
  }

  private async relayEntries(entries: readonly OutboxEntry[], dies: 'no' | 'before-note'): Promise<void> {
    const die = async (): Promise<never> => {
      throw new Died();
    };
    const relay = relayEntries(entries, steadyNow(), {
      producer: this.producer,
      links: createLinks(this.client),
      outbox: dies === 'no' ? this.outbox : { ...this.outbox, note: die },
      log: silentLog,
    });
    await relay.catch((error: unknown) => {
      if (!(error instanceof Died)) throw error;
    });
  }

  private async sweepAll(): Promise<void> {
    for (const queue of FLOW_QUEUES) {
      const place = homeOf(queue);
      const swept = await this.sweep(place);
      await confirmSteps(this.client, place, swept.unconfirmed);
      if (swept.toRelay > 0) await this.relayEntries(await this.outbox.take(place, 5), 'no');
    }
  }

  /** The world calms down. */
  async settle(): Promise<void> {
    for (let round = 0; round < 60; round += 1) {
      await this.clock.advance(round < 20 ? 700 : 7_000);
      await this.sweepAll();
      for (const queue of FLOW_QUEUES) await this.work(queue, 20, 'succeeded');
      await this.watched.watch();
      if (await this.isQuiet()) return;
    }
    throw new Error('the world does not come to rest');
  }

  private async isQuiet(): Promise<boolean> {
    for (const { id, home } of this.flows) {
      const state = (await this.workflows.find(id, [home]))?.progress.state;
      if (state === 'accepting' || state === 'running') return false;
    }
    for (const queue of FLOW_QUEUES) {
      const key = `pf:{${queue}}`;
      if ((await this.client.exists(`${key}:outbox`, `${key}:unconfirmed`, `${key}:later`)) > 0) return false;
      const counts = await this.client.hmget(`${key}:count`, 'waiting', 'ready', 'running', 'scheduled');
      if (counts.some((count) => Number(count ?? 0) > 0)) return false;
    }
    return true;
  }

  async checkEnd(): Promise<void> {
    for (const [id, task] of this.watched.tasks) {
      const record = await recordOf(this.client, task.queue, id);
      if (task.state !== 'none' && record)
        expect(isTerminal(record.state), `${id} is ${record.state}`).toBe(true);
      if (record?.step !== undefined) expect(record.step.startsWith('free '), `${id} is let go`).toBe(true);
    }
    for (const { id, home } of this.flows) {
      const record = await this.workflows.find(id, [home]);
      if (!record || record.progress.isWithdrawn) continue;
      for (const step of record.plan.steps) this.watched.checkStep(step.id);
    }
    for (const queue of FLOW_QUEUES) {
      const key = `pf:{${queue}}`;
      const left = ['outbox', 'outbox-due', 'outbox-ages', 'pins', 'unconfirmed', 'workflow-deadlines'];
      expect(await this.client.exists(...left.map((name) => `${key}:${name}`)), 'what is left over').toBe(0);
      await expectBalanced(this.client, queue);
    }
  }

  /** `accepted = sum of all states + removed` in both queues. */
  async checkConservation(): Promise<void> {
    for (const queue of FLOW_QUEUES) {
      const counts = await this.client.hgetall(`pf:{${queue}}:count`);
      const sum = [...TASK_STATES, 'removed'].reduce((total, state) => total + Number(counts[state] ?? 0), 0);
      expect(sum, JSON.stringify(counts)).toBe(Number(counts['accepted'] ?? 0));
    }
  }
}
