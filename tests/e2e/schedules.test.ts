// Schedules on a whole fleet: each tick makes one task, whoever comes and goes.

import { setTimeout as pause } from 'node:timers/promises';
import { expect, type TestContext, test } from 'vitest';
import type { RoleProcess } from '../support/fleet.ts';
import { eventually } from '../support/eventually.ts';
import { type Answer, call, post } from '../support/http.ts';
import { countsOf, redisNow } from '../support/moves.ts';
import { refused } from '../support/refused.ts';
import type { TestRedis } from '../support/redis.ts';
import { openStage, type Stage } from '../support/stage.ts';
import { type TickWatch, watchTicks } from '../support/ticks.ts';
import { MISSED_AFTER_MS } from '../../src/protocol/schedule.ts';

const SECOND_MS = 1_000;
const WATCHED_TICKS = 30;
const ADD = { type: 'add', input: { one: 1, two: 2 } };
/** So that tasks of a worker that was killed run again soon. */
const SHORT_LEASE = { LEASE_MS: '2000', HEARTBEAT_MS: '500' };
const JSON_TYPE = { 'content-type': 'application/json' };

interface Fleet {
  readonly stage: Stage;
  readonly redis: TestRedis;
  readonly env: Record<string, string>;
  readonly server: RoleProcess;
  readonly ticks: TickWatch;
  worker(): Promise<RoleProcess>;
  put(name: string, schedule: object): Promise<Answer>;
  get(name: string): Promise<Answer>;
}

async function openFleet(context: TestContext): Promise<Fleet> {
  const stage = openStage(context);
  const redis = await stage.redis();
  const ticks = await watchTicks(redis);
  stage.atEnd(async () => ticks.stop());
  const env = { ...SHORT_LEASE, REDIS_URL: redis.url, CONCURRENCY: '1', LOG_LEVEL: 'debug' };
  const server = await stage.role('server', env);
  const url = (name: string): string => `${server.url()}/v1/schedules/${name}`;
  return {
    stage,
    redis,
    env,
    server,
    ticks,
    worker: () => stage.role('worker', env),
    put: (name, schedule) =>
      call(url(name), { method: 'PUT', headers: JSON_TYPE, body: JSON.stringify(schedule) }),
    get: (name) => call(url(name)),
  };
}

/** As many ticks as there are, each a second after the one before. */
function everySecond(dues: readonly number[]): number[] {
  return dues.map((_, at) => (dues[0] ?? 0) + at * SECOND_MS);
}

test.concurrent('three workers, thirty seconds at every second: one task a tick, though workers come and go', {
  timeout: 90_000,
}, async (context) => {
  const { redis, ticks, worker, put } = await openFleet(context);
  const [leaves, dies] = await Promise.all([worker(), worker(), worker()]);
  expect(await put('every-second', { ...ADD, cron: '* * * * * *' })).toMatchObject({ status: 201 });
  const untilTick = (count: number): Promise<unknown> =>
    eventually(() => ticks.of('every-second').length >= count, 60_000);

  await untilTick(6);
  leaves.signal('SIGTERM');
  await untilTick(10);
  const comes = worker();
  await untilTick(16);
  dies.signal('SIGKILL');
  await untilTick(20);
  const followsIt = worker();
  await untilTick(WATCHED_TICKS);
  await put('every-second', { ...ADD, cron: '* * * * * *', paused: true });
  expect(await leaves.exited).toBe(0);
  await Promise.all([comes, followsIt]);

  const dues = ticks.dues('every-second');
  expect(dues.map((due) => due % SECOND_MS)).toEqual(dues.map(() => 0));
  // Each second once, and none is missing.
  expect(dues).toEqual(everySecond(dues));
  for (const { due, at } of ticks.of('every-second')) expect(at).toBeGreaterThanOrEqual(due);
  const ids = ticks.of('every-second').map(({ task }) => task);
  expect(new Set(ids).size).toBe(dues.length);
  // Every task that there is was made by one of these ticks, and has run.
  await eventually(async () => {
    const { bytes: _, ...counts } = await countsOf(redis.client);
    expect(counts).toEqual({ accepted: dues.length, succeeded: dues.length });
    return true;
  });
  const lateness = ticks.of('every-second').map(({ due, at }) => Math.round(at - due));
  console.info('ticks', dues.length, 'lateness in ms', lateness.toSorted((a, b) => a - b).join(' '));
});

