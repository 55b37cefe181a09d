// The relay alone: what it sends of an entry, how far it notes that it is, and how often it looks.

import { expect, test } from 'vitest';
import { decodeContent, encodeContent } from '../../src/protocol/message.ts';
import { encodeCbor } from '../../src/protocol/cbor.ts';
import { PopfleetError } from '../../src/protocol/errors.ts';
import { derivedTaskId, timeOfTaskId } from '../../src/protocol/task-id.ts';
import { WEBHOOK_QUEUE, WEBHOOK_TYPE } from '../../src/protocol/webhook.ts';
import { homeOf } from '../../src/store/keys.ts';
import type { Follower, OutboxEntry, RelayNote } from '../../src/store/outbox.ts';
import type { NewTask } from '../../src/store/new-task.ts';
import { createRelay, relayEntries } from '../../src/upkeep/relay.ts';
import { steadyNow } from '../../src/steady-now.ts';
import { silentLog } from '../support/store.ts';

const PLACE = homeOf('mail');
const ID = '0193a1b2-c3d4-7abc-8def-0123456789ab';
const ENDED_AT = 1_700_000_000_000;
const CONTENT = encodeContent('add', { one: 1, two: 2 }, { maxAttempts: 2 });

function follower(queue: string): Follower {
  return { queue, lane: 'low', content: CONTENT, extras: { ttlMs: 5 } };
}

function entryOf(followers: readonly (Follower | undefined)[], more: Partial<OutboxEntry> = {}): OutboxEntry {
  const base = { place: PLACE, name: `${ID}:1`, id: ID, state: 'succeeded', endedAt: ENDED_AT, from: 0 };
  return { ...base, followers, result: encodeCbor({ sum: 3 }), error: undefined, ...more };
}

/** Keeps what is sent and noted. @param refuses a queue that takes nothing */
function stage(refuses?: string) {
  const calls: { readonly queue: string; readonly tasks: readonly NewTask[] }[] = [];
  const notes: RelayNote[] = [];
  const deps = {
    log: silentLog,
    links: { tell: async () => [], record: async () => undefined },
    outbox: {
      take: async () => [],
      rows: async () => [],
      note: async (_: unknown, some: readonly RelayNote[]) => void notes.push(...some),
      transfer: async () => undefined,
    },
    producer: {
      async enqueue(queue: string, tasks: readonly NewTask[]) {
        if (queue === refuses) throw new PopfleetError('redis-full', 'full');
        calls.push({ queue, tasks });
        return new Map();
      },
    },
  };
  return {
    calls,
    notes,
    deps,
    relay: (...entries: OutboxEntry[]) => relayEntries(entries, steadyNow(), deps),
  };
}

test('a follower is accepted with its own options, and knows what it follows; its id derives from that', async () => {
  const { calls, notes, relay } = stage();
  await relay(entryOf([follower('next')]));
  const [{ queue, tasks } = { queue: '', tasks: [] }] = calls;
  const [task] = tasks;
  expect(queue).toBe('next');
  expect(task).toMatchObject({
    id: derivedTaskId(ENDED_AT, `${ID}:1 0`),
    lane: 'low',
    extras: { ttlMs: 5, mark: `mail 0 ${ID}:1` },
  });
  expect(timeOfTaskId(task?.id ?? '')).toBe(ENDED_AT);
  expect(decodeContent(task?.content ?? Buffer.alloc(0))).toEqual({
    type: 'add',
    input: { one: 1, two: 2 },
    options: { maxAttempts: 2, cause: { id: ID, state: 'succeeded', result: { sum: 3 } } },
  });
  expect(notes).toEqual([{ name: `${ID}:1`, done: 'all' }]);
});

test.each([
  ['dead', { error: encodeCbor({ name: 'TypeError', message: 'wrong' }) }, 'dead', 'TypeError'],
  ['dead, and runs again', { state: 'dead' }, 'dead', 'ErrorGone'],
  ['cancelled before it ran', { state: 'cancelled' }, 'cancelled', 'Cancelled'],
  ['never there', { state: 'gone' }, 'removed', 'NeedGone'],
])('the cause of one whose task is %s', async (state, more, shown, name) => {
  const { calls, relay } = stage();
  await relay(entryOf([follower('next')], { state, result: undefined, ...more }));
  const { options } = decodeContent(calls[0]?.tasks[0]?.content ?? Buffer.alloc(0));
  expect(options['cause']).toMatchObject({ id: ID, state: shown, error: { name } });
});

test('of many followers a hundred are sent before it is noted how far they are', async () => {
  const { calls, notes, relay } = stage();
  const followers = Array.from({ length: 230 }, () => follower('next'));
  await relay(entryOf(followers));
  await relay(entryOf(followers.slice(100), { from: 100 }));
  await relay(entryOf(followers.slice(200), { from: 200 }));
  expect(notes.map(({ done }) => done)).toEqual([100, 200, 'all']);
  const ids = calls.flatMap(({ tasks }) => tasks.map(({ id }) => id));
  expect(new Set(ids).size).toBe(230);
});

test('no call has more than 250 tasks, and results are large in few of them', async () => {
  const { calls, relay } = stage();
  const entries = Array.from({ length: 6 }, (_, at) =>
    entryOf(
      Array.from({ length: 90 }, () => follower('next')),
      { name: `${ID}:${at + 1}` },
    ),
  );
  await relay(...entries);
  expect(calls.map(({ tasks }) => tasks.length)).toEqual([250, 250, 40]);
  const large = entryOf(
    Array.from({ length: 9 }, () => follower('next')),
    { result: encodeCbor('x'.repeat(1e6)) },
  );
  await relay(large);
  expect(calls.slice(3).map(({ tasks }) => tasks.length)).toEqual([4, 4, 1]);
});

