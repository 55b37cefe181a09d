// One tick makes one task, however many workers hear that it is due, and whatever happens to its schedule meanwhile.

import type { Redis } from 'ioredis';
import * as v from 'valibot';
import { afterAll, expect, test } from 'vitest';
import { decodeContent } from '../../src/protocol/message.ts';
import { MISSED_AFTER_MS, type Schedule, ScheduleSchema } from '../../src/protocol/schedule.ts';
import { createOperator } from '../../src/store/operator.ts';
import { readFollowers } from '../../src/store/outbox.ts';
import { createSchedules } from '../../src/store/schedules.ts';
import type { PlannedTick } from '../../src/store/sweeper.ts';
import { runTicks } from '../../src/store/ticks.ts';
import { createWebhookEndpoints } from '../../src/store/webhook-endpoints.ts';
import { buildScriptsWithClock } from '../support/model-clock.ts';
import { countsOf, expectBalanced } from '../support/moves.ts';
import { KEY, openScriptedQueue, QUEUE, type ScriptedQueue } from '../support/scripted-queue.ts';
import { openStore, startStore } from '../support/store.ts';

const NAME = 'tick';

const { redis, client } = await startStore(buildScriptsWithClock);
/** As many workers as connections. */
const others = await Promise.all(
  Array.from({ length: 10 }, () => openStore(redis.url, buildScriptsWithClock)),
);

afterAll(() => {
  for (const one of others) one.disconnect();
});

function schedule(more: object): Schedule {
  return v.parse(ScheduleSchema, { type: 'add', input: { one: 1, two: 2 }, everyMs: 1_000, ...more });
}

/** Writes a schedule by the test's clock, which PUT cannot: it asks Redis for the time of day. */
async function plan(one: Schedule, due: number): Promise<void> {
  await createSchedules(client).put(QUEUE, NAME, one);
  await client.zadd(`${KEY}:ticks`, due, NAME);
}

/** One tick as a sweep names it; answers the id of its task, if it made one. */
async function runTick(
  worker: Redis,
  queue: string,
  { name, due }: { name: string; due: number },
  now: number,
): Promise<string | undefined> {
  const definition = (await worker.hgetBuffer(`pf:{${queue}}:schedules`, name)) ?? undefined;
  const ticks = [{ name: Buffer.from(name), due: String(due), definition }];
  const [report] = await runTicks(worker, queue, { ticks, plans: [], now, lateSince: now });
  return report?.word === 'ran' ? report.task : undefined;
}

function named(ticks: readonly PlannedTick[]): { name: string; due: number }[] {
  return ticks.map(({ name, due }) => ({ name: name.toString(), due: Number(due) }));
}

async function plannedAt(name = NAME): Promise<number | undefined> {
  const score = await client.zscore(`${KEY}:ticks`, name);
  return score === null ? undefined : Number(score);
}

async function opened(): Promise<ScriptedQueue & { readonly now: number }> {
  const queue = await openScriptedQueue(client);
  return { ...queue, now: queue.clock.now() };
}

test('a sweep names what is due and says when to look again, and ticks change nothing before that', async () => {
  const { clock, sweep, now } = await opened();
  await plan(schedule({}), now + 500);
  expect(await sweep()).toMatchObject({ ticks: [], nextMs: 500, now });
  await clock.advance(500);
  expect(named((await sweep()).ticks)).toEqual([{ name: NAME, due: now + 500 }]);
  // Left to the worker that swept, and named again when it has not run it.
  expect((await sweep()).ticks).toEqual([]);
  await clock.advance(500);
  expect(named((await sweep()).ticks)).toEqual([{ name: NAME, due: now + 500 }]);
  expect(await countsOf(client, QUEUE)).toEqual({});
});

test('ten workers at the same time run the same tick: one task, and one next tick', async () => {
  const { clock, now, task } = await opened();
  const one = schedule({ priority: 'low', maxAttempts: 2, ttlMs: 60_000 });
  await plan(one, now);
  for (let round = 0; round < 20; round += 1) {
    const due = now + round * 1_000;
    const ids = await Promise.all(
      others.map((worker) => runTick(worker, QUEUE, { name: NAME, due }, clock.now())),
    );
    const made = ids.filter((id) => id !== undefined);
    expect(made, `round ${round}`).toHaveLength(1);
    expect(await plannedAt()).toBe(due + 1_000);
    const record = await task(made[0] ?? '');
    expect(record).toMatchObject({ state: 'ready', lane: 'low', expiresAt: clock.now() + 60_000 });
    expect(decodeContent(record?.content ?? Buffer.alloc(0))).toMatchObject({
      type: 'add',
      input: { one: 1, two: 2 },
      options: { maxAttempts: 2 },
    });
    expect(await client.hget(`${KEY}:last-runs`, NAME)).toBe(`${due} ${made[0]}`);
    await clock.advance(1_000);
  }
  expect(await countsOf(client, QUEUE)).toEqual({ accepted: 20, ready: 20 });
  await expectBalanced(client, QUEUE);
});

