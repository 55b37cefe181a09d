// What tasks are found by: the index has it exactly as long as it is true, and costs nothing where nobody asks for it.

import { describe, expect, test } from 'vitest';
import { createOperator } from '../../src/store/operator.ts';
import { homeOf } from '../../src/store/keys.ts';
import { listTasks } from '../../src/store/lister.ts';
import { writeFollower } from '../../src/store/outbox.ts';
import {
  errorTerm,
  fieldTerm,
  fingerprintTerm,
  readTerms,
  tagTerm,
  taskIdsBy,
  writeTerms,
} from '../../src/store/terms.ts';
import { encodeContent } from '../../src/protocol/message.ts';
import { buildScriptsWithClock } from '../support/model-clock.ts';
import { expectBalanced } from '../support/moves.ts';
import { GROUP } from '../support/outcome.ts';
import { KEY, openScriptedQueue, QUEUE } from '../support/scripted-queue.ts';
import { startStore } from '../support/store.ts';

const { client } = await startStore(buildScriptsWithClock);
const operator = createOperator(client);
const FIELDS = new Map([['customer', '4711']]);

/** All pages of a few tasks each. */
async function idsBy(...terms: readonly string[]): Promise<string[]> {
  const ids: string[] = [];
  let behind: string | undefined;
  do {
    const page = await taskIdsBy(client, homeOf(QUEUE), { terms, behind, count: 3 });
    ids.push(...page.ids);
    behind = page.next;
  } while (behind !== undefined);
  return ids;
}

const newestFirst = (ids: readonly string[]): string[] => ids.toSorted().toReversed();

describe('terms', () => {
  test.each([
    [['a b'], ['a', 'b']],
    [['a%20b'], ['a b']],
    [['a=b'], ['a', 'b']],
    [['line\nend'], ['line']],
    [['customer=4711'], ['customer']],
    [['ÄÖ 漢字 🙂'], ['ÄÖ']],
  ])('%j are other tags than %j, and are read as they were written', async (own, others) => {
    const { enqueue } = await openScriptedQueue(client);
    const [id] = await enqueue(1, { terms: writeTerms(own, FIELDS) });
    for (const tag of own) expect(await idsBy(tagTerm(tag))).toEqual([id]);
    for (const tag of others) expect(await idsBy(tagTerm(tag))).toEqual([]);
    expect(readTerms((await client.hget(`${KEY}:terms`, id ?? '')) ?? '')).toEqual({
      tags: own,
      fields: FIELDS,
    });
  });

  test('a tag is no field, and a value that begins with another one is not that', async () => {
    const { enqueue } = await openScriptedQueue(client);
    const [one] = await enqueue(1, { terms: writeTerms(['4711'], new Map()) });
    const [other] = await enqueue(1, { terms: writeTerms([], new Map([['customer', '47111']])) });
    expect(await idsBy(tagTerm('4711'))).toEqual([one]);
    expect(await idsBy(fieldTerm('customer', '4711'))).toEqual([]);
    expect(await idsBy(fieldTerm('customer', '47111'))).toEqual([other]);
  });

  test('each stands there once, and none are none', () => {
    expect(writeTerms(['a', ' a ', 'b'], new Map())).toBe('tag=a tag=b');
    expect(writeTerms(undefined, new Map())).toBeUndefined();
    expect(readTerms('tag=%E0%A4 nothing field.=x tag=ok')).toEqual({ tags: ['ok'], fields: new Map() });
  });
});

test('tasks of a term come newest first, page by page, whatever comes and goes meanwhile', async () => {
  const { enqueue } = await openScriptedQueue(client);
  const ids = await enqueue(20, { terms: 'tag=a' });
  await enqueue(20, { terms: 'tag=aa' });
  await enqueue(5);
  expect(await idsBy('tag=a')).toEqual(newestFirst(ids));
  const first = await taskIdsBy(client, homeOf(QUEUE), { terms: ['tag=a'], behind: undefined, count: 10 });
  for (const id of first.ids) await operator.remove(QUEUE, id);
  await enqueue(5, { terms: 'tag=a' });
  const rest = await taskIdsBy(client, homeOf(QUEUE), { terms: ['tag=a'], behind: first.next, count: 100 });
  expect(rest.ids.filter((id) => ids.includes(id))).toEqual(newestFirst(ids).slice(10));
  expect(rest.next).toBeUndefined();
});

test('several terms hold together, and those of the rarest one are looked at', async () => {
  const { enqueue } = await openScriptedQueue(client);
  await enqueue(300, { terms: 'tag=a' });
  const both = await enqueue(2, { terms: 'tag=b tag=a' });
  await enqueue(1, { terms: 'tag=b' });
  for (const terms of [
    ['tag=a', 'tag=b'],
    ['tag=b', 'tag=a'],
  ]) {
    // All in one look at three.
    const found = await taskIdsBy(client, homeOf(QUEUE), { terms, behind: undefined, count: 4 });
    expect(found).toEqual({ ids: newestFirst(both), next: undefined });
  }
  expect(await idsBy('tag=a', 'tag=none')).toEqual([]);
});

