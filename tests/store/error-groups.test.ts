// Dead letters by fingerprint: counted when they die, exact in how many are dead now, and gone when nobody needs them any more.

import { describe, expect, test } from 'vitest';
import { encodeCbor } from '../../src/protocol/cbor.ts';
import { readTaskError, type TaskError } from '../../src/protocol/task-error.ts';
import { createErrorGroups, type ErrorGroup, writeErrorGroup } from '../../src/store/error-groups.ts';
import { createInspector } from '../../src/store/inspector.ts';
import { homeOf } from '../../src/store/keys.ts';
import { createOperator } from '../../src/store/operator.ts';
import { errorTerm, fingerprintTerm, taskIdsBy } from '../../src/store/terms.ts';
import { buildScriptsWithClock } from '../support/model-clock.ts';
import { expectBalanced } from '../support/moves.ts';
import { KEY, LEASE_MS, openScriptedQueue, QUEUE, type ScriptedQueue } from '../support/scripted-queue.ts';
import { startStore } from '../support/store.ts';

const HOUR_MS = 3_600_000;
const { client } = await startStore(buildScriptsWithClock);
const operator = createOperator(client);
const inspector = createInspector(client);
const { find, list, ignore } = createErrorGroups(client);

const fingerprint = (number: number): string => number.toString(16).padStart(16, '0');

function errorOf(number: number): TaskError {
  return { name: 'TypeError', message: `no order ${1_000_000 + number}`, fingerprint: fingerprint(number) };
}

const groupOf = (number: number, version?: string): string =>
  writeErrorGroup('add', errorOf(number), version);
const all = {
  queues: [QUEUE],
  type: undefined,
  since: undefined,
  ignored: undefined,
  firstSince: undefined,
  limit: 200,
  behind: undefined,
};

async function die(queue: ScriptedQueue, number: number, resultTtlMs?: number): Promise<string> {
  const [id = ''] = await queue.enqueue(1);
  const taken = await queue.take(1);
  const more = resultTtlMs === undefined ? {} : { resultTtlMs };
  await queue.finish(taken, 'dead', {
    payload: encodeCbor(errorOf(number)),
    group: groupOf(number),
    ...more,
  });
  return id;
}

test('a group counts its deaths, and knows how many of its tasks are dead now, and one of them', async () => {
  const queue = await openScriptedQueue(client);
  await toNextHour(queue);
  const first = await die(queue, 1);
  const firstSeenAt = queue.clock.now();
  await queue.clock.advance(1_000);
  const second = await die(queue, 1);
  const group: ErrorGroup = {
    queue: QUEUE,
    fingerprint: fingerprint(1),
    type: 'add',
    name: 'TypeError',
    message: 'no order <number>',
    dead: 2,
    total: 2,
    firstSeenAt,
    lastSeenAt: firstSeenAt + 1_000,
    sample: second,
    hours: { latestAt: firstSeenAt, counts: [2] },
    attempts: { least: 1, most: 1 },
    versions: [],
    ignored: undefined,
  };
  expect(await find([QUEUE], fingerprint(1))).toEqual([group]);

  await operator.replay(QUEUE, second);
  expect(await find([QUEUE], fingerprint(1))).toEqual([{ ...group, dead: 1, sample: first }]);
  await operator.remove(QUEUE, first);
  expect(await find([QUEUE], fingerprint(1))).toEqual([{ ...group, dead: 0, sample: second }]);
  await queue.clock.advance(1_000);
  await queue.finish(await queue.take(1), 'dead', { group: groupOf(1) });
  expect(await find([QUEUE], fingerprint(1))).toEqual([
    {
      ...group,
      dead: 1,
      total: 3,
      lastSeenAt: firstSeenAt + 2_000,
      hours: { latestAt: firstSeenAt, counts: [3] },
    },
  ]);
  expect(await find([QUEUE, 'unknown'], fingerprint(2))).toEqual([]);
});

async function toNextHour({ clock }: ScriptedQueue): Promise<void> {
  await clock.advance(HOUR_MS - (clock.now() % HOUR_MS));
}

