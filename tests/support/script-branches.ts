// Drives the scripts through branches that only odd queues take; declared-keys.test.ts looks at what they touch there.

import type { Redis } from 'ioredis';
import { expect } from 'vitest';
import { encodeCbor } from '../../src/protocol/cbor.ts';
import { encodeContent } from '../../src/protocol/message.ts';
import { newTaskId } from '../../src/protocol/task-id.ts';
import { createErrorGroups } from '../../src/store/error-groups.ts';
import { createEventLog } from '../../src/store/event-log.ts';
import { createInspector } from '../../src/store/inspector.ts';
import { homeOf, PROBE_PLACE } from '../../src/store/keys.ts';
import { listTasks } from '../../src/store/lister.ts';
import {
  ACTIONS,
  createOperations,
  operate,
  STATES_OF_ACTION,
  type Turn,
} from '../../src/store/operations.ts';
import { createOperator } from '../../src/store/operator.ts';
import { createOutbox, markOf, writeFollower } from '../../src/store/outbox.ts';
import { createSchedules } from '../../src/store/schedules.ts';
import type { ScriptArgument } from '../../src/store/script-call.ts';
import { runScript, type ScriptName } from '../../src/store/scripts.ts';
import { taskIdsBy } from '../../src/store/terms.ts';
import { acceptMoving, readMoving } from '../../src/store/transfer.ts';
import { expectBalanced } from './moves.ts';
import { openOperatedQueue } from './operated-queue.ts';
import { GROUP } from './outcome.ts';
import { readyKey } from './queue-key.ts';
import { KEY, openScriptedQueue, QUEUE } from './scripted-queue.ts';
import { openTicking, schedule } from './ticking.ts';

const ERROR = encodeCbor({ name: 'Error', message: 'm' });
const FOLLOWER = writeFollower({ queue: QUEUE, lane: 'normal', content: encodeContent('add', {}) });

