// Tasks that move to other queues while relays die between any two steps, run twice and come late: each is in one queue at the end,
// and counted once. Random worlds over the real scripts, like the model of a queue.

import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { encodeCbor } from '../../src/protocol/cbor.ts';
import { encodeContent } from '../../src/protocol/message.ts';
import { createConsumer } from '../../src/store/consumer.ts';
import { homeOf } from '../../src/store/keys.ts';
import { createOperator } from '../../src/store/operator.ts';
import { createOutbox } from '../../src/store/outbox.ts';
import { createProducer } from '../../src/store/producer.ts';
import { createSweeper } from '../../src/store/sweeper.ts';
import { acceptMoving, dropMoved, type MovingTask, readMoving } from '../../src/store/transfer.ts';
import { buildScriptsWithClock, createModelClock, type ModelClock } from '../support/model-clock.ts';
import { moveAll } from '../support/move-all.ts';
import { countsOf, expectBalanced } from '../support/moves.ts';
import { toOutcome } from '../support/outcome.ts';
import { queueKey } from '../support/queue-key.ts';
import { recordsOf } from '../support/records.ts';
import { startStore } from '../support/store.ts';

const RUNS = Number(process.env['POPFLEET_MODEL_RUNS'] ?? 20);
const QUEUES = ['a', 'b', 'c'] as const;
type Queue = (typeof QUEUES)[number];
const ERROR = encodeCbor({ name: 'Error', message: 'no' });
const CONTENT = encodeContent('add', { one: 1, two: 2 });

const { client } = await startStore(buildScriptsWithClock);
const producer = createProducer(client);
const operator = createOperator(client);
const outbox = createOutbox(client);
const sweep = createSweeper(client, {
  leaseMs: 1e9,
  slice: 10,
  popGraceMs: 400,
  retentionMs: 1e12,
  retentionBytes: 0,
  periodMs: 250,
});

type Step =
  | { readonly do: 'enqueue'; readonly queue: Queue; readonly delayMs: number }
  | { readonly do: 'kill' | 'remove' | 'sweep'; readonly queue: Queue }
  | { readonly do: 'move'; readonly queue: Queue; readonly to: Queue }
  | { readonly do: 'read'; readonly queue: Queue; readonly relay: number }
  | { readonly do: 'accept' | 'drop'; readonly relay: number }
  | { readonly do: 'advance'; readonly ms: number };

const queue = fc.constantFrom(...QUEUES);
const relay = fc.nat({ max: 2 });
const worlds = fc.array(
  fc.oneof(
    {
      weight: 2,
      arbitrary: fc.record({ do: fc.constant('enqueue'), queue, delayMs: fc.constantFrom(0, 500) }),
    },
    { weight: 3, arbitrary: fc.record({ do: fc.constantFrom('kill', 'remove', 'sweep', 'sweep'), queue }) },
    { weight: 5, arbitrary: fc.record({ do: fc.constant('move'), queue, to: queue }) },
    { weight: 6, arbitrary: fc.record({ do: fc.constant('read'), queue, relay }) },
    { weight: 9, arbitrary: fc.record({ do: fc.constantFrom('accept', 'accept', 'drop'), relay }) },
    {
      weight: 3,
      arbitrary: fc.record({ do: fc.constant('advance'), ms: fc.constantFrom(1_000, 3_000, 700_000) }),
    },
  ) as fc.Arbitrary<Step>,
  { minLength: 20, maxLength: 90, size: 'max' },
);

/** What a relay has read, and what of that has arrived. */
interface Held {
  readonly queue: Queue;
  readonly tasks: readonly MovingTask[];
  readonly at: number;
  arrived: readonly string[];
}

/** @param flaw what the world leaves out, to see that the checks find it */
class World {
  readonly #clock: ModelClock;
  readonly #flaw: 'marks' | undefined;
  readonly #held: (Held | undefined)[] = [];
  readonly accepted: string[] = [];
  readonly removed = new Set<string>();
  /** What is found by its tags, wherever it is. */
  readonly tagged = new Set<string>();

  constructor(clock: ModelClock, flaw: 'marks' | undefined) {
    this.#clock = clock;
    this.#flaw = flaw;
  }

