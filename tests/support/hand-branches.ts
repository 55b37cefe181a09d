// Drives the scripts through branches of the hand-over; declared-keys.test.ts looks at what they touch there.

import type { Redis } from 'ioredis';
import { expect } from 'vitest';
import { createConsumer, type Hand, readHand, type Said } from '../../src/store/consumer.ts';
import { encodeContent } from '../../src/protocol/message.ts';
import { handGraceOf } from '../../src/store/hand-grace.ts';
import { handChannel, homeOf } from '../../src/store/keys.ts';
import { writeFollower } from '../../src/store/outbox.ts';
import { orderWorker } from '../../src/store/worker-orders.ts';
import { type Ears, openEars } from './ears.ts';
import { expectBalanced } from './moves.ts';
import { KEY, LEASE_MS, QUEUE } from './scripted-queue.ts';
import { openTicking, schedule, type Ticking } from './ticking.ts';

const PLACE = homeOf(QUEUE);
const STARTED_WITHIN = { ttlMs: 500_000 };

/** What makes one task ready, once workers are idle. */
const ACCEPTING: Readonly<Record<string, (queue: Ticking) => Promise<unknown>>> = {
  async enqueue({ enqueue }) {
    // Its reply says that a worker may be idle.
    await enqueue(1, { delayMs: 1e9 });
    await enqueue(1, STARTED_WITHIN);
  },
  async sweep({ clock, enqueue, sweepAll }) {
    await enqueue(1, { ...STARTED_WITHIN, delayMs: 10 });
    await clock.advance(10);
    await sweepAll();
  },
  async tick({ clock, plan, tickAll }) {
    await plan(`at ${clock.now()}`, schedule(), clock.now());
    await tickAll();
  },
};

/** As `BRANCHES` of script-branches.ts. */
export const HAND_BRANCHES: Readonly<Record<string, (client: Redis) => Promise<void>>> = {
  'tasks that are handed to idle workers': async (client) => {
    const ears = await openEars(client);
    try {
      for (const accept of Object.values(ACCEPTING)) await handOver(client, ears, accept);
    } finally {
      ears.disconnect();
    }
  },

  'a producer that knows that no worker is idle': async (client) => {
    const queue = await openTicking(client);
    await queue.enqueue(1);
    const content = encodeContent('add', {});
    await queue.enqueue(1, { follower: writeFollower({ queue: QUEUE, lane: 'normal', content }) });
    expect(await client.hget(`${KEY}:queue`, 'followed')).toBe('marked');
  },

  'workers that say that they have what they were handed, or do not': async (client) => {
    const queue = await openTicking(client, { leaseMs: LEASE_MS });
    const ears = await openEars(client);
    try {
      const worker = createConsumer(client, PLACE, 'open', LEASE_MS);
      await client.hset(`${KEY}:announced`, 'open', 'it');
      await worker.beat([], { free: 3 });
      const socket = await ears.open(handChannel(PLACE, 'open'));
      const hand = async (): Promise<Hand> => {
        await queue.enqueue(1, STARTED_WITHIN);
        await ears.arrived();
        const [message] = socket.unread.splice(0);
        if (!message) throw new Error('nothing was handed over');
        return readHand(QUEUE, message);
      };
      const unheard = async (): Promise<string[]> => client.zrange(`${KEY}:unheard`, '0', '-1');

      const [first, second] = [await hand(), await hand()];
      await worker.beat([], { seen: first.number });
      expect(await unheard()).toEqual(['open']);
      await worker.beat([], { free: 3, seen: second.number });
      expect(await unheard()).toEqual([]);
      const words: readonly ((said: Said) => Promise<unknown>)[] = [
        (said) => worker.claim([], 0, {}, said),
        (said) => worker.finish([], 0, {}, said),
        () => worker.held(),
        async (said) => {
          await client.hset(`${KEY}:queue`, 'paused', 1);
          await worker.claim([], 0, {}, said);
          await client.hdel(`${KEY}:queue`, 'paused');
        },
      ];
      for (const say of words) {
        const { number } = await hand();
        await say({ seen: number });
        expect(await unheard()).toEqual([]);
        await worker.beat([], { free: 3, seen: number });
      }

      // Two looks of the sweep: then it goes back, and has not begun.
      const id = (await hand()).tasks[0]?.id ?? '';
      await client.zadd(`${KEY}:unheard`, 1, 'nobody');
      for (const ms of [handGraceOf(LEASE_MS), 100]) {
        expect(await queue.task(id)).toMatchObject({ state: 'running' });
        await queue.clock.advance(ms);
        await queue.sweepAll();
      }
      expect(await queue.task(id)).toMatchObject({ state: 'ready', claims: 1, crashes: 0 });
      expect(await unheard()).toEqual([]);
      expect(await client.zrange(`${KEY}:idle`, '0', '-1')).toEqual([]);
      await expectBalanced(client, QUEUE);
    } finally {
      ears.disconnect();
    }
  },

  'workers that offer places, and take that back': async (client) => {
    await openTicking(client);
    const worker = createConsumer(client, PLACE, 'idle', LEASE_MS);
    const isIdle = async (): Promise<boolean> => (await client.zscore(`${KEY}:idle`, 'idle')) !== null;
    const withdrawals = [
      () => worker.claim([], 0, {}, { free: 0 }),
      () => worker.finish([], 0, {}, { free: 0 }),
      () => worker.beat([], { free: 0 }),
      () => worker.held(),
      () => orderWorker(client, QUEUE, 'idle', 'quiet'),
    ];
    for (const offer of ['claim', 'finish'] as const) {
      for (const withdraw of withdrawals) {
        await client.hdel(`${KEY}:queue`, 'idle');
        await worker[offer]([], 0, {}, { free: 1 });
        expect(await isIdle()).toBe(true);
        await withdraw();
        expect(await isIdle()).toBe(false);
      }
      await worker[offer]([], 0, {}, { free: 1 });
      expect(await isIdle(), 'it shall be quiet').toBe(false);
      await orderWorker(client, QUEUE, 'idle', 'work');
    }
  },
};

async function handOver(
  client: Redis,
  ears: Ears,
  accept: (queue: Ticking) => Promise<unknown>,
): Promise<void> {
  const queue = await openTicking(client, { leaseMs: LEASE_MS });
  await queue.enqueue(1, { ...STARTED_WITHIN, delayMs: 100_000 });
  // One that Redis has forgotten, one that is not connected, and one with a place more than it needs.
  for (const name of ['forgotten', 'gone', 'open']) {
    await createConsumer(client, PLACE, name, LEASE_MS).beat([], { free: 2 });
    await queue.clock.advance(1);
  }
  await client.zrem(`${KEY}:workers`, 'forgotten');
  const socket = await ears.open(handChannel(PLACE, 'open'));
  await accept(queue);
  await ears.arrived();
  expect(socket.unread).toHaveLength(1);
  expect(await client.hget(`${KEY}:holds`, 'open')).toBe('1');
  expect(await client.zrange(`${KEY}:idle`, '0', '-1')).toEqual(['open']);
  // Nobody is idle any more, and those who accept tasks need not look.
  await socket.close();
  await client.del(`${KEY}:idle`);
  expect(await client.hget(`${KEY}:queue`, 'idle')).toBe('1');
  await accept(queue);
  expect(await client.hexists(`${KEY}:queue`, 'idle')).toBe(0);
  await expectBalanced(client, QUEUE);
}
