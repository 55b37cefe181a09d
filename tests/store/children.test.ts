// Parents and children in random worlds: runs that end anywhere, calls that come late, relays that die and run twice, children that are retried,
// removed and cancelled. No child is made twice, none is left behind by a cancel, and no parent waits for ever.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Child, createSpawn } from '../../src/children/spawn.ts';
import { encodeCbor } from '../../src/protocol/cbor.ts';
import { encodeContent } from '../../src/protocol/message.ts';
import { newTaskId } from '../../src/protocol/task-id.ts';
import { createConsumer } from '../../src/store/consumer.ts';
import { homeOf } from '../../src/store/keys.ts';
import { createOperator } from '../../src/store/operator.ts';
import { createOutbox, type OutboxEntry } from '../../src/store/outbox.ts';
import { createModelSweeper } from '../support/model-sweeper.ts';
import { childSource } from '../../src/protocol/source.ts';
import { readWait } from '../../src/store/waits.ts';
import { relayEntries } from '../../src/upkeep/relay.ts';
import { createLinks } from '../../src/workflows/links.ts';
import { steadyNow } from '../../src/steady-now.ts';
import { buildScriptsWithClock } from '../support/model-clock.ts';
import { expectBalanced } from '../support/moves.ts';
import { GROUP, toOutcome } from '../support/outcome.ts';
import { openScriptedQueue, QUEUE, type ScriptedQueue } from '../support/scripted-queue.ts';
import { silentLog, startStore } from '../support/store.ts';

const RUNS = Number(process.env['POPFLEET_MODEL_RUNS'] ?? 30);
const { client } = await startStore(buildScriptsWithClock);
const SIDE = 'side';
const LIMIT_MS = 100;
const ERROR = encodeCbor({ name: 'Error', message: 'm', fingerprint: '0123456789abcdef' });

type Step =
  | {
      readonly do: 'run';
      readonly keys: number;
      readonly ends: 'released' | 'failed' | 'lost' | 'dead' | 'waits' | 'waits-for-long';
      readonly late: boolean;
    }
  | { readonly do: 'late' | 'sweep' | 'cancel' | 'replay' }
  | { readonly do: 'work'; readonly word: 'succeeded' | 'dead' }
  | { readonly do: 'relay'; readonly queue: 'take' | 'go-on'; readonly dies: boolean }
  | { readonly do: 'remove' | 'retry'; readonly child: number };

const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('run'),
      keys: fc.integer({ min: 1, max: 7 }),
      ends: fc.constantFrom('released', 'failed', 'lost', 'dead', 'waits', 'waits-for-long'),
      late: fc.boolean(),
    }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constantFrom('late', 'sweep') }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('cancel') }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('replay') }) },
  {
    weight: 5,
    arbitrary: fc.record({ do: fc.constant('work'), word: fc.constantFrom('succeeded', 'dead') }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('relay'),
      queue: fc.constantFrom('take', 'go-on'),
      dies: fc.boolean(),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom('remove', 'retry'), child: fc.nat({ max: 2 }) }) },
) as fc.Arbitrary<Step>;

interface Flaws {
  /** Each run makes its children under new ids. */
  readonly newIds?: boolean;
  /** Children are accepted without a mark. */
  readonly noMark?: boolean;
  /** Nobody tells parents. */
  readonly noLinks?: boolean;
}

class World {
  /** Keys of children that were ever asked for, with the ids under which they were. */
  readonly made = new Map<number, Set<string>>();
  readonly sends: (() => Promise<void>)[] = [];
  isCancelled = false;
  workers = 0;
  private taken: readonly OutboxEntry[] = [];
  private readonly queue: ScriptedQueue;
  private readonly parent: string;
  private readonly flaws: Flaws;
  private readonly outbox = createOutbox(client);
  private readonly operator = createOperator(client);
  private readonly sweepSide = createModelSweeper(client);

  constructor(queue: ScriptedQueue, parent: string, flaws: Flaws) {
    this.queue = queue;
    this.parent = parent;
    this.flaws = flaws;
  }

  private prepare(key: number): Child {
    const task = { id: 'none', content: encodeContent('add', {}), lane: 'normal' as const };
    const spawn = createSpawn({
      prepare: () => ({ queue: SIDE, state: 'ready', task }),
      send: async () => undefined,
    });
    const parent = { queue: QUEUE, id: this.parent, anew: 0, traceparent: undefined };
    const call = encodeCbor({ type: 'add', input: { key } });
    const child = spawn.prepare(parent, `=${key}`, call);
    const { mark, ...extras } = child.prepared.task.extras ?? {};
    const own = {
      ...child.prepared.task,
      id: this.flaws.newIds ? newTaskId() : child.id,
      extras: this.flaws.noMark ? extras : { ...extras, mark },
    };
    return { ...child, id: own.id, prepared: { ...child.prepared, task: own } };
  }

