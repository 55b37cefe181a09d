// This release beside the one before it, and beside a newer one, on one Redis: who does not keep the queue changes nothing
// and says why, and no task is lost.

import type { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, type TestContext, test } from 'vitest';
import { openPopfleet } from '../../src/library.ts';
import { createAdd } from '../../src/tasks/add.ts';
import { eventually } from '../support/eventually.ts';
import { type RoleProcess, stopRole } from '../support/fleet.ts';
import { call, post } from '../support/http.ts';
import { countsOf, expectBalanced } from '../support/moves.ts';
import { queueKey } from '../support/queue-key.ts';
import { buildReleaseBefore, type ReleaseBefore, whyNoReleaseBefore } from '../support/release-before.ts';
import { openStage, type Stage } from '../support/stage.ts';

const KEY = queueKey('default');
const LONG = { timeout: 180_000 };
const OLD_LAYOUT =
  'The queue "default" is kept by an earlier release of popfleet (protocol 1, this is 3), whose tasks this one cannot take over: let that release finish them, then delete the keys pf:{default}:* or give this one another database of Redis.';
const NEWER =
  'The queue "default" is kept by a newer release of popfleet (protocol 4, this is 3): upgrade this one.';

const missing = whyNoReleaseBefore();
let before: ReleaseBefore | undefined;
beforeAll(async () => {
  if (missing === undefined) before = await buildReleaseBefore();
}, 60_000);
afterAll(() => before?.remove());
const withBoth = test.skipIf(missing !== undefined);
const why = missing === undefined ? '' : ` (skipped: ${missing})`;

interface Fleet {
  readonly client: Redis;
  readonly url: string;
  start(release: 'before' | 'this', role: 'server' | 'worker'): Promise<RoleProcess>;
}

async function openFleet(context: TestContext, taskMs: number): Promise<Fleet> {
  const stage: Stage = openStage(context);
  const redis = await stage.redis({ appendonly: 'no' });
  const env = {
    REDIS_URL: redis.url,
    TASK_DURATION_MS: String(taskMs),
    CONCURRENCY: '2',
    LEASE_MS: '1500',
    HEARTBEAT_MS: '200',
    BLOCK_MS: '500',
    POP_GRACE_MS: '200',
    SHUTDOWN_GRACE_MS: '3000',
  };
  return {
    client: redis.client,
    url: redis.url,
    start: (release, role) =>
      stage.role(role, env, undefined, release === 'before' ? before?.cli : undefined),
  };
}

/** Sends tasks, all of which are accepted. @returns their ids */
async function send(server: RoleProcess, count: number): Promise<string[]> {
  const answers = await Promise.all(
    Array.from({ length: count }, (_, at) => post(`${server.url()}/add`, { one: at, two: 1 })),
  );
  expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 202));
  return answers.map(({ body }) => String(body['id']));
}

async function refuse(server: RoleProcess): Promise<Record<string, unknown>> {
  const { status, body } = await post(`${server.url()}/add`, { one: 1, two: 2 });
  expect(status).toBeGreaterThanOrEqual(500);
  return { ...body, status };
}

/** Every key of the queue with all that it holds, but for lists that a blocking pop of any release may take from. */
async function dump(client: Redis, without?: RegExp): Promise<Record<string, string>> {
  const keys = (await client.keys('*')).filter((key) => key.startsWith(`${KEY}:`) && !without?.test(key));
  const values = await Promise.all(keys.sort().map((key) => client.dumpBuffer(key)));
  return Object.fromEntries(keys.map((key, at) => [key, values[at]?.toString('base64') ?? '']));
}

async function untilSucceeded(server: RoleProcess, ids: readonly string[]): Promise<void> {
  for (const [at, id] of ids.entries()) {
    const task = await eventually(async () => {
      const { body } = await call(`${server.url()}/v1/tasks/${id}?wait=5`);
      return body['state'] === 'succeeded' && body;
    });
    expect([at, task]).toMatchObject([at, { state: 'succeeded', result: expect.any(Number) }]);
  }
}

/** Lines in which a worker says that it leaves the queue alone. */
function leftAlone(worker: RoleProcess): readonly Record<string, unknown>[] {
  return worker.log().filter(({ msg }) => String(msg).startsWith('the queue is left alone'));
}

/** Waits until workers have asked Redis, or tried to change something, so many times more. */
async function untilAsked(client: Redis, times: number): Promise<void> {
  const calls = async (): Promise<number> =>
    Number(/cmdstat_evalsha:calls=(\d+)/.exec(await client.info('commandstats'))?.[1] ?? 0);
  const from = await calls();
  await eventually(async () => (await calls()) >= from + times);
}