test('a queue that takes nothing holds up what goes there alone, and is told to whoever relays', async () => {
  const { calls, notes, relay } = stage('full');
  const mixed = entryOf([follower('next'), follower('full'), follower('next')], { name: `${ID}:2` });
  await expect(relay(entryOf([follower('next')]), mixed)).rejects.toMatchObject({ code: 'redis-full' });
  expect(calls.map(({ queue, tasks }) => [queue, tasks.length])).toEqual([['next', 3]]);
  // The third is sent once more, and found.
  expect(notes).toEqual([
    { name: `${ID}:1`, done: 'all' },
    { name: `${ID}:2`, done: 1 },
  ]);
});

test('what was read too long ago is not sent, and what cannot be read is left out', async () => {
  const { calls, notes, deps, relay } = stage();
  await expect(relayEntries([entryOf([follower('next')])], steadyNow() - 11_000, deps)).rejects.toThrow(
    'too long',
  );
  expect(calls).toEqual([]);
  await relay(entryOf([undefined, { ...follower('next'), content: Buffer.from([0xff]) }]));
  expect(calls).toEqual([]);
  expect(notes.at(-1)).toEqual({ name: `${ID}:1`, done: 'all' });
});

test.each([
  [
    'an entry with more followers than go at once',
    [entryOf(Array.from({ length: 230 }, () => follower('next')))],
  ],
  ['results that fill a call', [entryOf([follower('next')], { result: encodeCbor('x'.repeat(2e6)) })]],
])('behind %s it looks again at once', async (_, first) => {
  const { deps } = stage();
  let taken = 0;
  const take = async (): Promise<readonly OutboxEntry[]> => {
    taken += 1;
    return taken === 1 ? first : [];
  };
  const relay = createRelay({ ...deps, outbox: { ...deps.outbox, take } });
  relay.soon(PLACE);
  await relay.settled();
  expect(taken).toBe(2);
});

test('the first end is followed at once, those that come soon after it together', async () => {
  const { deps } = stage();
  let taken = 0;
  const take = async (): Promise<readonly OutboxEntry[]> => {
    taken += 1;
    return [];
  };
  const relay = createRelay({ ...deps, outbox: { ...deps.outbox, take } });
  relay.soon(PLACE);
  expect(taken).toBe(1);
  for (let ends = 0; ends < 50; ends += 1) relay.soon(PLACE);
  await relay.settled();
  expect(taken).toBe(2);
});

test('the call that takes the next entries notes those before, the last ones get a call of their own', async () => {
  const { calls, deps } = stage();
  const full = (from: number): OutboxEntry[] =>
    Array.from({ length: 50 }, (_, at) => entryOf([follower('next')], { name: `${ID}:${from + at}` }));
  const rounds = [full(1), [entryOf([follower('next')], { name: `${ID}:51` })]];
  const noted: (number | string)[] = [];
  const failures = [new Error('the reply was lost')];
  const take = async (_: unknown, __: number, notes: readonly RelayNote[] = []) => {
    noted.push(notes.length);
    const failure = notes.length > 0 && failures.pop();
    if (failure) throw failure;
    return rounds.shift() ?? [];
  };
  const note = async (_: unknown, notes: readonly RelayNote[]) =>
    void noted.push(`alone ${notes.map(({ name }) => name.slice(37)).join(' ')}`.slice(0, 20));
  const relay = createRelay({ ...deps, outbox: { ...deps.outbox, take, note } });
  relay.soon(PLACE);
  await relay.settled();
  // The second call failed: what it would have noted is noted all the same.
  expect(noted).toEqual([0, 50, 'alone 1 2 3 4 5 6 7 '.slice(0, 20)]);
  relay.soon(PLACE);
  await relay.settled();
  expect(noted.slice(3)).toEqual([0, 'alone 51']);
  expect(calls.map(({ tasks }) => tasks.length)).toEqual([50, 1]);
});

test('a webhook becomes a delivery of the ends that it is about, and of no other', async () => {
  const { calls, notes, relay } = stage();
  const webhook = (target: object): Follower => ({
    queue: WEBHOOK_QUEUE,
    lane: 'normal',
    content: encodeContent(WEBHOOK_TYPE, target),
  });
  const url = 'https://example.org/hook';
  await relay(entryOf([webhook({ url, states: ['dead'] }), webhook({ url }), webhook({ endpoint: 'wh_1' })]));
  expect(notes).toEqual([{ name: `${ID}:1`, done: 'all' }]);
  const [{ queue, tasks } = { queue: '', tasks: [] }] = calls;
  expect(queue).toBe(WEBHOOK_QUEUE);
  // Their ids name their place among all that follow.
  expect(tasks.map(({ id }) => id)).toEqual(
    [1, 2].map((position) => derivedTaskId(ENDED_AT, `${ID}:1 ${position}`)),
  );
  const { input, options } = decodeContent(tasks[0]?.content ?? Buffer.alloc(0));
  expect(options).toEqual({ maxAttempts: 10, cause: { id: ID, state: 'succeeded' } });
  const { body, ...where } = input as { body: string };
  expect(where).toEqual({ url, task: ID, queue: 'mail', event: 'task.succeeded' });
  // Its row is gone.
  expect(JSON.parse(body)).toEqual({
    type: 'task.succeeded',
    timestamp: '2023-11-14T22:13:20.000Z',
    data: { id: ID, state: 'succeeded', queue: 'mail', finishedAt: '2023-11-14T22:13:20.000Z' },
  });
});