test('pages of a list: terms, a state and a type together', async () => {
  const { enqueue, take, finish } = await openScriptedQueue(client);
  const ids = await enqueue(30, { terms: 'tag=a' });
  await finish(await take(10), 'succeeded');
  const query = { queue: QUEUE, terms: ['tag=a'], accept: () => true, limit: 7 };
  for (const [state, expected] of [
    [undefined, ids],
    ['succeeded', ids.slice(0, 10)],
    ['ready', ids.slice(10)],
    ['dead', []],
  ] as const) {
    const found: string[] = [];
    let cursor: string | undefined;
    do {
      const page = await listTasks(client, { ...query, state, cursor });
      expect(page.records.length).toBeLessThanOrEqual(7);
      found.push(...page.records.map(({ id }) => id));
      cursor = page.next;
    } while (cursor !== undefined);
    expect(found, state).toEqual(newestFirst(expected));
  }
  const none = await listTasks(client, {
    ...query,
    state: undefined,
    accept: () => false,
    cursor: undefined,
  });
  expect(none).toEqual({ records: [], next: undefined });
});

test('whichever way tasks end and go, nothing of them is left in the index', async () => {
  const { clock, enqueue, take, finish, sweepAll } = await openScriptedQueue(client, { retentionMs: 5_000 });
  const terms = writeTerms(['a b', 'c'], FIELDS);
  for (const word of ['succeeded', 'dead', 'cancelled', 'crashed', 'failed', 'snoozed'] as const) {
    await enqueue(2, { terms });
    const [plain, own] = await take(2);
    await finish(plain ? [plain] : [], word, { group: GROUP });
    await finish(own ? [own] : [], word, { group: GROUP, resultTtlMs: 60_000, hasHistory: true });
    await expectBalanced(client, QUEUE);
  }
  await enqueue(1, { terms, ttlMs: 10 });
  await enqueue(1, { terms, ttlMs: 10, delayMs: 5 });
  const [cancelled = '', deleted = ''] = await enqueue(2, { terms, delayMs: 1_000 });
  await operator.cancel(QUEUE, cancelled);
  await operator.remove(QUEUE, deleted);
  const follower = writeFollower({ queue: 'next', lane: 'normal', content: encodeContent('add', {}) });
  const [followed = ''] = await enqueue(1, { terms, follower });
  await operator.remove(QUEUE, followed);
  expect(await idsBy('tag=c'), 'it stays until it is followed').toContain(followed);
  await client.del(`${KEY}:pins`);
  await expectBalanced(client, QUEUE);
  expect(await client.hget(`${KEY}:queue`, 'searched')).toBe('1');

  for (let rest = 0; rest < 4; rest += 1) {
    await clock.advance(20_000);
    await sweepAll();
    await finish(await take(10), 'succeeded');
    await expectBalanced(client, QUEUE);
  }
  await clock.advance(100_000);
  await sweepAll();
  expect(await client.hlen(`${KEY}:contents`)).toBe(0);
  const left = ['search', 'terms', 'dead-terms', 'error-groups', 'error-groups-seen'];
  expect(await client.exists(...left.map((name) => `${KEY}:${name}`))).toBe(0);
  expect(await client.hmget(`${KEY}:queue`, 'searched', 'groups_passed')).toEqual([null, null]);
});

test('a dead task is found by its error and its fingerprint until it runs again', async () => {
  const { enqueue, take, finish } = await openScriptedQueue(client);
  const [id = ''] = await enqueue(1, { terms: 'tag=a' });
  await finish(await take(1), 'dead', { group: GROUP });
  const terms = [errorTerm('Error'), fingerprintTerm('f'.repeat(16))];
  for (const term of terms) expect(await idsBy(term, 'tag=a')).toEqual([id]);
  await operator.replay(QUEUE, id);
  for (const term of terms) expect(await idsBy(term)).toEqual([]);
  expect(await idsBy('tag=a')).toEqual([id]);
  await expectBalanced(client, QUEUE);
  await finish(await take(1), 'dead', { group: GROUP });
  await operator.remove(QUEUE, id);
  expect(await client.exists(`${KEY}:search`)).toBe(0);
});

test('a queue without tags pays for none', async () => {
  const { enqueue, take, finish, sweepAll } = await openScriptedQueue(client);
  await sweepAll();
  const commands = async (): Promise<Record<string, number>> => {
    const stats = await client.info('commandstats');
    const counts = Array.from(stats.matchAll(/cmdstat_(\w+):calls=(\d+)/g), ([, name = '', count]) => [
      name,
      Number(count),
    ]);
    return Object.fromEntries(counts) as Record<string, number>;
  };
  const cycle = async (terms?: string): Promise<Record<string, number>> => {
    await client.config('RESETSTAT');
    await enqueue(10, terms === undefined ? undefined : { terms });
    await finish(await take(10));
    return commands();
  };
  await cycle();
  const without = await cycle();
  const withTerms = await cycle('tag=a');
  expect(without['zadd']).toBe(2); // The lease, by claim and finish.
  expect(withTerms['zadd']).toBe(12);
  expect((withTerms['hmget'] ?? 0) - (without['hmget'] ?? 0)).toBeGreaterThan(0);
});