withBoth(`the release before changes nothing of a queue of this one${why}`, LONG, async (context) => {
  const { client, url, start } = await openFleet(context, 30);
  // By this release, without a process of it that might sweep.
  const library = await openPopfleet({ redisUrl: url, tasks: [createAdd(0)] });
  const input = { one: 1, two: 1 };
  const handles = await library.enqueueMany(Array.from({ length: 4 }, () => ({ type: 'add', input })));
  const ids = handles.map(({ id }) => id);
  library.close();

  const untouched = await dump(client);
  const [oldServer, oldWorker] = await Promise.all([start('before', 'server'), start('before', 'worker')]);
  expect(await refuse(oldServer)).toMatchObject({ status: 500, code: 'internal' });
  await eventually(() => oldWorker.log().some((line) => JSON.stringify(line).includes('WRONGTYPE')));
  await untilAsked(client, 10);
  // What its blocking pop takes the ledger brings back.
  const popped = /:ready:/;
  const others = Object.entries(untouched).filter(([key]) => !popped.test(key));
  expect(await dump(client, popped)).toEqual(Object.fromEntries(others));

  // Both at once: this release does the work, beside one that goes on popping.
  const [server, worker] = await Promise.all([start('this', 'server'), start('this', 'worker')]);
  for (let round = 0; round < 3; round += 1) {
    ids.push(...(await send(server, 8)));
    expect(await refuse(oldServer)).toMatchObject({ status: 500 });
  }
  await stopRole(oldWorker);
  await untilSucceeded(server, ids);
  expect(await countsOf(client)).toMatchObject({ accepted: ids.length, succeeded: ids.length });
  await expectBalanced(client);
  expect(leftAlone(worker)).toEqual([]);
  expect(await Promise.all([worker, server, oldServer].map(stopRole))).toEqual([0, 0, 0]);
});

withBoth(
  `this release changes nothing of a queue of the one before, and says so${why}`,
  LONG,
  async (context) => {
    const { client, start } = await openFleet(context, 30);
    const oldServer = await start('before', 'server');
    const ids = await send(oldServer, 4);

    const untouched = await dump(client);
    const [server, worker] = await Promise.all([start('this', 'server'), start('this', 'worker')]);
    const refused = { status: 503, code: 'upgrade-needed', detail: OLD_LAYOUT };
    expect(await refuse(server)).toMatchObject(refused);
    await untilAsked(client, 10);
    expect(await dump(client)).toEqual(untouched);
    expect((await call(`${server.url()}/v1/tasks/${ids[0]}`)).body).toMatchObject({ state: 'ready' });

    // Both at once: the release before does the work.
    const oldWorker = await start('before', 'worker');
    for (let round = 0; round < 3; round += 1) {
      ids.push(...(await send(oldServer, 8)));
      expect(await refuse(server)).toMatchObject(refused);
    }
    await untilSucceeded(oldServer, ids);
    const counts = { accepted: String(ids.length), succeeded: String(ids.length) };
    expect(await client.hgetall(`${KEY}:count`)).toMatchObject(counts);
    expect(leftAlone(worker)).toMatchObject([{ queue: 'default', reason: OLD_LAYOUT }]);
    expect(await Promise.all([oldServer, oldWorker].map(stopRole))).toEqual([0, 0]);

    // As the sentence says: then it is this one's turn.
    await client.del(...(await client.keys(`pf:\\{default\\}:*`)));
    await untilSucceeded(server, await send(server, 4));
    await expectBalanced(client);
    expect(worker.log().filter(({ msg }) => msg === 'the queue is served again')).toHaveLength(1);
    expect(await Promise.all([worker, server].map(stopRole))).toEqual([0, 0]);
  },
);

test(
  'a queue that a newer release keeps is left alone while tasks run, and served again after a roll back',
  LONG,
  async (context) => {
    const { client, start } = await openFleet(context, 400);
    const [server, worker] = await Promise.all([start('this', 'server'), start('this', 'worker')]);
    const ids = await send(server, 8);
    await eventually(async () => (await countsOf(client))['running'] === 2);
    await client.hset(`${KEY}:queue`, 'protocol', 4);

    await eventually(() => leftAlone(worker).length > 0);
    const untouched = await dump(client);
    expect(await refuse(server)).toMatchObject({
      status: 503,
      code: 'upgrade-needed',
      detail: NEWER,
      retryAfterSeconds: 30,
    });
    await untilAsked(client, 12);
    expect(await dump(client)).toEqual(untouched);
    expect(leftAlone(worker)).toMatchObject([{ queue: 'default', reason: NEWER, level: 50 }]);
    const { ready = 0, running = 0 } = await countsOf(client);
    expect(ready + running).toBeGreaterThan(0);

    await client.hset(`${KEY}:queue`, 'protocol', 3);
    await untilSucceeded(server, ids);
    await expectBalanced(client);
    expect(leftAlone(worker)).toHaveLength(1);

    // It can be stopped while it is refused, with work under way.
    await send(server, 3);
    await eventually(async () => (await countsOf(client))['running'] === 2);
    await client.hset(`${KEY}:queue`, 'protocol', 4);
    expect(await Promise.all([worker, server].map(stopRole))).toEqual([0, 0]);
  },
);