test.concurrent('after downtime: `skip` drops what was missed, `once` makes one run of it', async (context) => {
  const { redis, ticks, worker, put } = await openFleet(context);
  await put('skips', { ...ADD, everyMs: SECOND_MS, misfire: 'skip' });
  const puttedAt = await redisNow(redis.client);
  await put('once', { ...ADD, everyMs: SECOND_MS, misfire: 'once' });
  // Nobody there to run them.
  await pause(MISSED_AFTER_MS + 1_500);
  expect(ticks.of('once')).toEqual([]);

  const startedAt = await redisNow(redis.client);
  const frozen = await worker();
  await eventually(() => ticks.of('skips').length >= 3 && ticks.of('once').length >= 4);
  const [missed = 0, ...later] = ticks.dues('once');
  expect(missed).toBeLessThanOrEqual(puttedAt + 2 * SECOND_MS);
  for (const dues of [later, ticks.dues('skips')]) {
    expect(dues[0]).toBeGreaterThan(startedAt);
    expect(dues).toEqual(everySecond(dues));
  }

  // Less than that is made up for: every tick of a short downtime runs.
  frozen.signal('SIGSTOP');
  await pause(2_500);
  frozen.signal('SIGCONT');
  const before = ticks.of('skips').length;
  await eventually(() => ticks.of('skips').length >= before + 4);
  for (const name of ['skips', 'once']) {
    const dues = ticks.dues(name).slice(1);
    expect(dues, name).toEqual(everySecond(dues));
  }
});

test.concurrent('a schedule survives a restart of everything', async (context) => {
  const { stage, redis, env, server, ticks, worker, put, get } = await openFleet(context);
  const first = await worker();
  await put('kept', { ...ADD, everyMs: SECOND_MS, input: { one: 20, two: 1 } });
  await put('resting', { ...ADD, everyMs: SECOND_MS, paused: true });
  await eventually(() => ticks.of('kept').length >= 2);
  const { next: _, last: _last, ...before } = (await get('kept')).body;
  for (const role of [first, server]) {
    role.signal('SIGTERM');
    await role.exited;
  }
  ticks.stop();
  await redis.signal('SIGTERM');

  await redis.start();
  const again = await stage.role('server', env);
  const found = (await call(`${again.url()}/v1/schedules/kept`)).body;
  expect(found).toMatchObject(before);
  const upAt = await redisNow(redis.client);
  await worker();
  const last = await eventually(async () => {
    const { body } = await call(`${again.url()}/v1/schedules/kept`);
    const run = body['last'] as { due: string; task: string };
    return Date.parse(run.due) > upAt ? run : undefined;
  });
  const task = (await call(`${again.url()}/v1/tasks/${last.task}?wait=10`)).body;
  expect(task).toMatchObject({ state: 'succeeded', result: 21 });
  expect((await call(`${again.url()}/v1/schedules/resting`)).body).toMatchObject({ paused: true, next: [] });
  expect((await call(`${again.url()}/v1/schedules/resting`)).body['last']).toBeUndefined();
});

