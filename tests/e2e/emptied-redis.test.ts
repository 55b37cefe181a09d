// Redis is emptied, or replaced by another one, while the fleet runs: what the fleet remembers of it is renewed by itself.

import { setTimeout as pause } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { call, post } from '../support/http.ts';
import { JOURNAL_TASKS, openQueueFacts } from '../support/queue-facts.ts';
import { openJournalStage, openStage } from '../support/stage.ts';
import type { RoleHere } from '../support/start-here.ts';

const HEARTBEAT_MS = 500;
const LONG = { timeout: 180_000 };

async function workersOf(server: RoleHere): Promise<Record<string, unknown>[]> {
  const { body } = await call(`${server.url()}/v1/workers`);
  return body['items'] as Record<string, unknown>[];
}

/** Waits until the worker is listed with all that it says of itself. */
async function untilListed(server: RoleHere, worker: Pick<RoleHere, 'pid' | 'worker'>): Promise<void> {
  await eventually(async () => {
    expect(await workersOf(server)).toEqual([
      expect.objectContaining({
        worker: worker.worker(),
        pid: worker.pid,
        host: expect.any(String),
        version: expect.any(String),
        types: expect.arrayContaining(['add', 'journal']),
      }),
    ]);
    return true;
  });
}

test.concurrent(
  'case 16: a worker that lost its lease and came back, and one whose Redis was emptied, are listed whole again',
  LONG,
  async (context) => {
    const { stage, redis, env } = await openJournalStage(context, {
      LEASE_MS: '1500',
      HEARTBEAT_MS: String(HEARTBEAT_MS),
    });
    const [server, worker] = await Promise.all([stage.here('server', env), stage.role('worker', env)]);
    // It sweeps the queue while the other one is frozen, and then goes.
    const other = await stage.here('worker', env);
    await eventually(async () => (await workersOf(server)).length === 2);

    worker.signal('SIGSTOP');
    await eventually(async () => {
      expect((await workersOf(server)).map((one) => one['worker'])).toEqual([other.worker()]);
      return true;
    });
    await other.stop();
    worker.signal('SIGCONT');
    await untilListed(server, worker);

    await redis.client.flushall();
    await untilListed(server, worker);
    await redis.client.hdel('pf:{default}:announced', worker.worker());
    await untilListed(server, worker);
  },
);

test.concurrent(
  'case 52: Redis is emptied: tasks are found, waited for and counted as on a fresh one',
  LONG,
  async (context) => {
    const { stage, redis, facts, env } = await openJournalStage(context, {
      HEARTBEAT_MS: String(HEARTBEAT_MS),
      MAX_QUEUES: '3',
    });
    const [server, worker] = await Promise.all([stage.here('server', env), stage.here('worker', env)]);
    const url = server.url();
    const send = (queue: string, more: object = {}): ReturnType<typeof post> =>
      post(`${url}/v1/tasks`, { type: 'add', input: { one: 1, two: 2 }, queue, ...more });
    await facts.untilSucceeded(await facts.send(url, 2, 0));
    for (const queue of ['idle-one', 'idle-two']) expect((await send(queue)).status).toBe(202);
    expect((await send('one-too-many')).status).toBe(503);

    await redis.client.flushall();
    // At once, although the server has made these queues known a moment ago; no worker serves the second.
    for (const queue of ['default', 'idle-one']) {
      const sent = await send(queue, { delayMs: 60_000 });
      expect(sent.status).toBe(202);
      expect((await call(`${url}/v1/tasks/${String(sent.body['id'])}`)).body).toMatchObject({
        state: 'scheduled',
        queue,
      });
    }
    await untilListed(server, worker);
    const [done = ''] = await facts.send(url, 1, 0);
    expect((await call(`${url}/v1/tasks/${done}?wait=20`)).body['state']).toBe('succeeded');
    expect(await facts.counts()).toEqual({ accepted: 2, succeeded: 1, scheduled: 1 });
    // Queues that are gone make room for others.
    await eventually(async () => (await send('new-one', { delayMs: 60_000 })).status === 202);
    await eventually(async () => (await send('one-too-many')).status === 503);
  },
);

test.concurrent(
  'case 52: a task that runs while Redis is emptied is stopped, and the worker goes on',
  LONG,
  async (context) => {
    const { stage, redis, facts, env } = await openJournalStage(context, {
      HEARTBEAT_MS: String(HEARTBEAT_MS),
      CONCURRENCY: '1',
    });
    const [server] = await Promise.all([stage.here('server', env), stage.here('worker', env)]);
    const running = await facts.send(server.url(), 1, 60_000);
    await facts.untilBegun(running);

    await redis.client.flushall();
    expect((await call(`${server.url()}/v1/tasks/${running[0]}`)).status).toBe(404);
    const [next = ''] = await facts.send(server.url(), 1, 0);
    await facts.untilSucceeded([next]);
    expect(await facts.counts()).toEqual({ accepted: 1, succeeded: 1 });
  },
);

test.concurrent('case 52: an older copy of Redis takes the place of a newer one', LONG, async (context) => {
  const stage = openStage(context);
  const [newer, older] = await Promise.all([stage.redis(), stage.redis()]);
  const proxy = await stage.proxy(newer);
  const env = { ...JOURNAL_TASKS, REDIS_URL: proxy.url, HEARTBEAT_MS: String(HEARTBEAT_MS) };
  const server = await stage.here('server', env);
  const [old = ''] = await openQueueFacts(newer).send(server.url(), 1, 0);
  await older.client.call('REPLICAOF', '127.0.0.1', String(newer.port));
  await eventually(async () => (await older.client.hget('pf:{default}:count', 'accepted')) === '1');
  await older.client.call('REPLICAOF', 'NO', 'ONE');
  const worker = await stage.here('worker', env);
  await untilListed(server, worker);
  await pause(HEARTBEAT_MS);

  proxy.leadTo(older.port);
  await newer.signal('SIGKILL');
  await untilListed(server, worker);
  const facts = openQueueFacts(older);
  const [sent = ''] = await eventually(() => facts.send(server.url(), 1, 0));
  await facts.untilSucceeded([old, sent]);
  expect((await call(`${server.url()}/v1/tasks/${old}`)).body['state']).toBe('succeeded');
});