  async run(one: Step): Promise<unknown> {
    switch (one.do) {
      case 'run':
        return this.runParent(one);
      case 'late':
        return this.sends.shift()?.();
      case 'sweep':
        return this.sweep();
      case 'cancel':
        this.isCancelled =
          (await this.operator.cancel(QUEUE, this.parent)) === 'cancelled' || this.isCancelled;
        return undefined;
      case 'replay':
        return this.operator.replay(QUEUE, this.parent);
      case 'work':
        return this.work(one.word);
      case 'relay':
        return this.relay(one.queue, one.dies);
      case 'remove':
      case 'retry': {
        const [id] = this.made.get(one.child) ?? [];
        if (id !== undefined)
          await (one.do === 'remove' ? this.operator.remove(SIDE, id) : this.operator.replay(SIDE, id));
        return undefined;
      }
    }
  }

  private async runParent({ keys, ends, late }: Extract<Step, { do: 'run' }>): Promise<void> {
    const [task] = await this.queue.take(1);
    if (!task) return;
    const sources: string[] = [];
    for (const key of [0, 1, 2].filter((bit) => (keys >> bit) % 2 === 1)) {
      const child = this.prepare(key);
      const answer = await this.queue.source(task, childSource(child.id), child.digest, child.follower);
      const ids = this.made.get(key) ?? new Set();
      this.made.set(key, ids.add(child.id));
      const send = async (): Promise<void> => {
        await this.queue.producer.enqueue(SIDE, [child.prepared.task]);
      };
      if (answer === 'open' && late && ends !== 'waits' && ends !== 'waits-for-long') this.sends.push(send);
      else if (answer === 'open') await send();
      // A copy of the call that is still under way.
      if (answer === 'open' && late) this.sends.push(send);
      sources.push(childSource(child.id));
    }
    if (ends === 'lost') return;
    const wait = ends === 'waits' ? { sources, timeoutMs: LIMIT_MS } : { sources };
    const word = ends === 'waits' || ends === 'waits-for-long' ? 'suspended' : ends;
    const payload = word === 'failed' || word === 'dead' ? ERROR : Buffer.from(JSON.stringify(wait));
    const more = word === 'dead' ? { payload, group: GROUP } : { payload };
    for (let times = 0; times < 2; times += 1) await this.queue.finish([task], word, more);
  }

  async sweep(): Promise<void> {
    await this.queue.clock.advance(1_500);
    await this.queue.sweepAll();
    for (let rounds = 0; rounds < 9; rounds += 1) {
      await client.hdel(`pf:{${SIDE}}:queue`, 'sweep_at');
      if ((await this.sweepSide(homeOf(SIDE))).nextMs > 0) break;
    }
  }

  async work(word: 'succeeded' | 'dead'): Promise<number> {
    const worker = createConsumer(client, homeOf(SIDE), `w${(this.workers += 1)}`, 1_000);
    const { tasks } = await worker.claim([], 1);
    const more = word === 'dead' ? { payload: ERROR, group: GROUP } : {};
    await worker.finish(
      tasks.map((task) => Object.assign(toOutcome(task, word, 0), more, { hasHistory: true })),
      0,
    );
    await worker.leave();
    return tasks.length;
  }

  async relay(what: 'take' | 'go-on', dies: boolean): Promise<number> {
    if (what === 'take') {
      const both = await Promise.all([QUEUE, SIDE].map((queue) => this.outbox.take(homeOf(queue), 3)));
      this.taken = both.flat();
      return this.taken.length;
    }
    for (const queue of [QUEUE, SIDE]) {
      const entries = this.taken.filter(({ place }) => place.queue === queue);
      const die = async (): Promise<never> => {
        throw new Error('died');
      };
      const links = this.flaws.noLinks
        ? { tell: async () => [], record: async () => undefined }
        : createLinks(client);
      const outbox = dies ? { ...this.outbox, note: die } : this.outbox;
      const deps = { producer: this.queue.producer, links, outbox, log: silentLog };
      await relayEntries(entries, steadyNow(), deps).catch((error: Error) => {
        if (error.message !== 'died') throw error;
      });
    }
    return 0;
  }

