// Schedules: one task a tick for the whole fleet, whatever comes and goes.

import { afterAll, beforeAll, expect, test } from 'vitest';
import { decodeContent, readTick } from '../../src/protocol/message.ts';
import { eventually } from '../support/eventually.ts';
import { expectBelow } from '../support/expect-below.ts';
import { endAll, type RoleProcess, startRole } from '../support/fleet.ts';
import { type Answer, call } from '../support/http.ts';
import { recordsOf } from '../support/records.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { type RoleHere, startHere, stopHere } from '../support/start-here.ts';

let redis: TestRedis;
let server: RoleHere;
const workers: (RoleHere | RoleProcess)[] = [];

beforeAll(async () => {
  redis = await startRedis();
  server = await startHere('server', { REDIS_URL: redis.url });
});

afterAll(async () => {
  for (const worker of workers) await ('child' in worker ? endAll([worker]) : worker.stop());
  await stopHere(server);
  await redis?.stop();
});

async function startWorker(queue: string): Promise<RoleHere> {
  const worker = await startHere('worker', { REDIS_URL: redis.url, QUEUES: queue, CONCURRENCY: '1' });
  workers.push(worker);
  return worker;
}

/** A machine that is very busy may leave Redis unheard for a moment: it asks again then. */
async function request(method: string, path: string, body?: object, triesLeft = 5): Promise<Answer> {
  const answer = await call(`${server.url()}/v1/schedules${path}`, {
    method,
    headers: { 'content-type': 'application/json' },
    ...(body ? { body: JSON.stringify(body) } : {}),
  });
  const isUnheard = answer.body['code'] === 'redis-unavailable' && triesLeft > 1;
  return isUnheard ? request(method, path, body, triesLeft - 1) : answer;
}

const task = { type: 'add', input: { one: 1, two: 2 } };

/** When the tasks of a queue were accepted, in the order of their ticks. */
async function acceptanceTimes(queue: string): Promise<number[]> {
  const times = (await recordsOf(redis.client, queue)).map(({ acceptedAt }) => acceptedAt);
  return times.toSorted((one, other) => one - other);
}

/** The ticks that the tasks of a queue stand for, as callers see them, in seconds since 1970. */
async function ticksOf(queue: string): Promise<number[]> {
  const ids = (await recordsOf(redis.client, queue)).map(({ id }) => id);
  const tasks = await Promise.all(ids.map((id) => call(`${server.url()}/v1/tasks/${id}`)));
  const due = tasks.map(({ body }) => (body['schedule'] as { due: string } | undefined)?.due);
  return due.map((time) => Date.parse(time ?? '') / 1_000).toSorted((one, other) => one - other);
}

test('a schedule is made, shown, changed, paused and deleted', async () => {
  const made = await request('PUT', '/report', {
    ...task,
    cron: '30 6 * * *',
    timeZone: 'Europe/Berlin',
    maxAttempts: 5,
  });
  expect(made).toMatchObject({
    status: 201,
    body: { name: 'report', queue: 'default', misfire: 'skip', paused: false, maxAttempts: 5, ...task },
  });
  const next = made.body['next'] as string[];
  expect(next).toHaveLength(5);
  const inBerlin = new Intl.DateTimeFormat('en-GB', { timeZone: 'Europe/Berlin', timeStyle: 'short' });
  expect(next.map((time) => inBerlin.format(new Date(time)))).toEqual(next.map(() => '06:30'));

  expect(await request('PUT', '/report', { ...task, everyMs: 60_000 })).toMatchObject({
    status: 200,
    body: { everyMs: 60_000 },
  });
  expect((await request('GET', '/report')).body).not.toHaveProperty('cron');
  expect((await request('POST', '/report/pause')).body).toMatchObject({ paused: true, next: [] });
  expect((await request('POST', '/report/resume')).body['next']).toHaveLength(5);
  expect((await request('GET', '')).body['items']).toContainEqual(
    expect.objectContaining({ name: 'report' }),
  );
  expect((await request('DELETE', '/report')).status).toBe(204);
  expect((await request('GET', '/report')).status).toBe(404);
  expect((await request('DELETE', '/report')).status).toBe(404);
});

