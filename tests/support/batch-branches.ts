// Drives the scripts of batches through their branches; declared-keys.test.ts looks at what they touch there.

import type { Redis } from 'ioredis';
import { expect } from 'vitest';
import { encodeCbor } from '../../src/protocol/cbor.ts';
import { encodeContent } from '../../src/protocol/message.ts';
import {
  type BatchPlan,
  countEnds,
  createBatches,
  type MemberQueues,
  memberId,
  memberLink,
  memberMark,
} from '../../src/store/batches.ts';
import { confirmMembers } from '../../src/store/confirm-members.ts';
import { homeOf } from '../../src/store/keys.ts';
import { createOperations, operate } from '../../src/store/operations.ts';
import { createOperator } from '../../src/store/operator.ts';
import { createOutbox, writeFollower } from '../../src/store/outbox.ts';
import { runScript } from '../../src/store/scripts.ts';
import type { Swept } from '../../src/store/sweeper.ts';
import { GROUP } from './outcome.ts';
import { KEY, openScriptedQueue, QUEUE } from './scripted-queue.ts';

const ERROR = encodeCbor({ name: 'Error', message: 'm', fingerprint: '0123456789abcdef' });
const PLACE = homeOf(QUEUE);
const AFTER = writeFollower({ queue: QUEUE, lane: 'normal', content: encodeContent('add', {}) });