  /** The world becomes kind: what is under way arrives, workers work, relays relay. */
  async settle(): Promise<void> {
    for (let rounds = 0; rounds < 12; rounds += 1) {
      await this.run({ do: 'late' });
      while ((await this.work('succeeded')) > 0);
      await this.sweep();
      while ((await this.relay('take', false)) > 0) await this.relay('go-on', false);
    }
  }

  async check(): Promise<void> {
    const task = await this.queue.task(this.parent);
    const wait = await readWait(client, homeOf(QUEUE), this.parent);
    expect([task?.state, wait?.word], 'no parent waits for ever').not.toContain('waiting');
    for (const [key, ids] of this.made) expect(ids.size, `child ${key}`).toBe(1);
    const counts = await client.hgetall(`pf:{${SIDE}}:count`);
    expect(Number(counts['accepted'] ?? 0), 'no child is made twice').toBeLessThanOrEqual(this.made.size);
    expect(await client.zcard(`pf:{${SIDE}}:outbox-ages`)).toBe(0);
    for (const queue of [QUEUE, SIDE]) await expectBalanced(client, queue);
  }
}

async function play(steps: readonly Step[], flaws: Flaws = {}): Promise<void> {
  const queue = await openScriptedQueue(client, { leaseMs: LIMIT_MS });
  const [id = ''] = await queue.enqueue(1);
  const world = new World(queue, id, flaws);
  for (const one of steps) await world.run(one);
  await world.settle();
  await world.check();
}

test('whatever happens, each child is there once, and its parent goes on', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 8, maxLength: 40 }), (steps) => play(steps)),
    { numRuns: RUNS },
  );
});

test('a child that ends while its parent is dead is there when that is retried, and counts as bytes that are kept', async () => {
  const died: Step = { do: 'run', keys: 1, ends: 'dead', late: false };
  const bytes = async (): Promise<number> => Number(await client.hget(`pf:{${QUEUE}}:count`, 'bytes'));
  const queue = await openScriptedQueue(client, { leaseMs: LIMIT_MS });
  const [id = ''] = await queue.enqueue(1);
  const world = new World(queue, id, {});
  await world.run(died);
  const before = await bytes();
  for (const one of [{ do: 'work', word: 'succeeded' }, ...RELAYED] as Step[]) await world.run(one);
  const kept = (await bytes()) - before;
  for (const one of [{ do: 'replay' }, WAIT] as Step[]) await world.run(one);
  expect(await queue.task(id)).toMatchObject({ state: 'ready' });
  expect(kept).toBeGreaterThan(0);
  await world.settle();
  await world.check();
});

const RUN: Step = { do: 'run', keys: 1, ends: 'released', late: false };
const WAIT: Step = { do: 'run', keys: 1, ends: 'waits-for-long', late: false };
const RELAYED: readonly Step[] = [
  { do: 'relay', queue: 'take', dies: false },
  { do: 'relay', queue: 'go-on', dies: false },
];

test.each<[string, Flaws, readonly Step[]]>([
  ['ids that derive from the parent', { newIds: true }, [RUN, WAIT]],
  [
    'the mark of a child',
    { noMark: true },
    // A call that is still under way when the child has gone.
    [{ ...WAIT, late: true }, { do: 'work', word: 'succeeded' }, ...RELAYED, { do: 'remove', child: 0 }],
  ],
  ['the links to parents', { noLinks: true }, [WAIT]],
])('the worlds die without %s', async (_, flaws, steps) => {
  await play(steps);
  await expect(play(steps, flaws)).rejects.toThrow();
});

test('a cancel reaches the children that are there, and keeps those that come late from running', async () => {
  const queue = await openScriptedQueue(client, { leaseMs: LIMIT_MS });
  const [id = ''] = await queue.enqueue(1);
  const world = new World(queue, id, {});
  await world.run({ do: 'run', keys: 1, ends: 'released', late: false });
  await world.run({ do: 'run', keys: 3, ends: 'released', late: true });
  await world.run({ do: 'cancel' });
  for (const one of RELAYED) await world.run(one);
  while (world.sends.length > 0) await world.run({ do: 'late' });
  expect(await world.work('succeeded')).toBe(0);
  expect(await client.hget(`pf:{${SIDE}}:count`, 'accepted')).toBe('1');
  expect(await client.hget(`pf:{${SIDE}}:count`, 'cancelled')).toBe('1');
});
