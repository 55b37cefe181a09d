// A queue as a hostile world sees it: workers that crash, freeze and lose replies, driven step by step over the real
// scripts. It keeps what was accepted and checks what must hold at every moment and at the end.

import type { Redis } from 'ioredis';
import { expect } from 'vitest';
import { encodeContent } from '../../src/protocol/message.ts';
import { isTerminal, TASK_STATES } from '../../src/protocol/task-state.ts';
import { homeOf } from '../../src/store/keys.ts';
import { createOperator } from '../../src/store/operator.ts';
import type { Producer } from '../../src/store/producer.ts';
import { createSweeper } from '../../src/store/sweeper.ts';
import { writeTerms } from '../../src/store/terms.ts';
import type { Ears } from './ears.ts';
import { expectIndexed, removeAllIndexed } from './index-facts.ts';
import { isIdleQueue } from './is-idle-queue.ts';
import { expectCrashesCounted, expectGoneBack } from './model-crashes.ts';
import type { ModelClock } from './model-clock.ts';
import type { ModelPlaces } from './model-places.ts';
import type { Step } from './model-steps.ts';
import { ModelWorker } from './model-worker.ts';
import { queueKey } from './queue-key.ts';
import { recordOf } from './records.ts';
import { type ModelFlaws, nextOf, RelayModel } from './relay-model.ts';
import { keysLike, limitMemory } from './servers-of.ts';
import { terminalMoves } from './terminal-moves.ts';
import { TotalsModel } from './totals-model.ts';

const LEASE_MS = 1_000;
const FIELDS = new Map([['customer', '47 11=%']]);
/** Of a world that calms down, in milliseconds; and after how many rounds the grace of a hand is over, and no lease is. */
export const ROUND_MS = 150;
const GRACE_ROUNDS = 6;

export interface ModelWorld {
  readonly client: Redis;
  readonly producer: Producer;
  readonly clock: ModelClock;
  readonly workers: number;
  /** Those of a worker, for all of its queues. */
  readonly placesOf: (worker: string) => ModelPlaces;
  readonly flaws: ModelFlaws;
  /** Without them nothing is handed over. */
  readonly ears: Ears | undefined;
}

export class QueueModel {
  readonly accepted: string[] = [];
  /** How often each task was replayed: it may end that much more often. */
  readonly replays = new Map<string, number>();
  /** Tasks that were removed before they had to go. */
  readonly removed = new Set<string>();
  readonly relays: RelayModel;
  /** What each task is found by. */
  private readonly terms = new Map<string, string>();
  /** Refused, because Redis was full. */
  refused = 0;
  crashes = 0;
  private readonly workers: ModelWorker[];
  /** Those that have crashed included. */
  private readonly all: ModelWorker[] = [];
  private names = 0;
  private readonly queue: string;
  private readonly key: string;
  private readonly placesOf: ModelWorld['placesOf'];
  private readonly client: Redis;
  private readonly producer: Producer;
  private readonly clock: ModelClock;
  private readonly totals: TotalsModel;
  private readonly flaws: ModelFlaws;
  private readonly ears: Ears | undefined;
  /** Names of workers that are dead, or have left. */
  private readonly gone = new Set<string>();
  /** Tasks that were handed over. */
  handed = 0;
  private readonly operator;
  private readonly sweep;

  constructor(queue: string, { client, producer, clock, workers, placesOf, flaws, ears }: ModelWorld) {
    this.queue = queue;
    this.key = queueKey(queue);
    this.ears = ears;
    this.client = client;
    this.producer = producer;
    this.clock = clock;
    this.placesOf = placesOf;
    this.flaws = flaws;
    this.totals = new TotalsModel(client, queue);
    this.operator = createOperator(client);
    this.relays = new RelayModel(client, producer, clock, queue, flaws);
    this.sweep = createSweeper(client, {
      leaseMs: LEASE_MS,
      slice: 7,
      popGraceMs: 400,
      retentionMs: 1e12,
      retentionBytes: 0,
      periodMs: 250,
    });
    this.workers = Array.from({ length: workers }, () => this.newWorker());
  }

  private newWorker(): ModelWorker {
    const name = `w${(this.names += 1)}`;
    const onBegin = (id: string): void => this.checkBegin(id, worker);
    const { client, queue, clock, flaws } = this;
    const places = this.placesOf(name);
    const worker: ModelWorker = new ModelWorker(client, queue, name, clock.passed, places, flaws, onBegin);
    this.all.push(worker);
    return worker;
  }