/** Each empties the Redis of its client, a connection of `openStore` with `buildScriptsWithClock`. */
export const BRANCHES: Readonly<Record<string, (client: Redis) => Promise<void>>> = {
  'ends that something follows': async (client) => {
    const operator = createOperator(client);
    const { clock, enqueue, take, finish, sweepAll } = await openScriptedQueue(client, {
      periodMs: 100_000,
      retentionMs: 1,
    });
    const place = homeOf(QUEUE);
    const outbox = createOutbox(client);
    const one = { queue: QUEUE, lane: 'normal', content: encodeContent('add', {}) } as const;
    const [taken = ''] = await enqueue(1, { follower: writeFollower(one), ttlMs: 10 });
    await outbox.follow(QUEUE, taken, { ...one, lane: 'high' });
    await finish(await take(1), 'dead', { payload: ERROR });
    await enqueue(1, { mark: 'a mark' });
    // Each of these is the first for long after which something is to be done.
    const acts = [
      (id: string) => operator.cancel(QUEUE, id),
      (id: string) => operator.remove(QUEUE, id),
      () => outbox.follow(QUEUE, newTaskId(), one),
      () => clock.advance(10).then(() => take(9)),
      () => clock.advance(10).then(() => runScript(client, 'sweep', place, [1, 10, 1, 1, 0, 1, 1, 0])),
    ];
    for (const act of acts) {
      const [id = ''] = await enqueue(1, { follower: writeFollower(one), ttlMs: 10 });
      await client.hset(`${KEY}:queue`, 'sweep_at', 1e12);
      await act(id);
    }
    await outbox.follow(QUEUE, taken, one);
    await outbox.follow(QUEUE, taken, { ...one, lane: 'low' });
    // Their rows stay meanwhile.
    await clock.advance(1_000);
    await sweepAll();
    await client.zadd(`${KEY}:outbox-due`, 1, 'spoilt');
    const entries = await outbox.take(place, 100);
    expect(entries.length).toBe(acts.length + 3);
    await outbox.note(place, [{ name: entries[0]?.name ?? '', done: 1 }]);
    const [mark = ''] = entries.map(markOf);
    for (const word of ['there', 'gone']) await runScript(client, 'marks', place, [mark, word]);
    await outbox.note(
      place,
      entries.map(({ name }) => ({ name, done: 'all' })),
    );
    await expectBalanced(client, QUEUE);
  },

  'operations that are opened, worked on, watched, cancelled and forgotten': async (client) => {
    const { clock, operations, enqueue, take, finish, report, checkpoint, sweep, open, kill } =
      await openOperatedQueue(client);
    const fails = encodeCbor({ name: 'E', message: 'm', fingerprint: '0123456789abcdef' });
    const all = { ttlMs: 50_000, resultTtlMs: 60_000, follower: FOLLOWER, terms: 'tag=a' };
    /** A task in each state, with all that a task may have. */
    const fill = async (): Promise<void> => {
      await enqueue(5, all, 'high');
      const taken = await take(4);
      await report(taken, { percent: 1, note: 'n' }, ['a line']);
      await checkpoint(taken, Buffer.from([1]));
      await checkpoint(taken.slice(0, 1), Buffer.alloc(0));
      await finish(taken.slice(0, 2), 'dead', { payload: fails, group: GROUP });
      await finish(taken.slice(2, 3));
      await enqueue(1, { ...all, delayMs: 100 });
    };
    const work = async (): Promise<void> => {
      for (let turns = 0; turns < 20; turns += 1) await operate(client, homeOf(QUEUE), 'me', 2);
    };
    for (const action of ACTIONS) {
      for (const state of STATES_OF_ACTION[action]) {
        await fill();
        // The first of a queue for long after which something is to be done.
        await client.hset(`${KEY}:queue`, 'sweep_at', 1e12);
        const filter = { state, type: 'add', acceptedAfter: 0 };
        await operations.match({ action, filter: { queue: QUEUE, ...filter } });
        await open({ action, filter, to: 'other' });
        await work();
      }
      await fill();
      await open({ action, to: 'other' });
      await work();
    }
    // Rows that nothing needs go at once, with their logs.
    await enqueue(1, {}, 'high');
    const alone = await take(1);
    await report(alone, { percent: 1, note: 'n' }, ['a line']);
    await finish(alone, 'dead', { payload: fails });
    await open({ action: 'delete' });
    await work();
    await fill();
    const filter = { fingerprint: GROUP.slice(0, 16), tag: 'a' };
    for (const action of ['retry', 'delete'] as const) {
      await operations.match({ action, filter: { queue: QUEUE, ...filter } });
    }
    await open({ action: 'retry', filter, first: 1, stopAfterErrors: 1 });
    await open({ action: 'cancel' });
    await work();
    await clock.advance(1);
    await sweep();
    await finish(await take(1), 'dead', { payload: fails, group: GROUP });
    await work();
    // More than one look.
    await kill(210);
    await operations.match({ action: 'retry', filter: { queue: QUEUE } });
    // A row that is gone, one without a header, and one that a sweep has cleared away meanwhile.
    await client.zadd(`${KEY}:dead`, 1, newTaskId());
    await operations.match({ action: 'retry', filter: { queue: QUEUE } });
    await open({ action: 'retry' });
    await work();
    for (const one of await operations.list([QUEUE])) await operations.cancel(QUEUE, one.id);
    for (let count = 0; count < 101; count += 1)
      await operations.cancel(QUEUE, await open({ action: 'retry' }));
    await open({ action: 'cancel' });
    await client.hset(`${KEY}:operations`, await open({ action: 'retry' }), 'spoilt');
    for (let turn: Turn = { word: 'taken' }; turn.word !== 'none'; )
      turn = await operate(client, homeOf(QUEUE), 'me', 50);
    await client.zrem(`${KEY}:dead`, ...(await client.zrange(`${KEY}:dead`, '0', '0')));
    await expectBalanced(client, QUEUE);
  },

  'tasks that go to another queue, and come back': async (client) => {
    const operations = createOperations(client);
    const outbox = createOutbox(client);
    const { clock, enqueue, take, finish, report } = await openScriptedQueue(client);
    const all = { ttlMs: 50_000, resultTtlMs: 60_000, terms: 'tag=a' };
    await enqueue(3, { ...all, follower: FOLLOWER }, 'low');
    await enqueue(2, { ...all, delayMs: 100 });
    await enqueue(2, all, 'high');
    const taken = await take(2);
    await report(taken, { percent: 1, note: 'n' }, ['a line']);
    await finish(taken, 'dead', { payload: ERROR, group: GROUP });
    // A way back while the way there is not over, which waits; then the way back.
    for (const [from, to] of [
      [QUEUE, 'other'],
      ['other', QUEUE],
    ] as const) {
      await client.hset(`pf:{${to}}:queue`, 'sweep_at', 1e12);
      await operations.open(newTaskId(), { action: 'move', filter: { queue: from }, to }, 'key');
      for (let turns = 0; turns < 9; turns += 1) await operate(client, homeOf(from), 'me', 3);
      const entries = await outbox.take(homeOf(from), 100);
      const { tasks } = await readMoving(
        client,
        homeOf(from),
        entries.map(({ name }) => name),
      );
      expect(await acceptMoving(client, homeOf(from), tasks)).toHaveLength(from === QUEUE ? 7 : 0);
    }
    for (const from of [QUEUE, 'other']) {
      await clock.advance(3_000);
      const [first, ...others] = await outbox.take(homeOf(from), 100);
      // The row of one goes while others are still on their way.
      await outbox.transfer(first ? [first] : []);
      await outbox.transfer(others);
    }
    expect(await client.hget(`${KEY}:count`, 'accepted')).toBe('7');
    for (const name of [QUEUE, 'other']) await expectBalanced(client, name);
  },

  'schedules that are written, paused, moved and deleted': async (client) => {
    const { clock, plan, tickAll } = await openTicking(client, { periodMs: 200_000 });
    const schedules = createSchedules(client);
    await schedules.put(QUEUE, 'one', schedule());
    await schedules.put(QUEUE, 'one', schedule({ paused: true }));
    await client.hset(`${KEY}:parked`, 'one', 1_000);
    expect((await schedules.put(QUEUE, 'one', schedule({ misfire: 'skip' }))).skipped).toBeDefined();
    await schedules.put('other', 'one', schedule());
    await schedules.delete('one');

    for (let at = 0; at < 100; at += 1) {
      await plan(`s${at}`, schedule({ ttlMs: 90_000, resultTtlMs: 9 }), clock.now() + 1_000);
    }
    await plan('orphan', undefined, clock.now());
    await clock.advance(1_000);
    await tickAll();
    await plan('late', schedule({ misfire: 'skip' }), clock.now());
    await clock.advance(7_200_000);
    const { reports } = await tickAll();
    expect(reports.map(({ word }) => word)).toContain('skipped');

    // What no schedule may say yet.
    await plan('keyed', undefined, clock.now());
    const key = { key: 'k', windowMs: 9, digest: 'd' };
    const extras = JSON.stringify({ delayMs: 5, key, mark: 'm', terms: 'tag=t' });
    const made = [newTaskId(), encodeContent('add', {}), 'low', extras];
    const keyed = ['keyed', clock.now(), '', '', '', 'task', ...made];
    await runScript(client, 'tick', homeOf(QUEUE), keyed);

    // Sooner than the next sweep.
    const soon = ['soon', '', Buffer.from('x'), 'active', 'new', clock.now() + 1, '', '', '', ''];
    await runScript(client, 'schedule', homeOf(QUEUE), soon);
  },

  'tasks that are found by terms, and more kinds of failures than are counted': async (client) => {
    const { clock, enqueue, take, finish, sweepAll } = await openScriptedQueue(client, {
      retentionMs: 5_000,
      slice: 2,
    });
    const terms = { terms: 'tag=a tag=b' };
    const [dead = ''] = await enqueue(1, terms);
    const dying = { payload: ERROR, group: GROUP };
    await finish(await take(1), 'dead', dying);
    const query = { terms: ['tag=a', 'tag=b'], behind: undefined, count: 10 };
    expect((await taskIdsBy(client, homeOf(QUEUE), query)).ids).toEqual([dead]);
    await createErrorGroups(client).find([QUEUE], 'f'.repeat(16));
    await createOperator(client).replay(QUEUE, dead);
    await client.zadd(
      `${KEY}:error-groups-seen`,
      ...Array.from({ length: 1_000 }, (_, at) => [1, `g${at}`]).flat(),
    );
    await client.del(`${KEY}:error-groups`);
    await finish(await take(1), 'dead', dying);
    for (const act of [() => take(1), sweepAll]) {
      await enqueue(1, { ...terms, ttlMs: 10 });
      await clock.advance(20);
      await act();
    }
    await expectBalanced(client, QUEUE);
    for (let rest = 0; rest < 2; rest += 1) {
      await clock.advance(10_000);
      await sweepAll();
    }
    expect(await client.hlen(`${KEY}:contents`)).toBe(0);
  },

  'readers: pages, walks, one task, and what explains it': async (client) => {
    const { clock, enqueue, take, finish, sweep } = await openScriptedQueue(client);
    const inspector = createInspector(client);
    await enqueue(3, { delayMs: 500 });
    await enqueue(3);
    await finish(await take(3), 'dead', { payload: ERROR });
    const query = { queue: QUEUE, terms: [], accept: () => true, limit: 1 };
    for (const state of [undefined, 'dead', 'scheduled', 'succeeded'] as const) {
      let cursor: string | undefined;
      do {
        const page = await listTasks(client, { ...query, state, cursor });
        cursor = page.next;
      } while (cursor !== undefined);
    }
    const [ready = ''] = await enqueue(1);
    await createEventLog(client).task(QUEUE, ready);
    await inspector.task(ready, new Set([QUEUE]));
    await client.rpop(readyKey(QUEUE, 'normal'));
    await sweep();
    expect((await inspector.explain(QUEUE, ready)).missedSince).toBe(clock.now());
    await enqueue(1);
    const [running] = await take(1);
    expect((await inspector.explain(QUEUE, running?.id ?? '')).leaseUntil).toBeDefined();
    for (const what of ['write', 'all']) await runScript(client, 'probe', PROBE_PLACE, [what]);
  },

  'each script that reads the clock, when that was set back': async (client) => {
    const { clock, enqueue, take, worker } = await openScriptedQueue(client);
    const [id = ''] = await enqueue(1);
    const one = [1, newTaskId(), newTaskId(), encodeContent('add', {})];
    const calls: readonly (readonly [ScriptName, readonly ScriptArgument[]])[] = [
      ['enqueue', one],
      ['hand', one],
      ...(['wait', 'settle', 'complete', 'tick', 'marks', 'arrive', 'moved'] as const).map(
        (name) => [name, []] as const,
      ),
      ['source', [id, 'none', '.a', '-', 1]],
      ['claim', ['w', 1_000, '', '', 0, 0, 0, 0]],
      ['finish', ['w', 1_000, '', '', 0, 0, 0, 0, 0, 0, 0]],
      ['beat', ['w', 1_000, '', '', 0, 'quiet', '{}', 1, 'run-0', 1]],
      ['beat', ['w', 1_000, '', '', 0, 'quiet', '{}', 0]],
      ['order', ['w', 'quiet']],
      ['held', ['w', id]],
      ['leave', ['w']],
      ['report', [id, 'none', '', 0]],
      ['checkpoint', [id, 'none', '']],
      ['sweep', [1_000, 10, 1_000, 1e12, 0, 1_000, 1, 0]],
      ['schedule', ['s', 'none']],
      ['cancel', ['none']],
      ['retry', ['none']],
      ['remove', ['none']],
      ['explain', [id, 10]],
      ['pause', ['open']],
      ['ignore', ['none', 'heed', '', '']],
      ['follow', ['none', 'f']],
      ['relay', [1, 1]],
      ['operation', ['cancel', 'none']],
      ['operate', ['me', 1]],
    ];
    for (const [name, args] of calls) {
      await clock.advance(-2_000);
      await runScript(client, name, homeOf(QUEUE), args);
    }
    await take(1);
    expect((await worker.held()).tasks).toHaveLength(1);
  },
};
