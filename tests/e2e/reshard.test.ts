// A slot of a Redis Cluster moves from one node to another, and back, while tasks of its queue are sent and run. Because scripts
// declare every key that they may touch, the cluster refuses a call as a whole or runs it as a whole, also when some of the keys
// are here and some there: nothing is lost, and nothing is run twice.

import { afterAll, expect, onTestFinished, test } from 'vitest';
import { LANES } from '../../src/protocol/lane.ts';
import { encodeContent } from '../../src/protocol/message.ts';
import { newTaskId } from '../../src/protocol/task-id.ts';
import { createConsumer } from '../../src/store/consumer.ts';
import { homeOf } from '../../src/store/keys.ts';
import type { NewTask } from '../../src/store/new-task.ts';
import { createProducer } from '../../src/store/producer.ts';
import type { ScriptSource } from '../../src/store/resolve-names.ts';
import { buildScripts, type ScriptName } from '../../src/store/scripts.ts';
import { createSweeper } from '../../src/store/sweeper.ts';
import { delay } from '../../src/lifecycle.ts';
import { withoutKeys } from '../support/checked-scripts.ts';
import { startCluster } from '../support/cluster.ts';
import { eventually } from '../support/eventually.ts';
import { countsOf, expectBalanced, openJournal } from '../support/moves.ts';
import { toOutcome } from '../support/outcome.ts';
import type { TestRedis } from '../support/redis.ts';
import { queueKey, readyKey } from '../support/queue-key.ts';
import { RedirectedClient, Sightings } from '../support/redirected-client.ts';

const LEASE_MS = 30_000;
const WORKERS = 3;
const BATCH = 5;
/** So much that the move of the contents takes a while. */
const SEEDED = 1_500;
const CONTENT = encodeContent('add', { text: 'x'.repeat(8_000) });
const BLOCK_SECONDS = 0.1;

type Scripts = Record<ScriptName, ScriptSource>;

const cluster = await startCluster(3);
afterAll(() => cluster.stop());

async function openClient(
  sightings: Sightings,
  scripts: Scripts = buildScripts(),
): Promise<RedirectedClient> {
  const client = await new RedirectedClient(cluster.nodes, scripts, sightings).connectAll();
  onTestFinished(() => client.disconnectAll());
  return client;
}

/** Of each batch one task has everything that a task may bring, so that the queue has most of the keys that a queue can have. */
function newTasks(count: number): NewTask[] {
  return Array.from({ length: count }, (_, at) => {
    if (at > 0) return plainTask();
    const id = newTaskId();
    const key = { key: id, windowMs: 600_000, digest: 'd' };
    const extras = { delayMs: 100, ttlMs: 600_000, resultTtlMs: 600_000, key };
    return { id, content: CONTENT, lane: 'low', extras };
  });
}

function plainTask(): NewTask {
  return { id: newTaskId(), content: CONTENT, lane: 'normal' };
}

interface Fleet {
  readonly accepted: readonly string[];
  /** How often a worker has begun each task. */
  readonly runs: ReadonlyMap<string, number>;
  /** Sends no more, and works until everything has ended. */
  finish(): Promise<void>;
}

async function startFleet(queue: string, sightings: Sightings): Promise<Fleet> {
  const accepted: string[] = [];
  const runs = new Map<string, number>();
  const state = { isSending: true, isWorking: true };
  const client = await openClient(sightings);
  const producer = createProducer(client);

  async function send(count: number): Promise<void> {
    const tasks = newTasks(count);
    await producer.enqueue(queue, tasks);
    accepted.push(...tasks.map(({ id }) => id));
  }

  async function produce(): Promise<void> {
    while (state.isSending) await send(BATCH);
  }

  async function work(name: string): Promise<void> {
    const [commands, pops] = [await openClient(sightings), await openClient(sightings)];
    const consumer = createConsumer(commands, homeOf(queue), name, LEASE_MS);
    while (state.isWorking) {
      const reply = await pops.brpopBuffer(...LANES.map((lane) => readyKey(queue, lane)), BLOCK_SECONDS);
      if (!reply) continue;
      const lane = LANES.find((one) => String(reply[0]) === readyKey(queue, one)) ?? 'normal';
      const { tasks } = await consumer.claim([{ lane, message: reply[1] }], BATCH);
      for (const { id } of tasks) runs.set(id, (runs.get(id) ?? 0) + 1);
      const { stale } = await consumer.finish(
        tasks.map((task) => toOutcome(task, 'succeeded', 0)),
        0,
      );
      expect(stale).toEqual([]);
    }
  }

  async function sweep(): Promise<void> {
    const settings = {
      leaseMs: LEASE_MS,
      slice: 100,
      popGraceMs: 2_000,
      retentionMs: 1e9,
      retentionBytes: 0,
    };
    const sweepOnce = createSweeper(await openClient(sightings), { ...settings, periodMs: 100 });
    while (state.isWorking) {
      const { counts, nextMs } = await sweepOnce(homeOf(queue));
      expect(counts).toMatchObject({ returned: 0, poisoned: 0, removed: 0 });
      await delay(nextMs);
    }
  }

  for (let sent = 0; sent < SEEDED; sent += 100) await send(100);
  const producing = produce();
  const working = Promise.all([sweep(), ...Array.from({ length: WORKERS }, (_, at) => work(`w${at}`))]);
  // They are awaited by `finish`, which comes later than a fault of theirs.
  for (const loop of [producing, working]) loop.catch(() => undefined);
  return {
    accepted,
    runs,
    async finish() {
      state.isSending = false;
      await producing;
      const ended = eventually(async () => (await countsOf(client, queue))['succeeded'] === accepted.length);
      await Promise.race([ended, working]);
      state.isWorking = false;
      await working;
    },
  };
}