  /** Another worker takes its place. */
  private async replace(index: number, end: 'die' | 'leave'): Promise<void> {
    const worker = this.worker(index);
    await worker[end]();
    this.gone.add(worker.name);
    const next = this.newWorker();
    this.workers[index % this.workers.length] = next;
    if (this.ears) await next.listen(this.ears);
  }

  /** Connects the workers. */
  async open(): Promise<void> {
    for (const worker of this.workers) if (this.ears) await worker.listen(this.ears);
  }

  get lostReplies(): number {
    return this.all.reduce((sum, { lostReplies }) => sum + lostReplies, 0);
  }

  /** Runs a step, unless Redis is full and refuses it. */
  async run(step: Step): Promise<void> {
    await this.runStep(step).catch((error: unknown) => {
      if ((error as { readonly code?: unknown }).code !== 'redis-full') throw error;
      this.refused += 1;
    });
  }

  /** To be called after each step, also of another queue. */
  async watch(): Promise<void> {
    await this.ears?.arrived();
    await this.relays.watch();
    await this.totals.watch();
  }

  private async runStep(step: Step): Promise<void> {
    switch (step.do) {
      case 'enqueue':
        await this.enqueue(step);
        break;
      case 'pop':
        await this.worker(step.worker).pop(step);
        break;
      case 'finish':
        await this.worker(step.worker).finish(step);
        break;
      case 'beat':
        await this.worker(step.worker).beat();
        break;
      case 'crash':
        this.crashes += 1;
        await this.replace(step.worker, 'die');
        break;
      case 'leave':
        await this.replace(step.worker, 'leave');
        break;
      case 'hear':
        await this.worker(step.worker).hear(step.lost);
        break;
      case 'arrive':
        await this.worker(step.worker).arrive();
        break;
      case 'cancel':
        await this.operator.cancel(this.queue, this.pick(step.task));
        break;
      case 'replay': {
        const dead = await this.client.zrange(`${this.key}:dead`, '0', '-1');
        const id = dead[step.task % Math.max(1, dead.length)];
        if (id !== undefined && (await this.operator.replay(this.queue, id)) === 'replayed') {
          this.replays.set(id, (this.replays.get(id) ?? 0) + 1);
        }
        break;
      }
      case 'pause':
        await this.operator.pause(this.queue);
        break;
      case 'resume':
        await this.operator.resume(this.queue);
        break;
      case 'sweep':
        await this.sweepAll();
        break;
      case 'remove': {
        const id = this.pick(step.task);
        if ((await this.operator.remove(this.queue, id)) === 'removed') this.removed.add(id);
        break;
      }
      case 'jump':
        await this.clock.advance(step.ms);
        break;
      case 'advance':
        await this.clock.pass(step.ms);
        break;
      case 'relay':
      case 'follow':
      case 'drop-followers':
      case 'fill':
      case 'drain':
        await this.relays.run(step, this.accepted);
        break;
    }
  }

  private pick(task: number): string {
    return this.accepted[task % Math.max(1, this.accepted.length)] ?? 'none';
  }

  /** Also where its followers are, and what follows of it. */
  private async sweepAll(): Promise<void> {
    const before = await this.client.hgetall(`${this.key}:headers`);
    for (const place of [homeOf(this.queue), homeOf(nextOf(this.queue))]) {
      await this.relays.afterSweep(place, await this.sweep(place));
    }
    expectCrashesCounted(before, await this.client.hgetall(`${this.key}:headers`), this.all);
  }

  /** Nobody else runs a task when it begins, unless it has lost its lease. */
  private checkBegin(id: string, by: ModelWorker): void {
    const others = this.all.filter((one) => one !== by && !this.gone.has(one.name) && one.isRunning(id));
    expect(
      others.map(({ name }) => name),
      `${id} begins on ${by.name}, and runs`,
    ).toEqual([]);
  }

  /** `accepted = sum of all states + removed`, and the index has what the rows have, at this very moment. */
  async checkConservation(): Promise<void> {
    const counts = await this.client.hgetall(`${this.key}:count`);
    const sum = [...TASK_STATES, 'removed'].reduce((total, state) => total + Number(counts[state] ?? 0), 0);
    expect(sum, JSON.stringify(counts)).toBe(Number(counts['accepted'] ?? 0));
    expect(TASK_STATES.filter((state) => !(Number(counts[state] ?? 0) >= 0))).toEqual([]);
    await expectIndexed(this.client, this.queue);
  }