test('a group knows its deaths of the last day by the hour', async () => {
  const queue = await openScriptedQueue(client);
  const hours = async (): Promise<unknown> => (await find([QUEUE], fingerprint(1)))[0]?.hours;
  await toNextHour(queue);
  const firstAt = queue.clock.now();
  await die(queue, 1);
  await queue.clock.advance(HOUR_MS - 1);
  await die(queue, 1);
  expect(await hours()).toEqual({ latestAt: firstAt, counts: [2] });
  await queue.clock.advance(1);
  await die(queue, 1);
  await queue.clock.advance(2 * HOUR_MS);
  for (let count = 0; count < 11; count += 1) await die(queue, 1);
  expect(await hours()).toEqual({ latestAt: firstAt + 3 * HOUR_MS, counts: [2, 1, 0, 11] });
  await queue.clock.advance(22 * HOUR_MS);
  await die(queue, 1);
  // The first two hours are more than a day ago.
  const day = [0, 11, ...Array.from({ length: 21 }, () => 0), 1];
  expect(await hours()).toEqual({ latestAt: firstAt + 25 * HOUR_MS, counts: day });
  await queue.clock.advance(24 * HOUR_MS);
  await die(queue, 1);
  expect(await hours()).toEqual({ latestAt: firstAt + 49 * HOUR_MS, counts: [1] });
});

test('a group knows how many attempts its tasks had had, and the latest five versions under which they died', async () => {
  const queue = await openScriptedQueue(client);
  const counted = async (): Promise<unknown> => {
    const [group] = await find([QUEUE], fingerprint(1));
    return group && [group.attempts, group.versions];
  };
  async function dieAfter(failures: number, version?: string): Promise<void> {
    await queue.enqueue(1);
    for (let failure = 0; failure < failures; failure += 1) {
      await queue.finish(await queue.take(1), 'failed', { payload: encodeCbor(errorOf(1)) });
      await queue.sweep();
    }
    await queue.finish(await queue.take(1), 'dead', { group: groupOf(1, version) });
  }

  await dieAfter(2, '1.0.0');
  expect(await counted()).toEqual([{ least: 3, most: 3 }, ['1.0.0']]);
  await dieAfter(0, '1.0.0');
  await dieAfter(4, '1.1.0-rc.1+5');
  expect(await counted()).toEqual([{ least: 1, most: 5 }, ['1.1.0-rc.1+5', '1.0.0']]);
  for (const version of ['2', '3', '1.0.0', '4', '5', undefined]) await dieAfter(1, version);
  expect(await counted()).toEqual([{ least: 1, most: 5 }, ['5', '4', '1.0.0', '3', '2']]);
});

test('what a build before has counted of a group stays, and is gone on with', async () => {
  const queue = await openScriptedQueue(client);
  await toNextHour(queue);
  const hours = `${queue.clock.now() / HOUR_MS} 4,1`;
  const before = { type: 'add', name: 'TypeError', message: 'no "attempts":"7 7"', hours };
  await client.hset(`${KEY}:error-groups`, fingerprint(1), `5 5 some-id ${JSON.stringify(before)}`);
  await queue.enqueue(1);
  await queue.finish(await queue.take(1), 'dead', { group: groupOf(1, '1.0.0') });
  const [group] = await find([QUEUE], fingerprint(1));
  expect(group).toMatchObject({ message: before.message, total: 6, firstSeenAt: 5 });
  expect(group?.hours).toEqual({ latestAt: queue.clock.now(), counts: [1, 5] });
  expect([group?.attempts, group?.versions]).toEqual([{ least: 1, most: 1 }, ['1.0.0']]);
});

