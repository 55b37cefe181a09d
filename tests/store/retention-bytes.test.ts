// What RETENTION_BYTES counts is what Redis uses.

import { beforeAll, describe, expect, test } from 'vitest';
import { encodeCbor } from '../../src/protocol/cbor.ts';
import { buildScriptsWithClock } from '../support/model-clock.ts';
import type { TaskExtras } from '../../src/store/new-task.ts';
import { GROUP } from '../support/outcome.ts';
import { KEY, openScriptedQueue, type ScriptedQueue } from '../support/scripted-queue.ts';
import { startStore } from '../support/store.ts';

const TASKS = 3_000;
const A_CALL = 250;

const { client } = await startStore(buildScriptsWithClock);

beforeAll(async () => {
  // Scripts and buffers that Redis makes once are no part of any task.
  const queue = await openScriptedQueue(client);
  await queue.enqueue(A_CALL);
  await queue.finish(await queue.take(A_CALL));
  await queue.sweepAll();
});

/**
 * Bytes that the keys use, but for the events, which have a bound of their own. `used_memory` is no measure of it everywhere: Valkey
 * frees what was deleted later, and Redis 8 counts the garbage of scripts.
 */
async function usedBytes(): Promise<number> {
  await client.del(`${KEY}:events`);
  const keys = await client.keys('*');
  const sizes = await Promise.all(keys.map((key) => client.memory('USAGE', key, 'SAMPLES', 0)));
  return sizes.reduce<number>((sum, size) => sum + Number(size), 0);
}

const countedBytes = async (): Promise<number> => Number(await client.hget(`${KEY}:count`, 'bytes'));

type Taken = { id: string; claim: number };

/** How each kind of task ends: everything that may stay in Redis of one. */
const ENDS: Record<string, (queue: ScriptedQueue, tasks: readonly Taken[]) => Promise<void>> = {
  'small results': (queue, tasks) => queue.finish(tasks, 'succeeded', { payload: encodeCbor(3) }),
  'no results': (queue, tasks) => queue.finish(tasks, 'succeeded', { payload: Buffer.alloc(0) }),
  'large results': (queue, tasks) =>
    queue.finish(tasks, 'succeeded', { payload: encodeCbor('x'.repeat(2_000)) }),
  'a time to live of their own': (queue, tasks) => queue.finish(tasks, 'succeeded', { resultTtlMs: 1e9 }),
  errors: (queue, tasks) =>
    queue.finish(tasks, 'dead', { payload: encodeCbor({ name: 'Error', message: 'x'.repeat(500) }) }),
  'errors of a group': (queue, tasks) =>
    queue.finish(tasks, 'dead', {
      payload: encodeCbor({ name: 'Error', message: 'x'.repeat(500) }),
      group: GROUP,
    }),
  'tags and fields': (queue, tasks) => queue.finish(tasks, 'succeeded', { payload: encodeCbor(3) }),
  'a tag and a time to live of their own': (queue, tasks) =>
    queue.finish(tasks, 'succeeded', { resultTtlMs: 1e9 }),
  'a log and progress': async (queue, tasks) => {
    const lines = Array.from({ length: 20 }, (_, at) => `line ${at} of the log of this task`);
    await queue.report(tasks, { percent: 50, note: 'half of it' }, lines);
    await queue.finish(tasks, 'succeeded', { hasHistory: true });
  },
};

/** What some kinds come with. */
const EXTRAS: Record<string, TaskExtras> = {
  'tags and fields': { terms: 'tag=nightly tag=billing field.customer=4711' },
  'a tag and a time to live of their own': { terms: 'tag=nightly' },
};

describe('case 17: what is counted is near what Redis uses', () => {
  test.each(Object.entries(ENDS))('tasks with %s', async (kind, end) => {
    const queue = await openScriptedQueue(client);
    const before = await usedBytes();
    for (let sent = 0; sent < TASKS; sent += A_CALL) {
      await queue.enqueue(A_CALL, EXTRAS[kind]);
      await end(queue, await queue.take(A_CALL));
    }
    const used = (await usedBytes()) - before;

    expect((await countedBytes()) / used).toBeGreaterThan(0.8);
    expect((await countedBytes()) / used).toBeLessThan(1.2);
  });

  test('so the limit bounds what Redis uses, and what goes gives back all it was counted as', async () => {
    const limit = 1_000_000;
    const queue = await openScriptedQueue(client, { retentionBytes: limit, slice: 100 });
    const before = await usedBytes();
    await queue.enqueue(TASKS);
    const ends = Object.values(ENDS);
    for (const end of ends) await end(queue, await queue.take(Math.floor(TASKS / ends.length)));
    expect(await countedBytes()).toBeGreaterThan(2 * limit);

    await queue.sweepAll();

    expect(await countedBytes()).toBeLessThanOrEqual(limit);
    expect((await usedBytes()) - before).toBeLessThan(1.5 * limit);

    await queue.clock.advance(2e12);
    await queue.sweepAll();
    expect(await countedBytes()).toBe(0);
  });
});