  /** The world calms down: no more faults, one honest worker beside those that are left. */
  async calm(): Promise<void> {
    await this.operator.resume(this.queue);
    await limitMemory(this.client, '0');
    this.workers.push(this.newWorker());
  }

  /** What happens in a calm world, over and over. @returns whether nothing is left to do */
  async calmRound(round: number): Promise<boolean> {
    await this.sweepAll();
    if (round === GRACE_ROUNDS) {
      const gone = this.all.filter(({ name }) => this.gone.has(name));
      expectGoneBack(await this.client.hgetall(`${this.key}:headers`), gone);
    }
    for (const worker of this.workers) {
      await this.ears?.arrived();
      await worker.hear();
      await worker.beat();
      await worker.pop({ lost: 'no', want: 5 });
      await worker.finish({ word: 'succeeded', count: 50, want: 0, lost: false });
    }
    await this.watch();
    return isIdleQueue(this.client, this.key);
  }

  /** Nothing lost, nothing finished twice, counts equal the states, nothing left behind. */
  async checkEnd(): Promise<void> {
    const states = new Map<string, number>();
    for (const id of this.accepted) {
      const state = (await recordOf(this.client, this.queue, id))?.state;
      if (state === undefined && this.removed.has(id)) continue;
      expect(state && isTerminal(state), `task ${id} is ${state ?? 'gone'}`).toBe(true);
      states.set(String(state), (states.get(String(state)) ?? 0) + 1);
    }
    const counts = await this.client.hgetall(`${this.key}:count`);
    expect(Number(counts['accepted'] ?? 0)).toBe(this.accepted.length);
    for (const state of TASK_STATES) expect(Number(counts[state] ?? 0), state).toBe(states.get(state) ?? 0);

    const ends = await terminalMoves(this.client, this.key);
    for (const id of this.accepted)
      expect(ends.get(id), `task ${id} ended`).toBe(1 + (this.replays.get(id) ?? 0));
    await this.relays.checkEnd();
    await this.totals.checkEnd([...this.replays.values()].reduce((sum, times) => sum + times, 0));
    await removeAllIndexed(this.client, this.queue, this.terms, this.accepted);
    const left = await keysLike(this.client, `${this.key}:*`);
    const kinds = left.map((name) => name.slice(this.key.length + 1));
    expect(
      kinds.filter((kind) => /^(ready|ledger|running|later|suspects|unstarted|malformed)/.test(kind)),
    ).toEqual([]);
  }

  private worker(index: number): ModelWorker {
    const worker = this.workers[index % this.workers.length];
    if (!worker) throw new Error('the model has no workers');
    return worker;
  }

  private async enqueue(step: Extract<Step, { do: 'enqueue' }>): Promise<void> {
    // Plain tasks go a way of their own through the scripts.
    const isPlain = step.delayMs === 0 && step.ttlMs === 0 && !step.followed && !step.tagged;
    const terms = step.tagged ? writeTerms(['odd % tag', step.lane], FIELDS) : undefined;
    const ids = Array.from({ length: step.count }, () => this.clock.newTaskId());
    const tasks = ids.map((id) => ({
      id,
      content: encodeContent('add', { one: 1, two: 2 }),
      lane: step.lane,
      extras: isPlain
        ? undefined
        : {
            delayMs: step.delayMs,
            ttlMs: step.ttlMs === 0 ? undefined : step.ttlMs,
            ...(step.followed && this.relays.extras()),
            terms,
          },
    }));
    await this.producer.enqueue(this.queue, tasks);
    await this.checkHanded(ids);
    // The reply was lost: the same call again.
    if (step.twice) await this.producer.enqueue(this.queue, tasks);
    this.accepted.push(...ids);
    if (terms !== undefined) for (const id of ids) this.terms.set(id, terms);
    if (step.followed) for (const id of ids) this.relays.isFollowed(id);
  }

  /** Nobody who is gone is handed anything. */
  private async checkHanded(ids: readonly string[]): Promise<void> {
    for (const id of ids) {
      const record = await recordOf(this.client, this.queue, id);
      if (record?.state !== 'running') continue;
      this.handed += 1;
      expect(this.gone.has(record.worker ?? ''), `${id} was handed to a worker that is gone`).toBe(false);
    }
  }
}