test('a slot that moves while tasks run, and moves back: nothing is lost, nothing runs twice', async () => {
  const queue = 'moving';
  const { slot, owner, other } = await cluster.slotOf(`${queueKey(queue)}:queue`);
  const sightings = new Sightings();
  const fleet = await startFleet(queue, sightings);
  const reader = await openClient(new Sightings());
  const journal = openJournal(reader, queue);

  /** @returns longest time in which no call succeeded, in ms */
  async function move(from: TestRedis, to: TestRedis, between?: () => Promise<void>): Promise<number> {
    const { length } = fleet.accepted;
    sightings.longestStopMs = 0;
    await cluster.move(slot, from, to, between);
    await eventually(() => fleet.accepted.length > length + 10 * BATCH);
    await journal.read();
    return Math.round(sightings.longestStopMs);
  }

  // One key after the other, and each time calls are refused meanwhile.
  let opened = 0;
  const pacedMs = await move(owner, other, async () => {
    const before = sightings.refusals();
    opened += 1;
    await eventually(() => sightings.refusals() > before, 5_000, 1);
  });
  // As fast as it goes.
  const backMs = await move(other, owner);
  await fleet.finish();
  await journal.read();

  const { accepted, runs } = fleet;
  const ends = new Map<string, number>();
  for (const { id, state } of journal.moves) {
    if (state === 'succeeded') ends.set(id, (ends.get(id) ?? 0) + 1);
  }
  expect(accepted.filter((id) => ends.get(id) !== 1 || runs.get(id) !== 1)).toEqual([]);
  expect(ends.size).toBe(accepted.length);
  expect(await countsOf(reader, queue)).toMatchObject({
    accepted: accepted.length,
    succeeded: accepted.length,
  });
  await expectBalanced(reader, queue);
  // The slot was divided between the nodes, and whatever was refused for that ran in the end.
  expect(opened).toBeGreaterThan(10);
  expect(sightings.refused.MOVED).toBeGreaterThan(0);
  expect(sightings.refused.ASK).toBeGreaterThan(0);
  expect(sightings.refused.TRYAGAIN).toBeGreaterThan(0);
  expect(sightings.repeated).toBeGreaterThan(0);
  expect(sightings.waiting).toBe(0);
  console.info('reshard', {
    tasks: accepted.length,
    keys: opened - 1,
    refused: JSON.stringify(sightings.refused),
    repeated: sightings.repeated,
    'stop key by key, each waited for (ms)': pacedMs,
    'stop as fast as it goes (ms)': backMs,
  });
});

/** Each script with one declared key, and names of others that it makes itself: what scripts did before they declared all. */
function declareOneKey(scripts: Scripts): Scripts {
  const entries = Object.entries(scripts).map(([name, source]) => {
    const one = source.keys.includes('queue') ? 'queue' : source.keys[0];
    return [name, withoutKeys(source, (key) => key === one)];
  });
  return Object.fromEntries(entries) as Scripts;
}

test.each([
  ['all that they touch', buildScripts(), 1],
  ['one key only, as they did once: the task is lost', declareOneKey(buildScripts()), 0],
])(
  'a task sent to an empty queue while its slot moves, by scripts that declare %s',
  async (_, scripts, listed) => {
    const queue = `empty-${listed}`;
    const { slot, owner, other } = await cluster.slotOf(`${queueKey(queue)}:queue`);
    const client = await openClient(new Sightings(), scripts);
    const { enqueue } = createProducer(client);
    const consumer = createConsumer(client, homeOf(queue), 'w', LEASE_MS);
    await enqueue(queue, [plainTask()]);
    const { tasks } = await consumer.claim([], 1);
    await consumer.finish(
      tasks.map((one) => toOutcome(one, 'succeeded', 0)),
      0,
    );

    const task = plainTask();
    let sending: Promise<unknown> | undefined;
    await cluster.move(slot, owner, other, async () => {
      // Before the first key moves.
      sending ??= enqueue(queue, [task]).catch(({ cause }: Error) => cause);
      // What is refused comes through when the slot has moved; this one breaks off.
      if (listed === 0) expect(String(await sending)).toContain('non local key');
    });
    await sending;
    // As a caller does that does not know whether it was accepted.
    await enqueue(queue, [task]);
    expect(await client.hexists(`${queueKey(queue)}:contents`, task.id)).toBe(1);
    expect(await client.llen(readyKey(queue, 'normal'))).toBe(listed);
    expect(await countsOf(client, queue)).toMatchObject({ accepted: 1 + listed });
  },
);