/** Each empties the Redis of its client, a connection of `openStore` with `buildScriptsWithClock`. */
export const BATCH_BRANCHES: Readonly<Record<string, (client: Redis) => Promise<void>>> = {
  'batches that are opened, filled, closed, counted, looked for and forgotten': async (client) => {
    const queue = await openScriptedQueue(client, { retentionMs: 5_000 });
    const { clock, producer, take, finish, sweepAll } = queue;
    const batches = createBatches(client);
    const outbox = createOutbox(client);
    /** Each call comes while the queue believes that its next sweep is far away. */
    const later = (): Promise<number> => client.hset(`${KEY}:queue`, 'sweep_at', 1e12);
    const planOf = (more: Partial<BatchPlan> = {}): BatchPlan => ({
      id: clock.newTaskId(),
      home: QUEUE,
      ...more,
    });
    const send = async (id: string, numbers: readonly number[]): Promise<void> => {
      const tasks = numbers.map((number) => ({
        id: memberId(id, number),
        content: encodeContent('add', {}),
        lane: 'normal' as const,
        extras: { follower: memberLink(QUEUE, id, number), mark: memberMark(QUEUE, id) },
      }));
      await producer.enqueue(QUEUE, tasks);
    };
    const drain = async (): Promise<readonly string[]> => {
      await clock.advance(1);
      const entries = await outbox.take(PLACE, 100);
      await outbox.note(
        PLACE,
        entries.map(({ name }) => ({ name, done: 'all' })),
      );
      return entries.map(({ name, state }) => `${name.slice(37)} ${state}`);
    };
    const countsOf = async (id: string): Promise<readonly number[]> => {
      const {
        members = -1,
        ended = -1,
        succeeded = -1,
        dead = -1,
        pending = -1,
      } = (await batches.find(id, [QUEUE]))?.progress ?? {};
      return [members, ended, succeeded, dead, pending];
    };

    await later();
    const plan = planOf({ key: 'k' });
    expect((await batches.open(plan, 'd', { success: AFTER, complete: AFTER })).word).toBe('opened');
    expect((await batches.open(plan, 'd', {})).word).toBe('known');
    expect((await batches.open(planOf({ key: 'k' }), 'd', {})).word).toBe('replayed');
    expect((await batches.open(planOf({ key: 'k' }), 'e', {})).word).toBe('conflict');
    expect((await client.hget(`${KEY}:batch-keys`, 'k'))?.startsWith(plan.id)).toBe(true);
    const { id } = plan;
    await later();
    expect(await batches.reserve(QUEUE, id, [[QUEUE, 3]])).toEqual({ word: 'reserved', from: 0 });
    expect((await batches.reserve(QUEUE, id, [[QUEUE, 1_000_000]])).word).toBe('full');
    expect((await batches.reserve(QUEUE, clock.newTaskId(), [[QUEUE, 1]])).word).toBe('unknown');
    await send(id, [0, 1]);
    await batches.confirm(QUEUE, id, 0, [[QUEUE, 3]], [2]);
    await batches.confirm(QUEUE, id, 0, [[QUEUE, 3]], [2]);
    expect(await countsOf(id)).toEqual([2, 0, 0, 0, 0]);
    const taken = await take(2);
    await finish(taken.slice(0, 1), 'dead', { payload: ERROR, group: GROUP });
    await finish(taken.slice(1), 'succeeded', { hasHistory: true });
    await drain();
    const dead = taken[0]?.id === memberId(id, 0) ? 0 : 1;
    const end = (number: number, latest: number, state: string): Promise<number> =>
      countEnds(client, QUEUE, [{ batch: id, number, latest, state }]);
    for (let times = 0; times < 2; times += 1) {
      await end(dead, 1, 'dead');
      await end(1 - dead, 1, 'succeeded');
    }
    expect(await countsOf(id)).toEqual([2, 2, 1, 1, 0]);
    await later();
    expect(await batches.close(QUEUE, id)).toBe(true);
    expect((await batches.reserve(QUEUE, id, [[QUEUE, 1]])).word).toBe('closed');
    expect(await batches.close(QUEUE, clock.newTaskId())).toBe(false);
    expect(await drain()).toEqual(['complete dead']);
    await later();
    expect(await createOperator(client).replay(QUEUE, memberId(id, dead))).toBe('replayed');
    expect(await drain()).toEqual(['2 retried']);
    // Told late and twice.
    await end(dead, 2, 'retried');
    await end(dead, 1, 'dead');
    expect(await countsOf(id)).toEqual([2, 1, 1, 0, 0]);
    await finish(await take(1), 'dead', { payload: ERROR, group: GROUP });
    const operations = createOperations(client);
    await operations.open(
      clock.newTaskId(),
      { action: 'retry', filter: { queue: QUEUE, state: 'dead' } },
      undefined,
    );
    await later();
    for (let turns = 0; turns < 9; turns += 1) await operate(client, PLACE, 'me', 9);
    await finish(await take(1), 'succeeded', { hasHistory: true });
    await end(dead, 5, 'succeeded');
    await end(dead, 4, 'retried');
    expect(await countsOf(id)).toEqual([2, 2, 2, 0, 0]);
    expect(await drain()).toContain('success succeeded');

    await later();
    const whole = planOf({ key: 'whole' });
    const members = [
      [QUEUE, 2],
      ['other', 1],
    ] as const;
    const name = async (): Promise<Swept['unconfirmedMembers']> =>
      (await sweepAll()).flatMap(({ unconfirmedMembers }) => unconfirmedMembers);
    const again = (ofQueues: MemberQueues = members): ReturnType<typeof batches.open> =>
      batches.open(planOf({ key: 'whole' }), 'd', {}, ofQueues);
    await batches.open(whole, 'd', { complete: AFTER }, members);
    await send(whole.id, [0]);
    await clock.advance(59_000);
    const replayed = { word: 'replayed', id: whole.id, missing: [] };
    expect(await again([[QUEUE, 3]])).toEqual(replayed);
    expect(await again()).toEqual({ word: 'resumed', id: whole.id, missing: [0] });
    await clock.advance(59_000);
    expect(await name()).toEqual([]);
    await clock.advance(2_000);
    const named = await name();
    expect(named).toMatchObject([{ batch: whole.id, from: 0 }]);
    // They are looked for by now: what is sent would be refused.
    expect(await again()).toEqual(replayed);
    await confirmMembers(client, QUEUE, named);
    // Those that were never accepted count as cancelled.
    expect(await countsOf(whole.id)).toEqual([3, 2, 0, 0, 0]);
    // Too late.
    await send(whole.id, [1]);
    expect(await take(9)).toHaveLength(1);
    // More members than one sweep forgets, of which one was there, and ran again.
    const large = planOf();
    await batches.open(large, 'd', {}, [[QUEUE, 1_200]]);
    await countEnds(client, QUEUE, [{ batch: large.id, number: 1_100, latest: 2, state: 'succeeded' }]);
    const numbers = Array.from({ length: 1_200 }, (_, number) => number);
    await batches.confirm(QUEUE, large.id, 0, [[QUEUE, 1_200]], numbers);
    expect(await countsOf(large.id)).toEqual([1, 1, 1, 0, 0]);
    const empty = planOf({ key: 'empty' });
    await later();
    await batches.open(empty, 'd', { success: AFTER, complete: AFTER }, []);
    await countEnds(client, QUEUE, [{ batch: whole.id, number: 0, latest: 1, state: 'cancelled' }]);
    for (let at = 0; at < 6; at += 1) await batches.open(planOf(), 'd', {}, []);
    // The first is forgotten.
    expect((await batches.list([QUEUE], { limit: 100 })).records).toHaveLength(9);
    await clock.advance(6_000);
    await sweepAll();
    await drain();
    for (let rounds = 0; rounds < 4; rounds += 1) {
      await clock.advance(100_000);
      await sweepAll();
    }
    const left = await client.keys(`${KEY}:batch*`);
    expect(left).toEqual([]);
  },

  'a member that runs again although its batch is not told yet': async (client) => {
    const { clock } = await openScriptedQueue(client);
    const batches = createBatches(client);
    const id = clock.newTaskId();
    await batches.open({ id, home: QUEUE }, 'd', { success: AFTER }, [[QUEUE, 1]]);
    const end = (latest: number, state: string): Promise<number> =>
      countEnds(client, QUEUE, [{ batch: id, number: 0, latest, state }]);
    await end(2, 'retried');
    await end(1, 'dead');
    // Its number is confirmed by its end.
    await batches.confirm(QUEUE, id, 0, [[QUEUE, 1]], [0]);
    expect((await batches.find(id, [QUEUE]))?.progress).toMatchObject({ members: 1, ended: 0, pending: 0 });
    expect(await end(3, 'succeeded')).toBe(1);
  },

  'each script of batches, when the clock was set back': async (client) => {
    const { clock, enqueue } = await openScriptedQueue(client);
    await enqueue(1);
    const calls = [
      ['batch-open', ['reserve', 'none', 1, 1]],
      ['batch', ['close', 'none']],
      ['void', ['mark', 'none']],
    ] as const;
    for (const [name, args] of calls) {
      await clock.advance(-2_000);
      await runScript(client, name, PLACE, args);
    }
  },
};
