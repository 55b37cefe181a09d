// A Redis that is there and takes no writes, or no longer: a fleet never waits for it in silence.

import { expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { expectBelow, msOf } from '../support/expect-below.ts';
import { call } from '../support/http.ts';
import { JOURNAL_TASKS, openQueueFacts } from '../support/queue-facts.ts';
import { reasonsOf, redisCheck } from '../support/health.ts';
import { follow } from '../support/sentinels.ts';
import { openJournalStage, openStage } from '../support/stage.ts';

const GOES_ON_WITHIN_MS = 5_000;
const LONG = { timeout: 180_000 };

test(
  'case 3: a primary becomes a replica with its connections left open: all goes on with the new one within 5 s',
  LONG,
  async (context) => {
    const stage = openStage(context);
    await expectBelow(GOES_ON_WITHIN_MS, async () => {
      const [old, next] = await Promise.all([
        stage.redis({ 'repl-diskless-sync-delay': '0' }),
        stage.redis(),
      ]);
      const proxy = await stage.proxy(old);
      const env = { ...JOURNAL_TASKS, REDIS_URL: proxy.url, CONCURRENCY: '2' };
      const [server] = await Promise.all([
        stage.here('server', env),
        stage.here('worker', env),
        // An idle one, which has nothing to send but its pops and beats.
        stage.here('worker', { ...env, QUEUES: 'other' }),
      ]);
      const facts = openQueueFacts(next);
      const ids = await facts.send(server.url(), 2, 3_000);
      await facts.untilBegun(ids);
      await follow(next, old);

      await next.client.call('REPLICAOF', 'NO', 'ONE');
      proxy.leadTo(next.port);
      await old.client.call('REPLICAOF', '127.0.0.1', String(next.port));

      const later: string[] = [];
      const accepting = await msOf(() =>
        eventually(async () => {
          const answer = await facts.post(server.url(), 0);
          return answer.status === 202 && later.push(String(answer.body['id']));
        }),
      );
      // The first two take three seconds by themselves.
      const running = (await msOf(() => facts.untilSucceeded([...ids, ...later]))) - 3_000;
      for (const id of ids) expect(facts.runs(id)).toBe(1);
      const ready = await msOf(() => eventually(async () => (await redisCheck(server)).status === 200));
      // Long polls hear of it, so the events are those of the new one.
      const { body } = await call(`${server.url()}/v1/tasks`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', prefer: 'wait=10' },
        body: JSON.stringify({ type: 'journal', input: { file: `${next.dir}/default.journal`, ms: 300 } }),
      });
      expect(body['state']).toBe('succeeded');
      const idle = openQueueFacts(next, 'other');
      const [other = ''] = await idle.send(server.url(), 1, 0);
      return [accepting, running, ready, await msOf(() => idle.untilSucceeded([other]))];
    });
  },
);

test('case 3: a server whose Redis has become a replica says so until it finds another one', async (context) => {
  const stage = openStage(context);
  await expectBelow(GOES_ON_WITHIN_MS, async () => {
    const [old, next] = await Promise.all([stage.redis(), stage.redis()]);
    const proxy = await stage.proxy(old);
    const server = await stage.here('server', { REDIS_URL: proxy.url });
    expect(await redisCheck(server)).toEqual({ status: 200, detail: undefined });

    await old.client.call('REPLICAOF', '127.0.0.1', String(next.port));
    await eventually(async () => {
      expect(await redisCheck(server)).toEqual({
        status: 503,
        detail: expect.stringMatching(/readonly|loading/),
      });
      return true;
    });
    await eventually(() => reasonsOf(server).some((reason) => String(reason).startsWith('READONLY')));
    proxy.leadTo(next.port);
    return msOf(() => eventually(async () => (await redisCheck(server)).status === 200));
  });
});

test('case 4: an address that leads to a replica: /readyz is 503, the log says it once, and nothing ends', async (context) => {
  const stage = openStage(context);
  const [primary, replica] = await Promise.all([stage.redis(), stage.redis()]);
  await follow(replica, primary);
  const server = stage.spawn('server', { REDIS_URL: replica.url });
  const worker = stage.spawn('worker', { REDIS_URL: replica.url });
  await eventually(() => server.url().startsWith('http'));

  await eventually(async () => {
    expect(await redisCheck(server)).toEqual({ status: 503, detail: 'readonly' });
    return true;
  });
  expect((await call(`${server.url()}/v1/queues`)).status).toBe(503);
  for (const role of [server, worker]) {
    await eventually(() => reasonsOf(role).length > 0);
    expect(reasonsOf(role)).toEqual(['READONLY: this is a replica, and popfleet needs the primary']);
    expect(role.child.exitCode).toBeNull();
  }
  // Once it is the primary, all goes on by itself.
  await replica.client.call('REPLICAOF', 'NO', 'ONE');
  await eventually(async () => (await redisCheck(server)).status === 200);
  expect(reasonsOf(server)).toHaveLength(1);
});

test('case 3: a primary that has lost its replicas (min-replicas-to-write) is no end, and not ready', async (context) => {
  const { stage, redis, facts, env } = await openJournalStage(context, { HEARTBEAT_MS: '500' });
  const [server] = await Promise.all([stage.here('server', env), stage.here('worker', env)]);

  await expectBelow(GOES_ON_WITHIN_MS, async () => {
    await redis.client.config('SET', 'min-replicas-to-write', '1');
    await eventually(async () => {
      expect(await redisCheck(server)).toEqual({ status: 503, detail: 'no replicas' });
      return true;
    });
    expect((await facts.post(server.url(), 0)).status).toBe(503);
    await redis.client.config('SET', 'min-replicas-to-write', '0');
    const later: string[] = [];
    const accepting = await msOf(() =>
      eventually(async () => {
        const answer = await facts.post(server.url(), 0);
        return answer.status === 202 && later.push(String(answer.body['id']));
      }),
    );
    return [accepting, await msOf(() => facts.untilSucceeded(later))];
  });
});
