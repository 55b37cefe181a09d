// Drives the scripts of tasks that wait without a slot through their branches; declared-keys.test.ts looks at what they touch there.

import type { Redis } from 'ioredis';
import { expect } from 'vitest';
import { encodeCbor } from '../../src/protocol/cbor.ts';
import { disownChild, markOfChild, readChildren, writeChildDigest } from '../../src/store/children.ts';
import { createInspector } from '../../src/store/inspector.ts';
import { homeOf } from '../../src/store/keys.ts';
import { createOperations, operate } from '../../src/store/operations.ts';
import { createOperator } from '../../src/store/operator.ts';
import { createOutbox, writeLink } from '../../src/store/outbox.ts';
import { childSource } from '../../src/protocol/source.ts';
import { completeSources, type WaitRequest } from '../../src/store/waits.ts';
import { expectBalanced } from './moves.ts';
import { GROUP } from './outcome.ts';
import { KEY, openScriptedQueue, QUEUE } from './scripted-queue.ts';

const ERROR = encodeCbor({ name: 'Error', message: 'm', fingerprint: '0123456789abcdef' });

/** Each empties the Redis of its client, a connection of `openStore` with `buildScriptsWithClock`. */
export const WAITS_BRANCHES: Readonly<Record<string, (client: Redis) => Promise<void>>> = {
  'the first token of a queue': async (client) => {
    const { enqueue, take, source } = await openScriptedQueue(client);
    await enqueue(1);
    const [task] = await take(1);
    if (task) expect(await source(task, '.a')).toBe('open');
    expect(await client.hget(`${KEY}:queue`, 'needed')).toBe('1');
  },

  'a parent and its children': async (client) => {
    const { clock, enqueue, take, finish, source } = await openScriptedQueue(client);
    const place = homeOf(QUEUE);
    await enqueue(1);
    const [task] = await take(1);
    if (!task) throw new Error('there is nothing to take');
    const follower = writeLink({ kind: 'children', queue: QUEUE, id: task.id });
    const children = [clock.newTaskId(), clock.newTaskId()];
    for (const id of children) {
      expect(await source(task, childSource(id), writeChildDigest('d', QUEUE), follower)).toBe('open');
    }
    expect(await client.hget(`${KEY}:followers`, task.id)).toBe(follower);
    expect(await readChildren(client, place, task.id)).toMatchObject(
      children.map((id) => ({ id, queue: QUEUE, word: 'open' })),
    );
    const sources = children.map(childSource);
    await finish([task], 'suspended', { payload: Buffer.from(JSON.stringify({ sources, timeoutMs: 5 })) });
    expect((await createInspector(client).explain(QUEUE, task.id)).unmet).toContain(' children 2');
    const mark = markOfChild(place, task.id);
    for (let times = 0; times < 2; times += 1) {
      expect(await disownChild(client, place, children[0] ?? '', mark)).toMatchObject({ word: 'unknown' });
    }
    expect(await createOutbox(client).settleMarks(place, [`${children[0]} ${mark}`])).toBeUndefined();
    expect(await client.zcard(`${KEY}:marks`)).toBe(1);
  },

  'a task that waits, and whose content is gone': async (client) => {
    const { enqueue, take, finish, source, sweepAll } = await openScriptedQueue(client);
    await enqueue(1);
    const [task] = await take(1);
    if (!task) throw new Error('there is nothing to take');
    expect(await source(task, '.a')).toBe('open');
    await finish([task], 'suspended', { payload: Buffer.from(JSON.stringify({ sources: ['.a'] })) });
    await client.hdel(`${KEY}:contents`, task.id);
    const done = { id: task.id, source: '.a', word: 'succeeded', digest: 'd' } as const;
    expect(await completeSources(client, homeOf(QUEUE), [done])).toEqual(['noted']);
    await sweepAll();
    expect(await client.hget(`${KEY}:headers`, task.id)).toMatch(/^cancelled /);
  },

  'tasks that wait without a slot, and what comes of it': async (client) => {
    const { clock, enqueue, take, finish, source, sweepAll } = await openScriptedQueue(client, {
      retentionMs: 1_000_000,
    });
    const place = homeOf(QUEUE);
    const operator = createOperator(client);
    const operations = createOperations(client);
    const begin = async (sources: readonly string[]): Promise<{ id: string; claim: number }> => {
      await enqueue(1, { ttlMs: 900_000 });
      const [task] = await take(1);
      if (!task) throw new Error('there is nothing to take');
      for (const one of sources) expect(await source(task, one)).toBe('open');
      return task;
    };
    const suspend = (task: { id: string; claim: number }, wait: WaitRequest): Promise<void> =>
      finish([task], 'suspended', { payload: Buffer.from(JSON.stringify(wait)) });
    const complete = async (id: string, name: string, digest = 'd'): Promise<string | undefined> =>
      (await completeSources(client, place, [{ id, source: name, word: 'succeeded', digest }]))[0];
    await sweepAll();

    const timed = await begin([]);
    await suspend(timed, { sources: [], untilMs: clock.now() + 5 });
    await clock.advance(5);
    await sweepAll();
    await finish(await take(1), 'succeeded', { hasHistory: true });

    const first = await begin(['.a', '.b']);
    expect(await source(first, '.a')).toBe('open');
    expect(await source(first, '.a', 'other')).toBe('conflict');
    expect(await complete(first.id, '.none')).toBe('unknown');
    await suspend(first, { sources: ['.a', '.b'], timeoutMs: 5 });
    expect((await createInspector(client).explain(QUEUE, first.id)).unmet).toHaveLength(3);
    expect([await complete(first.id, '.a'), await complete(first.id, '.b')]).toEqual(['waiting', 'ready']);
    expect([await complete(first.id, '.a'), await complete(first.id, '.a', 'e')]).toEqual([
      'known',
      'conflict',
    ]);
    const [again] = await take(1);
    if (again) expect(await source(again, '.a')).toBe('ended');
    if (again) await suspend(again, { sources: ['.a'] });
    await finish(await take(1), 'dead', { payload: ERROR, group: GROUP });
    expect(await complete(first.id, '.c')).toBe('unknown');
    await operations.open(
      clock.newTaskId(),
      { action: 'move', filter: { queue: QUEUE, state: 'dead' }, to: 'other' },
      undefined,
    );
    for (let turns = 0; turns < 9; turns += 1) await operate(client, place, 'me', 9);
    expect(await operator.replay(QUEUE, first.id, { isAnew: true })).toBe('replayed');
    const [anew] = await take(1);
    if (anew) await finish([anew]);

    const late = await begin(['.a']);
    await suspend(late, { sources: ['.a'], timeoutMs: 5 });
    await clock.advance(5);
    await sweepAll();
    expect(await complete(late.id, '.a')).toBe('late');
    await finish(await take(1));

    for (const act of ['cancel', 'remove'] as const) {
      const task = await begin(['.a', '.b']);
      await suspend(task, { sources: ['.a'], timeoutMs: 5 });
      await operator[act](QUEUE, task.id);
      expect(await complete(task.id, '.b')).toBe(act === 'cancel' ? 'ended' : 'unknown');
    }
    const cancelled = await begin(['.a']);
    await operator.cancel(QUEUE, cancelled.id);
    await suspend(cancelled, { sources: ['.a'] });
    const deleted = await begin(['.a']);
    await suspend(deleted, { sources: ['.a'] });
    for (const action of ['cancel', 'delete'] as const) {
      await operations.open(clock.newTaskId(), { action, filter: { queue: QUEUE } }, undefined);
      for (let turns = 0; turns < 9; turns += 1) await operate(client, place, 'me', 9);
      const more = await begin(['.a']);
      await suspend(more, { sources: ['.a'] });
    }
    await operations.open(clock.newTaskId(), { action: 'delete', filter: { queue: QUEUE } }, undefined);
    for (let turns = 0; turns < 9; turns += 1) await operate(client, place, 'me', 9);
    await expectBalanced(client, QUEUE);
    const stale = await begin(['.a']);
    await finish([stale]);
    expect(await source(stale, '.b')).toBe('stale');
    const lost = await begin(['.a']);
    await operator.cancel(QUEUE, lost.id);
    for (let rounds = 0; rounds < 6; rounds += 1) {
      await clock.advance(2_000_000);
      await sweepAll();
    }
    const kept = ['contents', 'sources', 'source-values', 'waits', 'wait-ends'].map(
      (name) => `${KEY}:${name}`,
    );
    expect(await client.exists(...kept)).toBe(0);
    await sweepAll();
    expect(await client.hexists(`${KEY}:queue`, 'needed')).toBe(0);
  },
};