  async run(step: Step): Promise<void> {
    await this.#run(step);
    for (const name of QUEUES) {
      await expectBalanced(client, name);
      if (this.#flaw === 'marks') await client.del(`${queueKey(name)}:marks`);
    }
  }

  async #run(step: Step): Promise<void> {
    switch (step.do) {
      case 'enqueue': {
        const id = this.#clock.newTaskId();
        const extras = step.delayMs > 0 ? { delayMs: step.delayMs, terms: 'tag=a tag=b' } : undefined;
        if (extras) this.tagged.add(id);
        await producer.enqueue(step.queue, [{ id, content: CONTENT, lane: 'normal', extras }]);
        this.accepted.push(id);
        break;
      }
      case 'kill': {
        const worker = createConsumer(client, homeOf(step.queue), 'w', 1e9);
        const { tasks } = await worker.claim([], 2);
        const outcomes = tasks.map((task) => toOutcome(task, 'dead', 0, ERROR));
        await worker.finish(outcomes, 0);
        break;
      }
      case 'remove': {
        const [id = ''] = await client.hkeys(`${queueKey(step.queue)}:contents`);
        if (id !== '' && (await operator.remove(step.queue, id)) === 'removed') this.removed.add(id);
        break;
      }
      case 'sweep': {
        await client.hdel(`${queueKey(step.queue)}:queue`, 'sweep_at');
        await outbox.settleMarks(homeOf(step.queue), (await sweep(homeOf(step.queue))).marks);
        break;
      }
      case 'move':
        if (step.to !== step.queue) await moveAll(client, step.queue, step.to);
        break;
      case 'read': {
        const entries = await outbox.take(homeOf(step.queue), 3);
        const names = entries.map(({ name }) => name);
        const { tasks } = await readMoving(client, homeOf(step.queue), names);
        this.#held[step.relay] = { queue: step.queue, tasks, at: this.#clock.now(), arrived: [] };
        break;
      }
      case 'accept': {
        const held = this.#held[step.relay];
        if (held) await this.#accept(held);
        break;
      }
      case 'drop': {
        const held = this.#held[step.relay];
        if (held) await dropMoved(client, homeOf(held.queue), held.arrived);
        break;
      }
      case 'advance':
        await this.#clock.advance(step.ms);
        break;
    }
  }

  async #accept(held: Held): Promise<void> {
    // The relay's own clock has gone on as that of Redis has.
    const age = this.#clock.now() - held.at;
    const tasks = held.tasks.map((task) => ({ ...task, readAt: task.readAt - age }));
    for (const name of QUEUES) {
      const theirs = tasks.filter(({ to }) => to === name);
      const arrived = await acceptMoving(client, homeOf(held.queue), theirs).catch((error: unknown) => {
        if (String(error).includes('took too long')) return [];
        throw error;
      });
      held.arrived = [...held.arrived, ...arrived];
    }
  }

  /** No more faults. */
  async settle(): Promise<void> {
    for (let round = 0; round < 60; round += 1) {
      await this.#clock.advance(61_000);
      for (const name of QUEUES) await outbox.transfer(await outbox.take(homeOf(name), 100));
      if ((await client.exists(...QUEUES.map((name) => `${queueKey(name)}:outbox`))) === 0) return;
    }
    throw new Error('tasks are on their way for ever');
  }

  async check(): Promise<void> {
    const records = (await Promise.all(QUEUES.map((name) => recordsOf(client, name)))).flat();
    const left = this.accepted.filter((id) => !this.removed.has(id));
    expect(records.map(({ id }) => id).sort()).toEqual(left.sort());
    expect(records.filter(({ state }) => state === 'moved')).toEqual([]);
    const found = records.filter(({ terms }) => terms === 'tag=a tag=b').map(({ id }) => id);
    expect(found.sort()).toEqual(left.filter((id) => this.tagged.has(id)).sort());
    const counts = await Promise.all(QUEUES.map((name) => countsOf(client, name)));
    const sum = (name: string): number => counts.reduce((total, one) => total + (one[name] ?? 0), 0);
    expect(sum('accepted')).toBe(this.accepted.length);
    expect(sum('moved-in')).toBe(sum('moved-out'));
    for (const name of QUEUES) await expectBalanced(client, name);
  }
}

let moves = 0;

async function live(steps: readonly Step[], flaw?: 'marks'): Promise<void> {
  await client.flushall();
  const world = new World(await createModelClock(client), flaw);
  for (const step of steps) await world.run(step);
  await world.settle();
  await world.check();
  moves += Number(await client.hget(`${queueKey('a')}:count`, 'moved-out'));
}

describe('worlds in which relays die', () => {
  afterAll(() => {
    console.info('moves between queues', { worlds: RUNS, movesOutOfOne: moves });
  });

  test(`${RUNS} worlds: nothing is lost, nothing is there twice`, {
    timeout: 180_000 + RUNS * 1_000,
  }, async () => {
    await fc.assert(
      fc.asyncProperty(worlds, (steps) => live(steps)),
      { numRuns: RUNS },
    );
    expect(moves).toBeGreaterThan(0);
  });

  test('a relay that comes again after the row has gone', async () => {
    const late: readonly Step[] = [
      { do: 'enqueue', queue: 'a', delayMs: 0 },
      { do: 'move', queue: 'a', to: 'b' },
      { do: 'read', queue: 'a', relay: 0 },
      { do: 'accept', relay: 0 },
      { do: 'remove', queue: 'b' },
      { do: 'accept', relay: 0 },
      { do: 'drop', relay: 0 },
    ];
    await live(late);
    // The mark is what keeps it from coming to life again.
    await expect(live(late, 'marks')).rejects.toThrow();
  });

  test('a task that comes back before its first way is over waits for that', async () => {
    await live([
      { do: 'enqueue', queue: 'a', delayMs: 0 },
      { do: 'move', queue: 'a', to: 'b' },
      { do: 'read', queue: 'a', relay: 0 },
      { do: 'accept', relay: 0 },
      // The relay has died; the row in `a` is still on its way.
      { do: 'move', queue: 'b', to: 'a' },
      { do: 'read', queue: 'b', relay: 1 },
      { do: 'accept', relay: 1 },
      { do: 'drop', relay: 1 },
    ]);
    expect((await recordsOf(client, 'a')).map(({ state }) => state)).toEqual(['ready']);
  });
});