test('a worker that comes late with a tick changes nothing', async () => {
  const { clock, now } = await opened();
  await plan(schedule({}), now);
  const tick = { name: NAME, due: now };
  expect(await runTick(client, QUEUE, tick, now)).toBeDefined();
  await clock.advance(10_000);
  expect(await runTick(client, QUEUE, tick, clock.now())).toBeUndefined();
  expect(await plannedAt()).toBe(now + 1_000);
  expect(await countsOf(client, QUEUE)).toEqual({ accepted: 1, ready: 1 });
});

test('a schedule that was deleted, paused or moved in time meanwhile does not tick', async () => {
  const { now } = await opened();
  const schedules = createSchedules(client);
  const tick = { name: NAME, due: now };
  await plan(schedule({}), now + 700);
  expect(await runTick(client, QUEUE, tick, now)).toBeUndefined();
  expect(await plannedAt()).toBe(now + 700);

  await plan(schedule({}), now);
  await schedules.put(QUEUE, NAME, schedule({ paused: true }));
  expect(await runTick(client, QUEUE, tick, now)).toBeUndefined();
  expect(await plannedAt()).toBeUndefined();

  await plan(schedule({}), now);
  expect(await schedules.delete(NAME)).toBe(true);
  expect(await runTick(client, QUEUE, tick, now)).toBeUndefined();
  expect(await countsOf(client, QUEUE)).toEqual({});
  expect(
    await client.exists(
      ...['ticks', 'schedules', 'lastrun', 'parked', 'skipped'].map((one) => `${KEY}:${one}`),
    ),
  ).toBe(0);
});

test.each([
  ['skip', 0],
  ['once', 1],
])('missed ticks, with %s: %d tasks for all of them, and then it goes on', async (misfire, tasks) => {
  const { clock, now } = await opened();
  await plan(schedule({ misfire }), now);
  await clock.advance(60_000 + MISSED_AFTER_MS + 1);
  const id = await runTick(client, QUEUE, { name: NAME, due: now }, clock.now());
  expect(id === undefined ? 0 : 1).toBe(tasks);
  const next = await plannedAt();
  expect(next).toBe(now + 60_000 + MISSED_AFTER_MS + 1_000);
  await clock.advance(999);
  expect(await runTick(client, QUEUE, { name: NAME, due: next ?? 0 }, clock.now())).toBeDefined();
  expect(await countsOf(client, QUEUE)).toEqual({ accepted: tasks + 1, ready: tasks + 1 });
});

test('a schedule of one name is in one queue only', async () => {
  await opened();
  const schedules = createSchedules(client);
  expect(await schedules.put('one', NAME, schedule({ queue: 'one' }))).toMatchObject({ isNew: true });
  expect(await schedules.put('other', NAME, schedule({ queue: 'other' }))).toMatchObject({ isNew: false });
  expect((await schedules.list()).map(({ queue }) => queue)).toEqual(['other']);
  expect(await client.exists('pf:{one}:ticks', 'pf:{one}:schedules')).toBe(0);
  expect(await schedules.delete(NAME)).toBe(true);
  expect(await schedules.delete(NAME)).toBe(false);
});

test('case 39: the task of a tick is kept as its schedule says, also when it never runs', async () => {
  const { now, sweep, task } = await opened();
  await plan(schedule({ resultTtlMs: 0 }), now);
  const id = (await runTick(client, QUEUE, { name: NAME, due: now }, now)) ?? '';
  expect(await createOperator(client).cancel(QUEUE, id)).toBe('cancelled');
  expect(await task(id)).toMatchObject({ state: 'cancelled' });
  await sweep();
  expect(await task(id)).toBeUndefined();
});

test('who is told of what a schedule makes: its own webhook, and the endpoints that are about it', async () => {
  const { now, task } = await opened();
  const endpoint = { id: 'wh_1', url: 'https://example.org/all', createdAt: 1, secrets: [], types: ['add'] };
  // Not one of the connections that know already that there is none.
  const worker = await openStore(redis.url, buildScriptsWithClock);
  const endpoints = createWebhookEndpoints(worker);
  await endpoints.add(endpoint);
  await endpoints.add({ ...endpoint, id: 'wh_2', types: ['other'] });
  await plan(schedule({ webhook: { url: 'https://example.org/own', states: ['dead'] } }), now);
  const record = await task((await runTick(worker, QUEUE, { name: NAME, due: now }, now)) ?? '');
  const followers = readFollowers(record?.followers ?? '');
  expect(followers.map((one) => one && 'content' in one && decodeContent(one.content).input)).toEqual([
    { url: 'https://example.org/own', states: ['dead'] },
    { endpoint: 'wh_1' },
  ]);
  for (const id of ['wh_1', 'wh_2']) await endpoints.remove(id);
  worker.disconnect();
});
