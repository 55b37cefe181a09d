// A large batch: some members are added while others run, some fail and are retried, relays run twice. POPFLEET_MEMBERS says how many there are.

import { afterAll, beforeAll, expect, test } from 'vitest';
import { createAcceptBatch } from '../../src/batches/accept-batch.ts';
import type { Prepared } from '../../src/accept/new-task.ts';
import { sendMany } from '../../src/accept/send-many.ts';
import { encodeContent } from '../../src/protocol/message.ts';
import { newTaskId } from '../../src/protocol/task-id.ts';
import { createBatches } from '../../src/store/batches.ts';
import { createConsumer } from '../../src/store/consumer.ts';
import { homeOf } from '../../src/store/keys.ts';
import { createOutbox } from '../../src/store/outbox.ts';
import { createProducer } from '../../src/store/producer.ts';
import { relayEntries } from '../../src/upkeep/relay.ts';
import { createLinks } from '../../src/workflows/links.ts';
import { steadyNow } from '../../src/steady-now.ts';
import { expectBalanced } from '../support/moves.ts';
import { toOutcome } from '../support/outcome.ts';
import { openStore, silentLog } from '../support/store.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';

const MEMBERS = Number(process.env['POPFLEET_MEMBERS'] ?? 2_000);
const AT_ONCE = 10_000;
const QUEUES = ['big', 'other'];

let redis: TestRedis;
let client: Awaited<ReturnType<typeof openStore>>;

beforeAll(async () => {
  redis = await startRedis({ appendonly: 'no' });
  client = await openStore(redis.url);
});
afterAll(async () => {
  client?.disconnect();
  await redis?.stop();
});

test('what follows a large batch does once', { timeout: 20 * 60_000 }, async () => {
  const producer = createProducer(client);
  const store = createBatches(client);
  const outbox = createOutbox(client);
  const content = encodeContent('add', { one: 1, two: 2 });
  const taskOf = (queue: string): Prepared => ({
    queue,
    state: 'ready',
    task: { id: newTaskId(), content, lane: 'normal' },
  });
  const accept = {
    prepare: () => taskOf('after'),
    admitQueue: async () => undefined,
    sendMany: (count: number, taskAt: (index: number) => Prepared) => sendMany(() => producer, count, taskAt),
  };
  const batches = createAcceptBatch({ accept, store });
  const call = Object.fromEntries([
    ['queue', 'big'],
    ['then', { success: { type: 'add' }, complete: { type: 'add' } }],
  ]);
  const sender = { key: undefined, queues: undefined, traceparent: undefined };
  const { id } = await batches.open(call, undefined, sender);

  /** Runs what waits, and tells of it twice. */
  async function work(queue: string, most: number): Promise<void> {
    const worker = createConsumer(client, homeOf(queue), `${queue}-${newTaskId()}`, 60_000);
    for (let ran = 0; ran < most; ) {
      const { tasks } = await worker.claim([], 250);
      await worker.finish(
        tasks.map((task) => Object.assign(toOutcome(task, 'succeeded', 0), { payload: Buffer.alloc(0) })),
        0,
      );
      ran += tasks.length;
      for (;;) {
        const entries = await outbox.take(homeOf(queue), 250);
        const deps = { producer, links: createLinks(client), outbox, log: silentLog };
        const dies = { ...outbox, note: async () => undefined };
        await relayEntries(entries, steadyNow(), { ...deps, outbox: dies });
        await relayEntries(entries, steadyNow(), deps);
        if (entries.length < 250) break;
      }
      if (tasks.length === 0) break;
    }
    await worker.leave();
  }

  for (let sent = 0; sent < MEMBERS; sent += AT_ONCE) {
    const count = Math.min(AT_ONCE, MEMBERS - sent);
    const tasks = Array.from({ length: count }, (_, at) => taskOf(QUEUES[at % 2] ?? 'big'));
    await batches.add('big', id, tasks);
    for (const queue of QUEUES) await work(queue, count / 4);
  }
  await store.close('big', id);
  for (const queue of QUEUES) await work(queue, MEMBERS);
  // The batch itself has ended with the last of them.
  await work('big', 1);
  const { progress } = (await store.find(id, ['big'])) ?? {};
  expect(progress).toMatchObject({ members: MEMBERS, ended: MEMBERS, succeeded: MEMBERS, pending: 0 });
  expect(await client.hget('pf:{after}:count', 'accepted')).toBe('2');
  for (const queue of QUEUES) await expectBalanced(client, queue);
});
