// Tasks that wait until what they need has happened: each starts when its last need is met, once.

import { expect, test } from 'vitest';
import { decodeTrusted, encodeCbor } from '../../src/protocol/cbor.ts';
import { encodeContent } from '../../src/protocol/message.ts';
import { createCapacity } from '../../src/store/capacity.ts';
import { homeOf } from '../../src/store/keys.ts';
import { acceptWaiting, needOf, settleNeeds, type WaitingTask } from '../../src/store/needs.ts';
import { createOperator } from '../../src/store/operator.ts';
import { buildScriptsWithClock } from '../support/model-clock.ts';
import { countsOf, expectBalanced, movesOf } from '../support/moves.ts';
import { openScriptedQueue, QUEUE, type ScriptedQueue } from '../support/scripted-queue.ts';
import { startStore } from '../support/store.ts';

const { client } = await startStore(buildScriptsWithClock);
const FAILURE = encodeCbor({ name: 'NeedFailed', message: 'the step "a" that it needs is dead' });

async function openWaiting(names: readonly string[], task: Partial<WaitingTask> = {}) {
  const queue = await openScriptedQueue(client);
  const sources = names.map((name) => ({ name, need: needOf(queue.clock.newTaskId(), 1) }));
  const waiting: WaitingTask = {
    id: queue.clock.newTaskId(),
    content: encodeContent('add', { one: 1, two: 2 }),
    lane: 'normal',
    needs: sources,
    onNeedFailed: 'fail',
    ...task,
  };
  await acceptWaiting(client, QUEUE, [waiting]);
  const settle = async (at: number, outcome: 'succeeded' | 'dead' | 'gone' | 'withdrawn' = 'succeeded') => {
    const one = {
      id: waiting.id,
      need: sources[at]?.need ?? '',
      outcome,
      value: encodeCbor(at),
      failure: FAILURE,
    };
    return (await settleNeeds(client, homeOf(QUEUE), [one])).answers[0];
  };
  const state = async () => (await queue.task(waiting.id))?.state;
  return { ...queue, id: waiting.id, sources, settle, state };
}

const idsOf = async ({ take }: ScriptedQueue): Promise<string[]> => (await take(9)).map(({ id }) => id);

test('a task starts when its last need is met, whatever is told twice, late or about another generation', async () => {
  const { id, sources, settle, state, ...queue } = await openWaiting(['a', 'b']);
  expect(await countsOf(client, QUEUE)).toEqual({ accepted: 1, waiting: 1 });
  expect(await idsOf(queue)).toEqual([]);
  expect(await settle(0)).toBe('waiting');
  expect(await settle(0)).toBe('known');
  const older = { id, need: String(sources[1]?.need).replace(/1$/, '0'), outcome: 'succeeded' } as const;
  expect((await settleNeeds(client, homeOf(QUEUE), [older])).answers).toEqual(['stale']);
  expect(await state()).toBe('waiting');
  expect(await settle(1)).toBe('ready');
  expect(await settle(1)).toBe('known');
  expect(await idsOf(queue)).toEqual([id]);
  expect((await movesOf(client, QUEUE)).map(({ state: to }) => to)).toEqual(['waiting', 'ready', 'running']);
  await expectBalanced(client, QUEUE);
});

test.each([
  ['fail', 'dead'],
  ['cancel', 'cancelled'],
  ['run', 'ready'],
] as const)('a need that fails, of a task that says %s: it is %s', async (onNeedFailed, becomes) => {
  const { id, settle, ...queue } = await openWaiting(['a'], { onNeedFailed });
  expect(await settle(0, 'dead')).toBe(becomes);
  const record = await queue.task(id);
  expect(record?.state).toBe(becomes);
  expect(record?.error && decodeTrusted(record.error)).toEqual(
    becomes === 'ready' ? undefined : expect.objectContaining({ name: 'NeedFailed' }),
  );
  await expectBalanced(client, QUEUE);
});

test('a failed need ends a task although it has others; what these bring is noted, and nothing more', async () => {
  const { settle, state } = await openWaiting(['a', 'b']);
  expect(await settle(0, 'gone')).toBe('dead');
  expect(await settle(1)).toBe('noted');
  expect(await state()).toBe('dead');
});

test('delay and start-by time count from when the last need is met', async () => {
  const extras = { delayMs: 1_000, ttlMs: 5_000 };
  const { clock, id, settle, sweepAll, state, ...queue } = await openWaiting(['a'], { extras });
  await clock.advance(60_000);
  expect(await settle(0)).toBe('scheduled');
  expect((await queue.task(id))?.expiresAt).toBe(clock.now() + 5_000);
  await clock.advance(1_000);
  await sweepAll();
  expect(await state()).toBe('ready');
  await clock.advance(5_000);
  await sweepAll();
  expect(await state()).toBe('dead');
  await expectBalanced(client, QUEUE);
});

test('a task that waits can be cancelled and removed, and is cancelled when it is withdrawn, whatever it says', async () => {
  const operator = createOperator(client);
  const cancelled = await openWaiting(['a']);
  expect(await operator.cancel(QUEUE, cancelled.id)).toBe('cancelled');
  expect(await cancelled.settle(0)).toBe('noted');
  const removed = await openWaiting(['a']);
  expect(await operator.remove(QUEUE, removed.id)).toBe('removed');
  expect(await removed.settle(0)).toBe('stale');
  expect(await client.keys('*need*')).toEqual([]);
  const withdrawn = await openWaiting(['a'], { onNeedFailed: 'run' });
  expect(await withdrawn.settle(0, 'withdrawn')).toBe('cancelled');
  await expectBalanced(client, QUEUE);
});

test('it counts against QUEUE_LIMIT, and is counted down when it goes', async () => {
  await openWaiting(['a']);
  const limits = { queueLimit: 1, queueLimitBytes: 0, memoryReservePercent: 0 };
  await expect(createCapacity(client, limits).reserve(QUEUE, 1, 0)).rejects.toMatchObject({
    code: 'queue-full',
  });
});

test('what its needs have brought counts against the retention by size', async () => {
  const small = await openWaiting(['a'], { onNeedFailed: 'run' });
  await small.settle(0, 'dead');
  await createOperator(client).cancel(QUEUE, small.id);
  const bytes = (await countsOf(client, QUEUE))['bytes'] ?? 0;
  const large = await openWaiting(['a'], { onNeedFailed: 'run' });
  const value = Buffer.alloc(10_000);
  const one = { id: large.id, need: large.sources[0]?.need ?? '', outcome: 'succeeded', value } as const;
  await settleNeeds(client, homeOf(QUEUE), [one]);
  await createOperator(client).cancel(QUEUE, large.id);
  expect((await countsOf(client, QUEUE))['bytes']).toBe(bytes + 10_000 - 1);
});