test.each([
  [{ cron: '61 * * * *' }, '#/cron'],
  [{ cron: '* * * * * * *' }, '#/cron'],
  [{ cron: '0 0 30 2 *' }, '#/cron'],
  [{ cron: '* * * * *', everyMs: 1_000 }, '#/cron'],
  [{}, '#/cron'],
  [{ everyMs: 10 }, '#/everyMs'],
  [{ everyMs: 1_000, timeZone: 'Mars/Olympus' }, '#/timeZone'],
  [{ everyMs: 1_000, misfire: 'twice' }, '#/misfire'],
  [{ everyMs: 1_000, paused: 'yes' }, '#/paused'],
  [{ everyMs: 1_000, delayMs: 5 }, '#/delayMs'],
  [{ everyMs: 1_000, input: { one: 'x', two: 2 } }, '#/input/one'],
  [{ everyMs: 1_000, maxAttempts: 0 }, '#/maxAttempts'],
])('%j is refused, and the field is named', async (fields, pointer) => {
  const keys = await redis.client.dbsize();
  const { status, body } = await request('PUT', '/wrong', { ...task, ...fields });
  expect({ status, pointers: (body['errors'] as { pointer: string }[])?.map((one) => one.pointer) }).toEqual({
    status: 422,
    pointers: [pointer],
  });
  expect(await redis.client.dbsize()).toBe(keys);
});

test('an unknown type is 404, a name that is none 422', async () => {
  expect((await request('PUT', '/x', { ...task, type: 'nope', everyMs: 1_000 })).status).toBe(404);
  expect((await request('PUT', '/Not-A-Name!', { ...task, everyMs: 1_000 })).status).toBe(422);
});

/** Of each task of a queue: the tick it stands for, and how late it was accepted. */
async function latenessOf(queue: string): Promise<{ due: number; lateMs: number }[]> {
  return (await recordsOf(redis.client, queue)).flatMap(({ content, acceptedAt }) => {
    const tick = readTick(decodeContent(content).options);
    return tick ? [{ due: tick.due, lateMs: acceptedAt - tick.due }] : [];
  });
}

// These have queues of their own, and mostly wait: so they do it side by side.

test.concurrent('three workers at every second, of which two go and one comes: exactly one task a tick', async () => {
  const [leaves, killed] = await Promise.all([
    startWorker('ticks'),
    startRole('worker', { REDIS_URL: redis.url, QUEUES: 'ticks', CONCURRENCY: '1' }),
    startWorker('ticks'),
  ]);
  workers.push(killed);
  expect(
    (await request('PUT', '/each-second', { ...task, cron: '* * * * * *', queue: 'ticks' })).status,
  ).toBe(201);
  await eventually(async () => (await acceptanceTimes('ticks')).length >= 6, 90_000, 200);
  // The fleet changes meanwhile: one goes in order, one is killed, one comes.
  await leaves.stop();
  await startWorker('ticks');
  killed.signal('SIGKILL');
  await eventually(async () => (await acceptanceTimes('ticks')).length >= 18, 90_000, 200);
  expect((await request('POST', '/each-second/pause')).body).toMatchObject({ paused: true, next: [] });

  // By the tick each task stands for, not by when it was made: a busy machine makes it later.
  const seconds = await ticksOf('ticks');
  const first = seconds[0] ?? 0;
  expect(seconds).toEqual(seconds.map((_, at) => first + at));
});

