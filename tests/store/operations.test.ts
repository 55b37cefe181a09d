// Operations over the real scripts, slice by slice: what they touch, what they count, and what they leave alone.

import { beforeEach, expect, test } from 'vitest';
import { encodeCbor } from '../../src/protocol/cbor.ts';
import { encodeContent } from '../../src/protocol/message.ts';
import { newTaskId } from '../../src/protocol/task-id.ts';
import { MOST_OPEN, operate, type Turn } from '../../src/store/operations.ts';
import { writeErrorGroup } from '../../src/store/error-groups.ts';
import { createOperator } from '../../src/store/operator.ts';
import { fieldTerm, tagTerm } from '../../src/store/terms.ts';
import { writeFollower } from '../../src/store/outbox.ts';
import { createSweeper } from '../../src/store/sweeper.ts';
import { buildScriptsWithClock } from '../support/model-clock.ts';
import { countsOf, movesOf } from '../support/moves.ts';
import {
  type Asked,
  ERROR,
  ME,
  openOperatedQueue,
  type OperatedQueue,
  PLACE,
} from '../support/operated-queue.ts';
import { KEY, QUEUE } from '../support/scripted-queue.ts';
import { startStore } from '../support/store.ts';

const { client } = await startStore(buildScriptsWithClock);
const operator = createOperator(client);

let queue: OperatedQueue;
beforeEach(async () => {
  queue = await openOperatedQueue(client);
});

const stateOf = async (id: string): Promise<string | undefined> => (await queue.task(id))?.state;

test('dead tasks are deleted slice by slice, whoever died or came later stays', async () => {
  const before = await queue.kill(30);
  const id = await queue.open({ action: 'delete', filter: { state: 'dead' }, reason: 'old' });
  await queue.clock.advance(1);
  const after = await queue.kill(3);
  expect(await queue.work(id)).toMatchObject({
    state: 'done',
    by: 'key-1',
    reason: 'old',
    matched: 30,
    done: 30,
    skipped: {},
    failed: {},
    total: 33,
  });
  expect(await countsOf(client, QUEUE)).toMatchObject({ accepted: 33, dead: 3, removed: 30 });
  expect(await Promise.all(after.map(stateOf))).toEqual(['dead', 'dead', 'dead']);
  expect(await stateOf(before[0] ?? '')).toBeUndefined();
  expect(await operate(client, PLACE, ME, 7)).toEqual({ word: 'none' });
});

test('a retry touches no task twice, although some are dead again at once', async () => {
  await queue.kill(20);
  const id = await queue.open({ action: 'retry' });
  const again = async (): Promise<void> => {
    await queue.clock.advance(1);
    await queue.finish(await queue.take(20), 'dead', { payload: ERROR });
  };
  for (let turn = await operate(client, PLACE, ME, 3); turn.word !== 'none'; ) {
    await again();
    turn = await operate(client, PLACE, ME, 3);
  }
  expect(await queue.look(id)).toMatchObject({ state: 'done', matched: 20, done: 20 });
  const replays = (await movesOf(client, QUEUE)).filter(({ state }) => state === 'ready');
  expect(replays.length).toBe(40);
});

test('cancel ends what waits, asks what runs to stop, and skips what was asked already', async () => {
  const [later] = await queue.enqueue(1, { delayMs: 500 });
  await queue.enqueue(2);
  const [running] = await queue.take(1);
  const [, ended] = [await queue.kill(1), await queue.enqueue(1)];
  expect(await queue.run({ action: 'cancel' })).toMatchObject({
    matched: 4,
    done: 4,
    requested: 1,
    skipped: {},
  });
  expect(await stateOf(later ?? '')).toBe('cancelled');
  expect(await stateOf(ended[0] ?? '')).toBe('cancelled');
  expect((await queue.task(running?.id ?? ''))?.cancelAt).toBe(queue.clock.now());
  expect(await queue.run({ action: 'cancel', filter: { state: 'running' } })).toMatchObject({
    matched: 1,
    done: 0,
    skipped: { 'already-requested': 1 },
  });
});

test('delete without a state takes all tasks but those that run, and those say why', async () => {
  await queue.enqueue(1, { delayMs: 500 });
  await queue.finish(await queue.take(0));
  await queue.enqueue(4);
  const taken = await queue.take(3);
  await queue.finish(taken.slice(0, 1));
  await queue.finish(taken.slice(1, 2), 'dead', { payload: ERROR });
  expect(await queue.run({ action: 'delete' })).toMatchObject({
    matched: 5,
    done: 4,
    skipped: { running: 1 },
    failed: {},
  });
  expect(await countsOf(client, QUEUE)).toMatchObject({ accepted: 5, running: 1, removed: 4 });
});

test.each(['succeeded', 'cancelled'] as const)('tasks that have %s are found', async (state) => {
  await queue.enqueue(5, { ttlMs: 100_000 });
  await queue.finish(await queue.take(3), state);
  expect(await queue.run({ action: 'delete', filter: { state } }, 1)).toMatchObject({ matched: 3, done: 3 });
});

