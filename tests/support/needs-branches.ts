// Drives the scripts of tasks that wait for others through their branches; declared-keys.test.ts looks at what they touch there.

import type { Redis } from 'ioredis';
import { expect } from 'vitest';
import { encodeCbor } from '../../src/protocol/cbor.ts';
import { encodeContent } from '../../src/protocol/message.ts';
import { createInspector } from '../../src/store/inspector.ts';
import { homeOf } from '../../src/store/keys.ts';
import {
  acceptWaiting,
  type NeedPolicy,
  needOf,
  type Settlement,
  settleNeeds,
} from '../../src/store/needs.ts';
import type { TaskExtras } from '../../src/store/new-task.ts';
import { createOperations, operate } from '../../src/store/operations.ts';
import { createOperator } from '../../src/store/operator.ts';
import { writeFollower } from '../../src/store/outbox.ts';
import { expectBalanced } from './moves.ts';
import { GROUP } from './outcome.ts';
import { KEY, openScriptedQueue, QUEUE } from './scripted-queue.ts';

const CONTENT = encodeContent('add', { one: 1, two: 2 });
const FAILED = encodeCbor({ name: 'NeedFailed', message: 'm', fingerprint: '0123456789abcdef' });
const FOLLOWER = writeFollower({ queue: QUEUE, lane: 'normal', content: CONTENT });

/** Each empties the Redis of its client, a connection of `openStore` with `buildScriptsWithClock`. */
export const NEEDS_BRANCHES: Readonly<Record<string, (client: Redis) => Promise<void>>> = {
  'tasks that wait for others, and end in every way': async (client) => {
    const { clock, take, finish, report, sweepAll } = await openScriptedQueue(client, { retentionMs: 10 });
    const place = homeOf(QUEUE);
    const operator = createOperator(client);
    const source = clock.newTaskId();
    const need = needOf(source, 1);
    const wait = async (onNeedFailed: NeedPolicy, extras: TaskExtras = {}, names = 1): Promise<string> => {
      const needs = Array.from({ length: names }, (_, at) => ({
        need: needOf(source, at + 1),
        name: `n${at}`,
      }));
      const task = {
        id: clock.newTaskId(),
        content: CONTENT,
        lane: 'normal',
        extras,
        needs,
        onNeedFailed,
      } as const;
      expect(await acceptWaiting(client, QUEUE, [task, task])).toEqual(['waiting', 'known']);
      return task.id;
    };
    const all = { resultTtlMs: 5, terms: 'tag=a', follower: FOLLOWER };
    const met = { need, outcome: 'succeeded', value: encodeCbor(1) } as const;
    const failed = { need, outcome: 'dead', value: FAILED, failure: FAILED, group: GROUP } as const;
    await sweepAll();
    // The queue is told at each that it has such tasks, that something follows, and that its sweep is due sooner.
    const answers: string[] = [];
    const settle = async (...told: readonly Settlement[]): Promise<void> =>
      void answers.push(...(await settleNeeds(client, place, told)).answers);
    await settle(
      { id: await wait('fail', all), ...met },
      { id: await wait('fail', { delayMs: 5, ttlMs: 9 }), ...met },
    );
    for (const policy of ['fail', 'cancel', 'run'] as const) {
      for (const extras of [all, {}]) await settle({ id: await wait(policy, extras), ...failed });
    }
    const twice = await wait('run', {}, 2);
    await settle(
      { id: twice, ...met },
      { id: twice, ...met },
      { id: twice, ...met, need: needOf(source, 3) },
    );
    expect((await createInspector(client).explain(QUEUE, twice)).unmet).toEqual(['n1']);
    const spoilt = await wait('run', {}, 2);
    await client.hset(`${KEY}:unmet`, spoilt, 'x');
    await settle({ id: spoilt, ...met }, { id: spoilt, ...met, need: needOf(source, 2) });
    for (const act of ['cancel', 'remove'] as const) {
      const id = await wait('run');
      await operator[act](QUEUE, id);
      await settle({ id, ...met });
    }
    await settle({ id: twice, need: needOf(source, 2), outcome: 'withdrawn' });
    expect(answers.join(' ')).toBe(
      'ready scheduled dead dead cancelled cancelled ready ready waiting known stale waiting ready noted stale cancelled',
    );
    // Too late to be started, with more kinds of failures than are counted; and what operations do to such tasks.
    const taken: { id: string; claim: number }[] = [];
    for (const lateBy of [20, 1]) {
      await settle({ id: await wait('run', { ttlMs: 10 }), ...met });
      await clock.advance(lateBy);
      taken.push(...(await take(lateBy === 1 ? 0 : 9)));
    }
    await client.zadd(
      `${KEY}:error-groups-seen`,
      ...Array.from({ length: 1_000 }, (_, at) => [1, `g${at}`]).flat(),
    );
    await client.del(`${KEY}:error-groups`);
    await settle({ id: await wait('fail'), ...failed });
    for (const action of ['move', 'delete'] as const) {
      const filter = { queue: QUEUE, state: 'dead' } as const;
      await createOperations(client).open(clock.newTaskId(), { action, filter, to: 'other' }, undefined);
      for (let turns = 0; turns < 9; turns += 1) await operate(client, place, 'me', 9);
    }
    taken.push(...(await take(9)));
    await report(taken, { percent: 1, note: 'n' }, ['a line']);
    await finish(taken, 'dead', { payload: FAILED, group: GROUP });
    await expectBalanced(client, QUEUE);
    await clock.advance(1_000);
    await client.del(`${KEY}:pins`);
    for (let rounds = 0; rounds < 3; rounds += 1) {
      await clock.advance(2_000);
      await sweepAll();
    }
    expect(
      await client.exists(
        `${KEY}:contents`,
        `${KEY}:needs`,
        `${KEY}:need-values`,
        `${KEY}:unmet`,
        `${KEY}:starts`,
      ),
    ).toBe(0);
    expect(await client.hexists(`${KEY}:queue`, 'needed')).toBe(0);
  },
};