test.concurrent('ticks missed while nobody was there are skipped, or run once', async () => {
  const fleet = [await startWorker('skip'), await startWorker('once')];
  for (const misfire of ['skip', 'once']) {
    await request('PUT', `/missed-${misfire}`, { ...task, everyMs: 1_000, queue: misfire, misfire });
    await eventually(async () => (await acceptanceTimes(misfire)).length >= 1);
  }
  await stopHere(...fleet);
  const counts = {
    skip: (await acceptanceTimes('skip')).length,
    once: (await acceptanceTimes('once')).length,
  };
  // Longer than a tick may be late before it counts as missed; nobody could run it, so there is no fact to wait for.
  await new Promise((resolve) => setTimeout(resolve, 7_000));
  await Promise.all([startWorker('skip'), startWorker('once')]);

  for (const misfire of ['skip', 'once'] as const) {
    await eventually(async () => (await acceptanceTimes(misfire)).length >= counts[misfire] + 2);
    // Regular ticks come at full seconds; the one run for all that were missed comes when the fleet does.
    const due = (await latenessOf(misfire)).map((one) => one.due).toSorted((one, other) => one - other);
    const gap = (due[counts[misfire] + 1] ?? 0) - (due[counts[misfire]] ?? 0);
    if (misfire === 'skip') expect(gap).toBe(1_000);
    const { skipped } = (await request('GET', `/missed-${misfire}`)).body as { skipped?: { count: number } };
    if (misfire === 'skip') expect(skipped?.count).toBeGreaterThanOrEqual(5);
    else expect(skipped).toBeUndefined();
    let seen = counts[misfire];
    await expectBelow(3_500, async () => {
      await eventually(async () => (await acceptanceTimes(misfire)).length >= seen + 3);
      const three = (await acceptanceTimes(misfire)).slice(seen, (seen += 3));
      return (three[2] ?? Number.NaN) - (three[0] ?? Number.NaN);
    });
  }
});

test.concurrent('case 5: a schedule that cannot be read is logged once, and its neighbours tick', async () => {
  const worker = await startWorker('broken');
  await redis.client.hset('pf:{broken}:schedules', 'bad', Buffer.from([0xff]));
  await redis.client.zadd('pf:{broken}:ticks', 1, 'bad', 1, 'nothing');
  await request('PUT', '/beside-it', { ...task, everyMs: 1_000, queue: 'broken' });
  await eventually(async () => (await acceptanceTimes('broken')).length >= 5);
  const said = worker.log().filter(({ schedule }) => schedule === 'bad' || schedule === 'nothing');
  expect(said.map(({ schedule, msg }) => [schedule, msg])).toEqual(
    expect.arrayContaining([
      ['bad', 'a schedule cannot tick: put it again, or delete it'],
      ['nothing', 'a tick of a schedule that is not there was dropped'],
    ]),
  );
  expect(said).toHaveLength(2);
  expect((await request('GET', '/bad')).body).toMatchObject({ name: 'bad', queue: 'broken', next: [] });
  expect((await request('DELETE', '/bad')).status).toBe(204);
  await request('DELETE', '/beside-it');
});

test.concurrent('case 1: 300 schedules that tick at the same time, two idle workers: every tick makes its task, in time', async () => {
  const [many, everyMs] = [300, 6_000];
  await Promise.all([startWorker('many'), startWorker('many')]);
  const names = Array.from({ length: many }, (_, at) => `many-${at}`);
  for (let at = 0; at < many; at += 20) {
    const put = async (name: string): Promise<boolean> =>
      (await request('PUT', `/${name}`, { ...task, everyMs, queue: 'many' })).status < 300;
    // A busy machine may answer 503: a PUT can be repeated.
    await Promise.all(names.slice(at, at + 20).map((name) => eventually(() => put(name))));
  }
  // The second hundred used to come a whole heartbeat (2.5 s) after the first, the third two.
  await expectBelow(2_400, async () => {
    const first = (Math.floor(Date.now() / everyMs) + 1) * everyMs;
    const isOf = (due: number): boolean => due === first || due === first + everyMs;
    const ran = await eventually(
      async () => {
        const both = (await latenessOf('many')).filter(({ due }) => isOf(due));
        return both.length >= 2 * many && both;
      },
      60_000,
      500,
    );
    for (const due of [first, first + everyMs])
      expect(ran.filter((one) => one.due === due)).toHaveLength(many);
    const late = ran.map(({ lateMs }) => lateMs).toSorted((one, other) => one - other);
    return (late[Math.floor(late.length * 0.99)] ?? Number.NaN) - (late[0] ?? Number.NaN);
  });
  for (const worker of workers) {
    const skipped = worker.log().filter(({ msg }) => msg === 'missed ticks were skipped');
    expect(skipped.filter(({ queue }) => queue === 'many')).toEqual([]);
  }
  await Promise.all(names.map((name) => request('DELETE', `/${name}`)));
});