describe('errors that scripts write', () => {
  async function expire(queue: ScriptedQueue, act: () => Promise<unknown>): Promise<string> {
    const [id = ''] = await queue.enqueue(1, { ttlMs: 10 });
    await queue.clock.advance(20);
    await act();
    return id;
  }

  test.each<[string, string, (queue: ScriptedQueue) => Promise<string>]>([
    ['expires in a sweep', 'Expired', (queue) => expire(queue, queue.sweep)],
    [
      'expires before its claim',
      'Expired',
      (queue) => expire(queue, async () => [await queue.take(1), await queue.sweep()]),
    ],
    [
      'takes three processes down',
      'PoisonTask',
      async (queue) => {
        const [id = ''] = await queue.enqueue(1);
        for (let crash = 0; crash < 3; crash += 1) await queue.finish(await queue.take(1), 'crashed');
        return id;
      },
    ],
    [
      'loses too many workers',
      'PoisonTask',
      async (queue) => {
        const [id = ''] = await queue.enqueue(1);
        for (let crash = 0; crash < 2; crash += 1) await queue.finish(await queue.take(1), 'crashed');
        await client.hset(`${KEY}:lost-leases`, id, 19);
        await queue.take(1);
        await queue.sweep();
        for (let part = 0; part < 4; part += 1) {
          await queue.clock.advance(LEASE_MS / 3);
          await queue.sweep();
        }
        return id;
      },
    ],
  ])('a task that %s has a fingerprint and is counted', async (_, name, end) => {
    const queue = await openScriptedQueue(client);
    const id = await end(queue);
    const task = await queue.task(id);
    expect(task?.state).toBe('dead');
    const error = readTaskError(task?.error ?? Buffer.alloc(0));
    expect(error).toEqual({ name, message: expect.any(String) as string, fingerprint: error.fingerprint });
    expect(error.fingerprint).toMatch(/^[0-9a-f]{16}$/);
    const { groups } = await list(all);
    expect(groups).toMatchObject([
      { fingerprint: error.fingerprint, type: 'add', name, message: error.message, dead: 1, sample: id },
    ]);
    for (const term of [errorTerm(name), fingerprintTerm(error.fingerprint ?? '')]) {
      const query = { terms: [term], behind: undefined, count: 5 };
      expect((await taskIdsBy(client, homeOf(QUEUE), query)).ids).toEqual([id]);
    }
    await expectBalanced(client, QUEUE);
  });
});

test('what was seen last comes first, page by page, of a type or since a time', async () => {
  const queue = await openScriptedQueue(client);
  for (const number of [1, 2, 3, 4]) {
    await queue.clock.advance(1_000);
    await die(queue, number);
  }
  await die(queue, 1);
  const order = [1, 4, 3, 2].map(fingerprint);
  const fingerprints = (groups: readonly ErrorGroup[]): string[] => groups.map((group) => group.fingerprint);
  expect(fingerprints((await list(all)).groups)).toEqual(order);

  const pages: string[] = [];
  let behind: ErrorGroup | undefined;
  do {
    const { groups, hasMore } = await list({ ...all, limit: 3, behind });
    pages.push(...fingerprints(groups));
    behind = hasMore ? groups.at(-1) : undefined;
  } while (behind);
  expect(pages).toEqual(order);
  const since = queue.clock.now() - 1_000;
  expect(fingerprints((await list({ ...all, since })).groups)).toEqual([1, 4, 3].map(fingerprint));
  expect((await list({ ...all, type: 'other' })).groups).toEqual([]);
  expect((await list({ ...all, queues: [] })).groups).toEqual([]);
  // By then the first two had been seen, one of them again after it.
  const firstSince = new Map([[QUEUE, queue.clock.now() - 1_000]]);
  expect(fingerprints((await list({ ...all, firstSince })).groups)).toEqual([4, 3].map(fingerprint));
  expect((await list({ ...all, firstSince: new Map() })).groups).toEqual([]);
});

test('beyond a thousand kinds, all others share a group', async () => {
  const queue = await openScriptedQueue(client);
  await queue.enqueue(1_003);
  for (let number = 0; number < 1_003; number += 1) {
    await queue.finish(await queue.take(1), 'dead', { group: groupOf(number) });
  }
  expect(await client.hlen(`${KEY}:error-groups`)).toBe(1_001);
  const [other] = await find([QUEUE], 'other');
  expect(other).toMatchObject({ type: undefined, name: 'Other', dead: 3, total: 3 });
  // One that is known goes on, and each task is found by its own fingerprint.
  await die(queue, 5);
  expect(await find([QUEUE], fingerprint(5))).toMatchObject([{ dead: 2, total: 2 }]);
  const query = { terms: [fingerprintTerm(fingerprint(1_001))], behind: undefined, count: 5 };
  expect((await taskIdsBy(client, homeOf(QUEUE), query)).ids).toHaveLength(1);
  await expectBalanced(client, QUEUE);
});