test('a row without its content is counted as failed, and one with a spoilt header is left alone', async () => {
  const [one = '', other = ''] = await queue.kill(3);
  await client.hdel(`${KEY}:contents`, one);
  await client.hset(`${KEY}:headers`, other, 'none');
  const id = await queue.open({ action: 'retry' });
  for (let turn: Turn = { word: 'taken' }; turn.word !== 'none'; ) turn = await operate(client, PLACE, ME, 2);
  expect(await queue.look(id)).toMatchObject({ matched: 2, done: 1, failed: { unreadable: 1 } });
});

test('an operation on certain tasks looks at these alone, slice by slice', async () => {
  const all = await queue.kill(9);
  const ids = all.filter((_, at) => at % 2 === 0);
  const ended = await queue.run({ action: 'retry', filter: { ids: [...ids, newTaskId()] } }, 2);
  expect(ended).toMatchObject({ state: 'done', matched: 5, done: 5, looked: 6, total: 6 });
  const ready = [];
  for (const id of all) if ((await stateOf(id)) === 'ready') ready.push(id);
  expect(ready).toEqual(ids);
});

test('the filter: type, fingerprint, tag, when it was accepted, when it ended', async () => {
  const begin = queue.clock.now();
  const both = await queue.kill(2);
  await queue.clock.advance(1_000);
  const other = queue.clock.newTaskId();
  const long = 'x'.repeat(40);
  const content = encodeContent(long, { one: 1 });
  const extras = { terms: `${tagTerm('a')} ${tagTerm('b')} ${fieldTerm('customer', '4711')}` };
  await queue.producer.enqueue(QUEUE, [{ id: other, content, lane: 'high', extras }]);
  const error = { name: 'E', message: 'm', fingerprint: 'ffff456789abcdef' };
  const group = writeErrorGroup(long, error);
  await queue.finish(await queue.take(1), 'dead', { payload: encodeCbor(error), group });
  const middle = begin + 1_000;
  const match = async (filter: Asked['filter']): Promise<number> =>
    (await queue.operations.match({ action: 'retry', filter: { queue: QUEUE, ...filter } })).matched;
  expect(await match({})).toBe(3);
  expect(await match({ type: 'add' })).toBe(2);
  expect(await match({ type: long })).toBe(1);
  expect(await match({ type: 'ad' })).toBe(0);
  expect(await match({ fingerprint: '0123456789abcdef' })).toBe(2);
  expect(await match({ fingerprint: 'ffff456789abcdef' })).toBe(1);
  expect(await match({ tag: 'b' })).toBe(1);
  expect(await match({ tag: 'c' })).toBe(0);
  expect(await match({ tag: 'a', fingerprint: 'ffff456789abcdef' })).toBe(1);
  expect(await match({ tag: 'a', fingerprint: '0123456789abcdef' })).toBe(0);
  expect(await match({ error: 'E', field: 'customer:4711' })).toBe(1);
  expect(await match({ field: 'customer:4712' })).toBe(0);
  const { sample } = await queue.operations.match({ action: 'retry', filter: { queue: QUEUE, tag: 'a' } });
  expect(sample).toEqual([other]);
  const ids = [other, newTaskId(), ...both];
  expect(await match({ ids })).toBe(3);
  expect(await match({ ids: ids.slice(0, 2), tag: 'a' })).toBe(1);
  expect(await match({ ids: both, tag: 'a' })).toBe(0);
  for (const when of ['accepted', 'ended']) {
    expect(await match({ [`${when}Before`]: middle })).toBe(2);
    expect(await match({ [`${when}After`]: middle })).toBe(1);
    expect(await match({ [`${when}After`]: begin, [`${when}Before`]: middle + 1 })).toBe(3);
  }
  const cancels = { action: 'cancel', filter: { queue: QUEUE, endedAfter: 0 } } as const;
  await queue.enqueue(1);
  expect((await queue.operations.match(cancels)).matched).toBe(0);
});

test('a dry run counts by state, shows some, and looks at ten thousand tasks at most', async () => {
  await queue.kill(1);
  await queue.enqueue(350, { delayMs: 1_000 });
  await queue.enqueue(7);
  const request = { action: 'cancel', filter: { queue: QUEUE } } as const;
  const all = await queue.operations.match(request);
  expect(all).toMatchObject({ matched: 357, isAll: true });
  expect(all.perState).toEqual(
    new Map([
      ['scheduled', 350],
      ['ready', 7],
    ]),
  );
  expect(new Set(all.sample).size).toBe(5);
  // All of them are due at the same time.
  const later = await queue.operations.match({ ...request, filter: { queue: QUEUE, state: 'scheduled' } });
  expect(later).toMatchObject({ matched: 350, isAll: true });

  for (let count = 0; count < 22; count += 1) await queue.enqueue(500, { delayMs: 2_000 });
  const many = await queue.operations.match({ ...request, filter: { queue: QUEUE, state: 'scheduled' } });
  expect(many).toMatchObject({ matched: 10_000, isAll: false });
  expect((await queue.operations.match(request)).isAll).toBe(false);
  expect(await countsOf(client, QUEUE)).toMatchObject({ accepted: 11_358, dead: 1 });
});

