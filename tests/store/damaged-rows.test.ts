// One row that another program has damaged, in each of its columns, under each script that takes several tasks: those beside it come
// through. Redis takes nothing back of a script that fails half-way.

import { describe, expect, test } from 'vitest';
import { encodeCbor } from '../../src/protocol/cbor.ts';
import { encodeContent } from '../../src/protocol/message.ts';
import type { OutcomeWord } from '../../src/store/consumer.ts';
import { homeOf } from '../../src/store/keys.ts';
import { acceptWaiting, needOf, settleNeeds } from '../../src/store/needs.ts';
import { createOperations, operate } from '../../src/store/operations.ts';
import { createOperator } from '../../src/store/operator.ts';
import { createOutbox, writeFollower } from '../../src/store/outbox.ts';
import { COLUMNS } from '../../src/store/record.ts';
import { completeSources } from '../../src/store/waits.ts';
import { buildScriptsWithClock } from '../support/model-clock.ts';
import { moveAll } from '../support/move-all.ts';
import { countsOf } from '../support/moves.ts';
import { GROUP } from '../support/outcome.ts';
import { queueKey } from '../support/queue-key.ts';
import { KEY, LEASE_MS, openScriptedQueue, QUEUE, type ScriptedQueue } from '../support/scripted-queue.ts';
import { startStore } from '../support/store.ts';

const CONTENT = encodeContent('add', { one: 1, two: 2 });
const ERROR = encodeCbor({ name: 'Error', message: 'm', fingerprint: '0123456789abcdef' });
const FOLLOWER = writeFollower({ queue: 'after', lane: 'normal', content: CONTENT });
const TASKS = 4;
const DAMAGED = 1;
const OTHER = 'other';

const { client } = await startStore(buildScriptsWithClock);

interface World extends ScriptedQueue {
  /** Damages the row of one of them. */
  damage(ids: readonly string[]): Promise<void>;
}

/** A value that is none, in each column; `undefined` takes it away. */
const DAMAGES: readonly (readonly [column: string, value: string | undefined])[] = [
  ...Object.values(COLUMNS).map((column) => [column, 'x'] as const),
  [COLUMNS.content, undefined],
  [COLUMNS.content, ''],
  [COLUMNS.content, '\x82\x78'],
  [COLUMNS.header, 'another lane'],
  [COLUMNS.expires, 'nan'],
  [COLUMNS.unmet, undefined],
  [COLUMNS.starts, '5'],
];

async function damage(id: string, column: string, value: string | undefined): Promise<void> {
  const key = `${KEY}:${column}`;
  if (value === undefined) {
    await client.hdel(key, id);
  } else if (value === 'another lane') {
    const header = await client.hget(key, id);
    await client.hset(key, id, (header ?? 'ready 0 0 0 normal 0 0 -').replace('normal', 'urgent'));
  } else {
    await client.hset(key, id, Buffer.from(value, 'latin1'));
  }
}

async function statesOf(ids: readonly string[], queue = QUEUE): Promise<string[]> {
  const headers = await client.hmget(`${queueKey(queue)}:headers`, ...ids);
  return headers.map((header) => header?.split(' ', 1)[0] ?? 'ready');
}

const isBeside = (_: unknown, at: number): boolean => at !== DAMAGED;

/** Expects that all tasks but the damaged one are in a state. */
async function expectBeside(ids: readonly string[], state: string, queue = QUEUE): Promise<void> {
  const states = (await statesOf(ids, queue)).filter(isBeside);
  expect(states).toEqual(Array.from({ length: TASKS - 1 }, () => state));
}

/** In the order of their ids, as `enqueue` answers them. */
async function takeAll(world: World, ids: readonly string[]): Promise<{ id: string; claim: number }[]> {
  const taken = await world.take(TASKS);
  return ids.flatMap((id) => taken.filter((one) => one.id === id));
}

async function suspendAll(world: World, timeoutMs?: number): Promise<string[]> {
  const ids = await world.enqueue(TASKS);
  const tasks = await takeAll(world, ids);
  for (const task of tasks) expect(await world.source(task, '.a')).toBe('open');
  const payload = Buffer.from(JSON.stringify({ sources: ['.a'], timeoutMs }));
  await world.finish(tasks, 'suspended', { payload });
  return ids;
}