test('a group is ignored until a time, or until more tasks have died of it, and its dead are counted apart', async () => {
  const queue = await openScriptedQueue(client);
  const ignored = async (number: number): Promise<unknown> =>
    (await find([QUEUE], fingerprint(number)))[0]?.ignored;
  const apart = async (): Promise<unknown> => (await inspector.queue(QUEUE)).deadIgnored;
  for (const number of [1, 1, 2, 3]) await die(queue, number);
  expect(await apart()).toBeUndefined();

  const until = queue.clock.now() + 5_000;
  await ignore([QUEUE], fingerprint(1), { until, moreDeaths: undefined });
  await ignore([QUEUE, 'unknown'], fingerprint(2), { until: undefined, moreDeaths: 1 });
  await ignore([QUEUE], fingerprint(9), { until, moreDeaths: undefined });
  expect(await ignored(1)).toEqual({ until, untilTotal: undefined });
  expect(await ignored(2)).toEqual({ until: undefined, untilTotal: 2 });
  expect([await ignored(3), await apart()]).toEqual([undefined, 3]);
  const fingerprints = async (wanted: boolean): Promise<unknown> =>
    (await list({ ...all, ignored: wanted })).groups.map((group) => group.fingerprint).toSorted();
  expect(await fingerprints(true)).toEqual([1, 2].map(fingerprint));
  expect(await fingerprints(false)).toEqual([3].map(fingerprint));

  await die(queue, 2);
  expect([await ignored(2), await apart()]).toEqual([{ until: undefined, untilTotal: 2 }, 4]);
  await die(queue, 2);
  expect([await ignored(2), await apart()]).toEqual([undefined, 2]);
  await queue.clock.advance(4_999);
  expect(await ignored(1)).toBeDefined();
  await queue.clock.advance(1);
  expect([await ignored(1), await apart()]).toEqual([undefined, undefined]);

  await ignore([QUEUE], fingerprint(3), { until: undefined, moreDeaths: undefined });
  await die(queue, 3);
  expect([await ignored(3), await apart()]).toEqual([{ until: undefined, untilTotal: undefined }, 2]);
  await ignore([QUEUE], fingerprint(3), undefined);
  expect([await ignored(3), await apart()]).toEqual([undefined, undefined]);
});

test('groups whose tasks are gone go with the retention, those with dead tasks stay', async () => {
  const queue = await openScriptedQueue(client, { retentionMs: 10_000, slice: 3 });
  // Kept for longer than the fleet keeps tasks, and in front of all others.
  const kept: string[] = [];
  for (let number = 0; number < 7; number += 1) kept.push(await die(queue, number, 100_000));
  await queue.clock.advance(10);
  for (let number = 10; number < 20; number += 1) await die(queue, number);
  const forEver = { until: undefined, moreDeaths: undefined };
  for (const number of [0, 10]) await ignore([QUEUE], fingerprint(number), forEver);
  const counted = (): Promise<number> => client.hlen(`${KEY}:error-groups`);
  await queue.clock.advance(9_980);
  await queue.sweepAll();
  expect(await counted()).toBe(17);
  await queue.clock.advance(1_000);
  await queue.sweepAll();
  expect(await client.hget(`${KEY}:count`, 'dead')).toBe('7');
  await queue.sweepAll();
  expect(await counted()).toBe(7);
  expect(await client.hkeys(`${KEY}:error-groups-ignored`)).toEqual([fingerprint(0)]);
  for (const id of kept) await operator.remove(QUEUE, id);
  await queue.sweepAll();
  const names = ['error-groups', 'error-groups-seen', 'error-groups-ignored', 'search'];
  expect(await client.exists(...names.map((name) => `${KEY}:${name}`))).toBe(0);
});