test('one caller works on a queue, until it has been silent for two seconds', async () => {
  await queue.kill(20);
  const id = await queue.open({ action: 'delete', filter: { state: 'dead' } });
  const turnOf = (caller: string): Promise<Turn> => operate(client, PLACE, caller, 5);
  expect(await turnOf('a')).toMatchObject({ word: 'worked', looked: 5, waitMs: 0 });
  expect(await turnOf('b')).toEqual({ word: 'taken' });
  expect((await queue.sweep()).isOperationLeft).toBe(false);
  await queue.clock.advance(1_999);
  expect(await turnOf('b')).toEqual({ word: 'taken' });
  await queue.clock.advance(1);
  expect((await queue.sweep()).isOperationLeft).toBe(true);
  expect(await turnOf('b')).toMatchObject({ word: 'worked', looked: 5 });
  expect(await turnOf('a')).toEqual({ word: 'taken' });
  for (let count = 0; count < 3; count += 1) await turnOf('b');
  expect(await queue.look(id)).toMatchObject({ state: 'done', matched: 20, done: 20 });
  expect((await queue.sweep()).isOperationLeft).toBe(false);
});

test('a sweep that comes too early to sweep names what is left all the same', async () => {
  await queue.kill(1);
  await queue.sweep();
  await queue.open({ action: 'delete' });
  await client.hset(`${KEY}:queue`, 'sweep_at', queue.clock.now() + 500);
  const settings = { leaseMs: 1e6, slice: 9, popGraceMs: 9, retentionMs: 1e12, retentionBytes: 0 };
  const swept = await createSweeper(client, { ...settings, periodMs: 1_000 })(PLACE);
  expect(swept).toMatchObject({ nextMs: 500, isOperationLeft: true });
});

test('operations of a queue run one after the other; one that is cancelled leaves what it has done', async () => {
  await queue.kill(20);
  const first = await queue.open({ action: 'delete', filter: { state: 'dead' } });
  const second = await queue.open({ action: 'retry' });
  await operate(client, PLACE, ME, 5);
  expect((await queue.look(second)).state).toBe('waiting');
  expect(await queue.operations.cancel(QUEUE, first)).toBe('cancelled');
  expect(await queue.operations.cancel(QUEUE, first)).toBe('cancelled');
  expect(await queue.look(first)).toMatchObject({ state: 'cancelled', done: 5, endedAt: queue.clock.now() });
  expect(await queue.work(second)).toMatchObject({ state: 'done', done: 15 });
  expect(await queue.operations.cancel(QUEUE, second)).toBe('done');
  expect(await queue.operations.cancel(QUEUE, newTaskId())).toBe('unknown');
  expect((await queue.operations.list([QUEUE])).map(({ id }) => id).sort()).toEqual([first, second].sort());
  expect(await countsOf(client, QUEUE)).toMatchObject({ ready: 15, removed: 5 });
});

test('a hundred operations may be open, and a hundred that are over are remembered', async () => {
  const ids: string[] = [];
  for (let count = 0; count < MOST_OPEN; count += 1) ids.push(await queue.open({ action: 'retry' }));
  const request = { action: 'retry', filter: { queue: QUEUE } } as const;
  expect(await queue.operations.open(newTaskId(), request, undefined)).toBe('full');
  // The same request once more.
  expect(await queue.operations.open(ids[3] ?? '', request, undefined)).toBe('known');
  await queue.operations.cancel(QUEUE, ids[50] ?? '');
  await queue.clock.advance(1);
  const last = await queue.open({ action: 'retry' });
  await queue.work(last);
  expect((await queue.operations.list([QUEUE])).length).toBe(MOST_OPEN);
  expect(await queue.operations.find(ids[50] ?? '', [QUEUE])).toBeUndefined();
  await client.hset(`${KEY}:operations`, last, 'no JSON');
  expect(await queue.operations.find(last, [QUEUE])).toBeUndefined();
  const spoilt = await queue.open({ action: 'retry' });
  await client.hset(`${KEY}:operations`, spoilt, '{}');
  expect(await operate(client, PLACE, ME, 5)).toMatchObject({ word: 'worked', looked: 0 });
  expect(await operate(client, PLACE, ME, 5)).toEqual({ word: 'none' });
});

test('what follows the tasks that it ends is appended, and rows that are needed for that go later', async () => {
  const follower = writeFollower({ queue: 'next', lane: 'normal', content: encodeContent('add', {}) });
  await queue.enqueue(2, { follower });
  await queue.open({ action: 'delete' });
  expect(await operate(client, PLACE, ME, 100)).toMatchObject({ word: 'worked', appended: 2 });
  expect(await countsOf(client, QUEUE)).toMatchObject({ cancelled: 2 });
  expect(await operator.cancel(QUEUE, newTaskId())).toBe('unknown');
});