async function runOperation(
  world: World,
  action: 'cancel' | 'delete' | 'retry',
  state?: 'dead',
): Promise<void> {
  const filter = { queue: QUEUE, ...(state && { state }) };
  await createOperations(client).open(world.clock.newTaskId(), { action, filter }, undefined);
  for (let word = 'worked'; word === 'worked'; ) ({ word } = await operate(client, homeOf(QUEUE), 'me', 9));
}

async function end(world: World, word: OutcomeWord, delayMs = 0): Promise<string[]> {
  const ids = await world.enqueue(TASKS, { follower: FOLLOWER, terms: 'tag=a' });
  const tasks = await takeAll(world, ids);
  await world.damage(ids);
  await world.finish(tasks, word, {
    payload: ERROR,
    ...(word === 'dead' && { group: GROUP }),
    delayMs,
    hasHistory: true,
  });
  return ids;
}

const SCENES: Readonly<Record<string, (world: World) => Promise<void>>> = {
  'are due': async (world) => {
    const ids = await world.enqueue(TASKS, { delayMs: 5, follower: FOLLOWER });
    await world.damage(ids);
    await world.clock.advance(5);
    await world.sweepAll();
    await expectBeside(ids, 'ready');
    expect(await client.llen(`${KEY}:ready:normal`)).toBeGreaterThanOrEqual(TASKS - 1);
    expect(await client.zcard(`${KEY}:later`)).toBe(0);
  },
  'come back from a worker that is lost': async (world) => {
    const ids = await world.enqueue(TASKS, { ttlMs: 9e9, follower: FOLLOWER });
    await takeAll(world, ids);
    await world.damage(ids);
    // In steps: after a long gap no lease runs out.
    for (let step = 0; step < 6; step += 1) {
      await world.sweepAll();
      await world.clock.advance(LEASE_MS / 4);
    }
    await world.sweepAll();
    await expectBeside(ids, 'ready');
    expect(await client.zcard(`${KEY}:workers`)).toBe(0);
  },
  'come back from one that said that they had not begun': async (world) => {
    const ids = await world.enqueue(TASKS, { ttlMs: 9e9, follower: FOLLOWER });
    const tasks = await takeAll(world, ids);
    await world.damage(ids);
    await world.finish(tasks, 'unbegun');
    await expectBeside(ids, 'ready');
  },
  'were popped, and never claimed': async (world) => {
    const ids = await world.enqueue(TASKS, { follower: FOLLOWER });
    await client.rpop(`${KEY}:ready:normal`, TASKS);
    await world.damage(ids);
    await world.sweepAll();
    await world.clock.advance(3_000);
    await world.sweepAll();
    expect(await client.llen(`${KEY}:ready:normal`)).toBeGreaterThanOrEqual(TASKS - 1);
    const taken = (await world.take(TASKS)).map(({ id }) => id);
    expect(taken).toEqual(expect.arrayContaining(ids.filter(isBeside)));
  },
  'were not started in time': async (world) => {
    const ids = await world.enqueue(TASKS, { ttlMs: 5, follower: FOLLOWER });
    await world.damage(ids);
    await world.clock.advance(6);
    await world.sweepAll();
    await expectBeside(ids, 'dead');
  },
  succeed: async (world) => expectBeside(await end(world, 'succeeded'), 'succeeded'),
  'are dead': async (world) => expectBeside(await end(world, 'dead'), 'dead'),
  fail: async (world) => expectBeside(await end(world, 'failed', 1_000), 'scheduled'),
  crash: async (world) => expectBeside(await end(world, 'crashed'), 'ready'),
  'are relayed and then too old': async (world) => {
    const ids = await world.enqueue(TASKS, { follower: FOLLOWER, resultTtlMs: 10 });
    await world.finish(await takeAll(world, ids), 'dead', { payload: ERROR, group: GROUP, resultTtlMs: 10 });
    await world.damage(ids);
    const outbox = createOutbox(client);
    for (let turn = 0; turn < 3; turn += 1) {
      const entries = await outbox.take(homeOf(QUEUE), 100);
      await outbox.note(
        homeOf(QUEUE),
        entries.map(({ name }) => ({ name, done: 'all' as const })),
      );
    }
    await world.clock.advance(2_000);
    await world.sweepAll();
    const left = await client.hmget(`${KEY}:contents`, ...ids);
    expect(left.filter(isBeside)).toEqual([null, null, null]);
  },
  'wait for others': async (world) => {
    const ids = Array.from({ length: TASKS }, () => world.clock.newTaskId());
    const need = needOf(world.clock.newTaskId(), 1);
    await acceptWaiting(
      client,
      QUEUE,
      ids.map((id) => ({
        id,
        content: CONTENT,
        lane: 'normal',
        extras: { ttlMs: 9e9, follower: FOLLOWER },
        needs: [{ need, name: 'n' }],
        onNeedFailed: 'fail',
      })),
    );
    await world.damage(ids);
    await settleNeeds(
      client,
      homeOf(QUEUE),
      ids.map((id) => ({ id, need, outcome: 'succeeded', value: encodeCbor(1) })),
    );
    await expectBeside(ids, 'ready');
  },
  'wait for something that comes': async (world) => {
    const ids = await suspendAll(world);
    await world.damage(ids);
    const done = ids.map((id) => ({ id, source: '.a', word: 'succeeded', digest: 'd' }) as const);
    await completeSources(client, homeOf(QUEUE), done);
    await world.sweepAll();
    await expectBeside(ids, 'ready');
  },
  'wait for something that does not come': async (world) => {
    const ids = await suspendAll(world, 5);
    await world.damage(ids);
    await world.clock.advance(6);
    await world.sweepAll();
    await expectBeside(ids, 'ready');
  },
  'are cancelled together': async (world) => {
    const ids = await world.enqueue(TASKS, { delayMs: 50, follower: FOLLOWER });
    await world.damage(ids);
    await runOperation(world, 'cancel');
    await expectBeside(ids, 'cancelled');
  },
  'are deleted together': async (world) => {
    const ids = await world.enqueue(TASKS, { delayMs: 50 });
    await world.damage(ids);
    await runOperation(world, 'delete');
    const left = await client.hmget(`${KEY}:contents`, ...ids);
    expect(left.filter(isBeside)).toEqual([null, null, null]);
  },
  'are retried together': async (world) => {
    const ids = await world.enqueue(TASKS, { follower: FOLLOWER });
    await world.finish(await takeAll(world, ids), 'dead', { payload: ERROR, group: GROUP });
    await world.damage(ids);
    await runOperation(world, 'retry', 'dead');
    await expectBeside(ids, 'ready');
  },
  'go to another queue': async (world) => {
    const ids = await world.enqueue(TASKS, { delayMs: 50, ttlMs: 9e9 });
    await moveAll(client, QUEUE, OTHER);
    await world.damage(ids);
    const outbox = createOutbox(client);
    await outbox.transfer(await outbox.take(homeOf(QUEUE), 100)).catch(() => undefined);
    await expectBeside(ids, 'scheduled', OTHER);
  },
};

describe('one damaged row', () => {
  test.each(Object.entries(SCENES))('tasks that %s, beside one that is damaged', async (_, scene) => {
    for (const [column, value] of DAMAGES) {
      const world = await openScriptedQueue(client);
      let damaged = '';
      const what = `${column} ${JSON.stringify(value)}`;
      try {
        await scene({
          ...world,
          async damage(ids) {
            damaged = ids[DAMAGED] ?? '';
            await damage(damaged, column, value);
          },
        });
      } catch (error) {
        throw new Error(what, { cause: error });
      }
      // Whatever happened to it, it is counted where it is.
      const {
        accepted = 0,
        bytes: _bytes,
        malformed: _malformed,
        'moved-in': __,
        'moved-out': ___,
        ...states
      } = await countsOf(client, QUEUE);
      expect([what, accepted]).toEqual([what, Object.values(states).reduce((sum, count) => sum + count, 0)]);
      await createOperator(client).remove(QUEUE, damaged);
    }
  });
});
