// How long a task is kept that says so itself, whichever way it ends.

import { expect, it } from 'vitest';
import { createOperator } from '../../src/store/operator.ts';
import { encodeContent } from '../../src/protocol/message.ts';
import { buildScriptsWithClock } from '../support/model-clock.ts';
import { expectBalanced } from '../support/moves.ts';
import { KEY, LEASE_MS, openScriptedQueue, QUEUE, type ScriptedQueue } from '../support/scripted-queue.ts';
import { startStore } from '../support/store.ts';

const { client } = await startStore(buildScriptsWithClock);

interface Way {
  readonly extras?: object;
  /** Leads the task to its end. */
  readonly end: (queue: ScriptedQueue, id: string) => Promise<unknown>;
  readonly state: string;
}

const cancel = (id: string): Promise<unknown> => createOperator(client).cancel(QUEUE, id);

async function claim(queue: ScriptedQueue): Promise<{ id: string; claim: number }[]> {
  return queue.take(1);
}

/** The worker is not heard of any more. */
async function loseWorker(queue: ScriptedQueue): Promise<void> {
  await claim(queue);
  await queue.sweep();
  // Sweeps go on, so that it is the worker alone that is away.
  for (let part = 0; part < 4; part += 1) {
    await queue.clock.advance(LEASE_MS / 3);
    await queue.sweep();
  }
}

const WAYS: Readonly<Record<string, Way>> = {
  'expires before a sweep': {
    extras: { ttlMs: 10 },
    end: async ({ clock, sweep }) => [await clock.advance(20), await sweep()],
    state: 'dead',
  },
  'expires before it is claimed': {
    extras: { ttlMs: 10 },
    end: async ({ clock, take, sweep }) => [await clock.advance(20), await take(1), await sweep()],
    state: 'dead',
  },
  'is cancelled while it waits': { end: (_, id) => cancel(id), state: 'cancelled' },
  'is cancelled before it is due': {
    extras: { delayMs: 500 },
    end: (_, id) => cancel(id),
    state: 'cancelled',
  },
  'is cancelled, and its worker gives it back': {
    end: async (queue, id) => {
      const taken = await claim(queue);
      await cancel(id);
      await queue.finish(taken, 'released');
    },
    state: 'cancelled',
  },
  'is cancelled, and its worker is lost': {
    end: async (queue, id) => {
      await claim(queue);
      await cancel(id);
      await loseWorker(queue);
    },
    state: 'cancelled',
  },
  'is cancelled, and its process ends': {
    end: async (queue, id) => {
      const taken = await claim(queue);
      await cancel(id);
      await queue.finish(taken, 'crashed');
    },
    state: 'cancelled',
  },
  'takes three processes down': {
    end: async (queue) => {
      for (let crash = 0; crash < 3; crash += 1) await queue.finish(await claim(queue), 'crashed');
    },
    state: 'dead',
  },
  'loses its worker after two crashes, again and again': {
    end: async (queue, id) => {
      for (let crash = 0; crash < 2; crash += 1) await queue.finish(await claim(queue), 'crashed');
      await client.hset(`${KEY}:lost-leases`, id, 19);
      await loseWorker(queue);
    },
    state: 'dead',
  },
  fails: { end: async (queue) => queue.finish(await claim(queue), 'dead'), state: 'dead' },
  'is cancelled while it waits for its next attempt': {
    end: async (queue, id) => {
      await queue.finish(await claim(queue), 'failed', { delayMs: 1_000 });
      await cancel(id);
    },
    state: 'cancelled',
  },
  'fails once more after a replay': {
    end: async (queue, id) => {
      await queue.finish(await claim(queue), 'dead');
      await createOperator(client).replay(QUEUE, id);
      await queue.finish(await claim(queue), 'dead');
    },
    state: 'dead',
  },
};

it.each(Object.entries(WAYS))(
  'case 39: a task that %s is kept as it says',
  async (_, { extras, end, state }) => {
    const queue = await openScriptedQueue(client);
    const [id = ''] = await queue.enqueue(1, { ...extras, resultTtlMs: 700 });
    await end(queue, id);
    const ended = await queue.task(id);
    expect(ended?.state).toBe(state);
    const goesAt = Number(await client.zscore(`${KEY}:kept`, id));
    expect(goesAt - (ended?.finishedAt ?? 0)).toBe(700);
    await queue.clock.advance(699);
    await queue.sweep();
    if (goesAt > (ended?.finishedAt ?? 0) + 699) expect((await queue.task(id))?.state).toBe(state);
    await queue.clock.advance(1);
    await queue.sweep();
    expect(await queue.task(id)).toBeUndefined();
    expect(await client.exists(`${KEY}:result-ttls`, `${KEY}:kept`)).toBe(0);
    await expectBalanced(client, QUEUE);
  },
);

it.each(Object.entries(WAYS))(
  'case 39: a task that %s and is kept for nothing goes at once',
  async (_, { extras, end }) => {
    const queue = await openScriptedQueue(client);
    const [id = ''] = await queue.enqueue(1, { ...extras, resultTtlMs: 0 });
    await end(queue, id);
    await queue.sweep();
    expect(await queue.task(id)).toBeUndefined();
  },
);

it('a call that is repeated because its reply got lost accepts no second time what has a key, also when its row is gone', async () => {
  const queue = await openScriptedQueue(client);
  const extras = { key: { key: 'k', windowMs: 60_000, digest: 'd' }, resultTtlMs: 0 };
  const task = {
    id: queue.clock.newTaskId(),
    content: encodeContent('add', {}),
    lane: 'normal',
    extras,
  } as const;
  await queue.producer.enqueue(QUEUE, [task]);
  await queue.finish(await claim(queue), 'succeeded', { resultTtlMs: 0 });
  await queue.clock.advance(100);
  await queue.sweep();
  expect(await queue.task(task.id)).toBeUndefined();
  expect(await queue.producer.enqueue(QUEUE, [task])).toEqual(new Map());
  expect(await claim(queue)).toEqual([]);
});

it('case 39: what a worker reads in the message holds before what was stored, and nobody else pays', async () => {
  const queue = await openScriptedQueue(client);
  await queue.enqueue(2);
  expect(await client.exists(`${KEY}:result-ttls`)).toBe(0);
  // A foreign message, of which only its worker knows.
  const taken = await queue.take(2);
  await queue.finish(taken.slice(0, 1), 'crashed', { resultTtlMs: 50 });
  await queue.finish(taken.slice(1), 'dead', { resultTtlMs: 50 });
  expect(await client.zcard(`${KEY}:kept`)).toBe(1);
  for (let crash = 0; crash < 2; crash += 1) {
    await queue.finish(await claim(queue), 'crashed', { resultTtlMs: 50 });
  }
  expect(await client.zcard(`${KEY}:kept`)).toBe(2);
  await queue.clock.advance(50);
  await queue.sweep();
  expect(await client.hlen(`${KEY}:contents`)).toBe(0);
});