test.concurrent('a schedule is written, read, listed, paused, resumed and deleted', async (context) => {
  const { ticks, redis, worker, server, put, get } = await openFleet(context);
  const daily = { ...ADD, cron: '30 2 * * *', timeZone: 'Europe/Berlin', priority: 'low', maxAttempts: 2 };
  const created = await put('daily', daily);
  expect(created.status).toBe(201);
  const whole = { name: 'daily', ...daily, queue: 'default', misfire: 'skip', paused: false };
  expect(created.body).toMatchObject(whole);
  const next = (created.body['next'] as string[]).map((time) => Date.parse(time));
  expect(next).toHaveLength(5);
  for (const [at, time] of next.entries()) {
    expect(time).toBeGreaterThan(next[at - 1] ?? Date.now() - SECOND_MS);
    const shown = {
      timeZone: 'Europe/Berlin',
      hour: '2-digit',
      minute: '2-digit',
      hourCycle: 'h23',
    } as const;
    expect(new Intl.DateTimeFormat('en', shown).format(time)).toMatch(/^(02:30|03:00)$/);
  }
  expect((await get('daily')).body).toEqual(created.body);

  const changed = await put('daily', { ...daily, cron: '0 4 * * *' });
  expect(changed).toMatchObject({ status: 200, body: { cron: '0 4 * * *' } });
  await worker();
  expect((await put('beat', { ...ADD, everyMs: SECOND_MS, maxAttempts: 1 })).status).toBe(201);
  const listed = (await call(`${server.url()}/v1/schedules`)).body['items'] as { name: string }[];
  expect(listed.map(({ name }) => name)).toEqual(['beat', 'daily']);

  const [tick] = await eventually(() => ticks.of('beat').length > 0 && ticks.of('beat'));
  const task = (await call(`${server.url()}/v1/tasks/${tick?.task}?wait=10`)).body;
  expect(task).toMatchObject({ state: 'succeeded', result: 3, options: { maxAttempts: 1 } });
  const last = (await get('beat')).body['last'] as { due: string; task: string };
  expect(ticks.of('beat').map((one) => one.task)).toContain(last.task);

  const verb = (name: string, word: string): Promise<Answer> =>
    post(`${server.url()}/v1/schedules/${name}/${word}`, {});
  expect(await verb('beat', 'pause')).toMatchObject({ status: 200, body: { paused: true, next: [] } });
  const paused = ticks.of('beat').length;
  await pause(2_500);
  expect(ticks.of('beat')).toHaveLength(paused);
  const resumedAt = await redisNow(redis.client);
  expect(await verb('beat', 'resume')).toMatchObject({ status: 200, body: { paused: false } });
  await eventually(() => ticks.of('beat').length >= paused + 2);
  // What came due meanwhile was not missed: it was paused.
  expect(ticks.dues('beat')[paused]).toBeGreaterThan(resumedAt - SECOND_MS);

  // A schedule is in one queue: it moves.
  expect((await put('beat', { ...ADD, everyMs: SECOND_MS, queue: 'elsewhere' })).status).toBe(200);
  const moved = ticks.of('beat').length;
  expect((await get('beat')).body).toMatchObject({ queue: 'elsewhere' });
  await pause(1_500);
  expect(ticks.of('beat')).toHaveLength(moved); // Nobody works there.

  const remove = (name: string): Promise<Response> =>
    fetch(`${server.url()}/v1/schedules/${name}`, { method: 'DELETE' });
  expect([(await remove('beat')).status, (await remove('beat')).status]).toEqual([204, 404]);
  for (const answer of [await get('beat'), await verb('beat', 'pause'), await verb('nobody', 'resume')]) {
    expect(answer).toMatchObject({ status: 404, body: { code: 'not-found' } });
  }
  expect((await call(`${server.url()}/v1/schedules`)).body['items']).toHaveLength(1);
});

test.concurrent('a schedule that is wrong is refused, its field is named, and nothing is written', async (context) => {
  const stage = openStage(context);
  const redis = await stage.redis();
  const server = await stage.role('server', { REDIS_URL: redis.url });
  const put = (name: string, schedule: unknown) =>
    refused(redis.client, `${server.url()}/v1/schedules/${name}`, {
      method: 'PUT',
      headers: JSON_TYPE,
      body: JSON.stringify(schedule),
    });
  const table: readonly (readonly [object, readonly string[]])[] = [
    [{}, ['#/cron']],
    [{ cron: '* * * * *', everyMs: 5_000 }, ['#/cron']],
    [{ cron: '61 * * * *' }, ['#/cron']],
    [{ cron: '* * * * * * *' }, ['#/cron']],
    [{ cron: 5 }, ['#/cron']],
    [{ everyMs: 500 }, ['#/everyMs']],
    [{ everyMs: '5000' }, ['#/everyMs']],
    [{ cron: '* * * * *', timeZone: 'Europe/Atlantis' }, ['#/timeZone']],
    [{ everyMs: 5_000, misfire: 'twice' }, ['#/misfire']],
    [{ everyMs: 5_000, paused: 'yes' }, ['#/paused']],
    [{ everyMs: 5_000, delayMs: 5 }, ['#/delayMs']],
    [{ everyMs: 5_000, key: 'k' }, ['#/key']],
    [{ everyMs: 5_000, priority: 'urgent', queue: 'A' }, ['#/priority', '#/queue']],
    [{ everyMs: 5_000, backoff: { factor: 0 } }, ['#/backoff/factor']],
    [{ everyMs: 5_000, input: { one: 1 } }, ['#/input/two']],
    [{ everyMs: 5_000, name: 'other' }, ['#/name']],
  ];
  for (const [wrong, pointers] of table) {
    const problem = await put('wrong', { ...ADD, ...wrong });
    expect(problem, JSON.stringify(wrong)).toMatchObject({ status: 422, code: 'invalid-input' });
    expect(problem.pointers.toSorted(), JSON.stringify(wrong)).toEqual(pointers);
  }
  expect((await put('wrong', { everyMs: 5_000 })).pointers.toSorted()).toEqual(['#/input', '#/type']);
  expect(await put('wrong', { ...ADD, type: 'nope', everyMs: 5_000 })).toMatchObject({
    status: 404,
    code: 'unknown-type',
  });
  for (const name of ['Upper', '-', 'a%20b', 'a%7Bb%7D', 'x'.repeat(65)]) {
    expect(await put(name, { ...ADD, everyMs: 5_000 }), name).toMatchObject({ status: 422 });
  }
});
