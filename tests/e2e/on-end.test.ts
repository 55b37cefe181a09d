// `onEnd`: a task that is accepted when another one ends, whichever way that ends, once for each end.

import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { call, post } from '../support/http.ts';
import { act, finished, LIFE_TASKS, look, send, type TaskAnswer } from '../support/life.ts';
import { expectBalanced } from '../support/moves.ts';
import type { TestRedis } from '../support/redis.ts';
import { openStage } from '../support/stage.ts';

const FOLLOW = fileURLToPath(new URL('../fixtures/follow.mjs', import.meta.url));
const TASKS = { TASKS: `${LIFE_TASKS.TASKS},${FOLLOW}` };
const SHORT = { LEASE_MS: '1500', HEARTBEAT_MS: '250', POP_GRACE_MS: '300' };

interface Follower extends TaskAnswer {
  readonly queue: string;
  readonly cause: { readonly id: string; readonly state: string };
}

/** Tasks that follow `id`, once there are as many as given. */
async function followersOf(url: string, id: string, count = 1, queue = 'default'): Promise<Follower[]> {
  return eventually(async () => {
    const { body } = await call(`${url}/v1/tasks?queue=${queue}&limit=100`);
    const rows = body['items'] as { id: string; type: string }[];
    const after = rows.filter(({ type }) => type.startsWith('after'));
    const tasks = (await Promise.all(after.map((row) => look(url, row.id)))) as Follower[];
    const mine = tasks.filter(({ cause }) => cause?.id === id);
    return mine.length >= count && mine;
  });
}

/** Nothing waits to be followed, and nothing is pinned. */
async function expectAllFollowed({ client }: TestRedis, ...queues: string[]): Promise<void> {
  for (const queue of queues) {
    await eventually(async () => (await client.hlen(`pf:{${queue}}:outbox`)) === 0);
    for (const key of ['outbox-due', 'outbox-ages', 'pins']) {
      expect(await client.exists(`pf:{${queue}}:${key}`), key).toBe(0);
    }
    await expectBalanced(client, queue);
  }
}

test('a task is followed whichever way it ends while workers run, and its follower knows how', async (context) => {
  const stage = openStage(context);
  const redis = await stage.redis();
  const env = { ...TASKS, ...SHORT, REDIS_URL: redis.url, CONCURRENCY: '2' };
  const server = await stage.here('server', env);
  await stage.here('worker', env);
  const url = server.url();
  const onEnd = { type: 'after', input: { note: 'here' } };

  const added = await send(url, 'add', { one: 1, two: 2 }, { onEnd });
  const [first] = await followersOf(url, added);
  expect(first).toMatchObject({ type: 'after', cause: { id: added, state: 'succeeded' } });
  const cause = { id: added, state: 'succeeded', result: 3 };
  expect(await finished(url, String(first?.id))).toMatchObject({ result: { note: 'here', cause } });
  expect(await look(url, added)).toMatchObject({
    onEnd: { type: 'after', queue: 'default', task: first?.id },
  });

  // Its definition says where a follower goes, and how important it is.
  const failed = await send(url, 'hopeless', {}, { onEnd: { type: 'afterwards' } });
  const [elsewhere] = await followersOf(url, failed, 1, 'side');
  expect(elsewhere).toMatchObject({ queue: 'side', priority: 'high', cause: { state: 'dead' } });
  const end = await finished(url, String(elsewhere?.id));
  expect(end.result).toMatchObject({
    input: {},
    cause: { id: failed, state: 'dead', error: { name: 'PermanentError' } },
  });

  const running = await send(url, 'spin', {}, { onEnd });
  await eventually(async () => (await look(url, running)).state === 'running');
  expect((await act(url, running, 'cancel')).status).toBe(202);
  const [stopped] = await followersOf(url, running);
  expect((await finished(url, String(stopped?.id))).result).toMatchObject({
    cause: { state: 'cancelled', error: { name: 'Cancelled' } },
  });

  // Each end is followed: also that of a replay.
  expect((await act(url, failed, 'retry')).status).toBe(202);
  const twice = await followersOf(url, failed, 2, 'side');
  expect(new Set(twice.map(({ id }) => id)).size).toBe(2);
  await expectAllFollowed(redis, 'default', 'side');
});

test('a queue without workers: what is cancelled, expired or deleted there is followed by the server', async (context) => {
  const stage = openStage(context);
  const redis = await stage.redis();
  const url = (await stage.here('server', { ...TASKS, ...SHORT, REDIS_URL: redis.url })).url();
  const options = { onEnd: { type: 'after' }, queue: 'lonely' };
  const input = { one: 1, two: 2 };

  const cancelled = await send(url, 'add', input, options);
  expect((await act(url, cancelled, 'cancel')).status).toBe(200);
  expect(await followersOf(url, cancelled)).toMatchObject([
    { state: 'ready', cause: { state: 'cancelled' } },
  ]);

  const expired = await send(url, 'add', input, { ...options, ttlMs: 300 });
  expect(await followersOf(url, expired)).toMatchObject([{ cause: { state: 'dead' } }]);

  const deleted = await send(url, 'add', input, { ...options, delayMs: 60_000 });
  expect((await call(`${url}/v1/tasks/${deleted}`, { method: 'DELETE' })).status).toBe(204);
  expect(await followersOf(url, deleted)).toMatchObject([{ cause: { state: 'cancelled' } }]);
  await eventually(async () => (await call(`${url}/v1/tasks/${deleted}`)).status === 404);
  await expectAllFollowed(redis, 'lonely', 'default');
  const { body } = await call(`${url}/v1/queues/lonely`);
  expect(body).toMatchObject({ outbox: { length: 0, oldestMs: 0 } });
});

test('a follower is checked when its task is sent, and belongs to the request of an idempotency key', async (context) => {
  const stage = openStage(context);
  const redis = await stage.redis();
  const url = (await stage.here('server', { ...TASKS, REDIS_URL: redis.url })).url();
  const body = { type: 'add', input: { one: 1, two: 2 } };
  const refusals: readonly (readonly [unknown, number, string])[] = [
    [{ type: 'nobody-knows' }, 404, '#/onEnd/type'],
    [{ type: 'add', input: { one: 'x', two: 2 } }, 422, '#/onEnd/input/one'],
    [{ type: 'after', queue: 'Not A Queue' }, 422, '#/onEnd/queue'],
    [{ type: 'after', delayMs: 5 }, 422, '#/onEnd/delayMs'],
    ['after', 422, '#/onEnd'],
  ];
  for (const [onEnd, status, pointer] of refusals) {
    const answer = await post(`${url}/v1/tasks`, { ...body, onEnd });
    expect({ status: answer.status, errors: answer.body['errors'] }).toMatchObject({
      status,
      errors: [{ pointer }],
    });
  }
  const keyed = { ...body, key: 'k', onEnd: { type: 'after' } };
  expect((await post(`${url}/v1/tasks`, keyed)).status).toBe(202);
  expect((await post(`${url}/v1/tasks`, keyed)).status).toBe(200);
  expect((await post(`${url}/v1/tasks`, { ...keyed, onEnd: { type: 'afterwards' } })).status).toBe(422);
});
