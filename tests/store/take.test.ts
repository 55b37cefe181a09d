// In which order the lanes are served, by both ways of taking a task, and what a task that is given back becomes.

import { expect, test } from 'vitest';
import { decodeTrusted } from '../../src/protocol/cbor.ts';
import { LANES, LANES_FROM, type Lane } from '../../src/protocol/lane.ts';
import { openBlockingPop } from '../../src/store/blocking-pop.ts';
import { createInspector } from '../../src/store/inspector.ts';
import { createOperator } from '../../src/store/operator.ts';
import { createLaneTurn } from '../../src/protocol/lane.ts';
import { buildScriptsWithClock } from '../support/model-clock.ts';
import { countsOf, expectBalanced } from '../support/moves.ts';
import { KEY, openScriptedQueue, QUEUE } from '../support/scripted-queue.ts';
import { silent } from '../support/server.ts';
import { startStore } from '../support/store.ts';

const { redis, client } = await startStore(buildScriptsWithClock);

test('a turn of a lower lane serves both lower ones before the highest', () => {
  expect(LANES_FROM).toEqual({
    high: ['high', 'normal', 'low'],
    normal: ['normal', 'low', 'high'],
    low: ['low', 'normal', 'high'],
  });
});

test.each(LANES)('a claim and a blocking pop that begin at %s take in the same order', async (first) => {
  const { enqueue, take, worker } = await openScriptedQueue(client);
  const lanes = new Map<string, Lane>();
  for (const lane of ['low', 'high', 'normal'] as const) {
    for (const id of await enqueue(4, undefined, lane)) lanes.set(id, lane);
  }
  const twice = LANES_FROM[first].flatMap((lane) => [lane, lane]);
  const order = (await take(4, first)).map(({ id }) => lanes.get(id));
  expect(order).toEqual([...Array(4)].map(() => first));

  const pop = await openBlockingPop(silent(redis.url), 'pop', client, 100, QUEUE);
  const popped: Lane[] = [];
  for (let message = await pop.pop([QUEUE], first); message; message = await pop.pop([QUEUE], first)) {
    popped.push(message.lane);
    await worker.claim([message], 0);
  }
  pop.close();
  expect(popped).toEqual(twice.slice(2).flatMap((lane) => [lane, lane]));
  expect(await countsOf(client, QUEUE)).toEqual({ accepted: 12, running: 12 });
  await expectBalanced(client, QUEUE);
});

test('each claim drops the copies of its tasks, although others have popped messages that they have not claimed yet', async () => {
  const { enqueue, take, worker } = await openScriptedQueue(client);
  const ids = await enqueue(40);
  const pop = await openBlockingPop(silent(redis.url), 'pop', client, 100, QUEUE);
  const popped = [await pop.pop([QUEUE]), await pop.pop([QUEUE])].filter((message) => message !== undefined);
  pop.close();
  const copies = async (): Promise<string[]> =>
    (await client.lrange(`${KEY}:ledger:normal`, 0, -1)).toReversed();

  for (let left = 38; left >= 8; left -= 10) {
    expect(await copies()).toEqual([...ids.slice(0, 2), ...ids.slice(40 - left)]);
    await take(10);
  }
  await worker.claim(popped, 0);
  expect(await copies()).toEqual([]);
});

test.each([
  [0, 0, 0],
  [10, 5, 5],
  [20, 10, 10],
  [33, 17, 16],
  [50, 25, 25],
])(
  'a share of %d %% in a hundred turns: %d begin at normal and %d at low, evenly',
  (percent, normal, low) => {
    const turn = createLaneTurn(percent);
    const turns = Array.from({ length: 100 }, turn);
    const count = (lane: Lane): number => turns.filter((one) => one === lane).length;
    expect([count('normal'), count('low')]).toEqual([normal, low]);
    for (let from = 0; from + 20 <= 100; from += 20) {
      const lower = turns.slice(from, from + 20).filter((one) => one !== 'high').length;
      expect(Math.abs(lower - percent / 5)).toBeLessThanOrEqual(1);
    }
  },
);

test.each(['released', 'failed', 'snoozed'] as const)(
  'a task that shall be cancelled and is given back (%s) is cancelled, with an error that can be read',
  async (word) => {
    const { enqueue, take, finish, task } = await openScriptedQueue(client);
    const [id = ''] = await enqueue(1);
    const taken = await take(1);
    expect(await createOperator(client).cancel(QUEUE, id)).toBe('requested');
    // What is released brings no error with it.
    await finish(taken, word, word === 'released' ? { payload: Buffer.alloc(0) } : {});
    const record = await task(id);
    expect(record).toMatchObject({ state: 'cancelled', dueAt: undefined });
    const error = decodeTrusted(record?.error ?? Buffer.alloc(0));
    if (word === 'released')
      expect(error).toMatchObject({ name: 'Cancelled', message: expect.stringMatching(/\w/) });
    expect(await createInspector(client).queue(QUEUE)).toMatchObject({
      counts: { accepted: 1, cancelled: 1 },
      ready: { normal: 0 },
    });
    await expectBalanced(client, QUEUE);
  },
);
