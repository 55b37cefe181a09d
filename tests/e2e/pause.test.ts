// A paused queue: nothing begins on the whole fleet, what runs ends, what comes waits, and a restart changes nothing.

import { setTimeout as pause } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { expectBelow } from '../support/expect-below.ts';
import { type Answer, call, post } from '../support/http.ts';
import { finished, LIFE_TASKS, look, send } from '../support/life.ts';
import { countsOf, expectBalanced, redisNow, startsOf } from '../support/moves.ts';
import { openStage } from '../support/stage.ts';

const ADD = { one: 1, two: 2 };
/** Long, so that whatever is quick was not waited for by chance. */
const SLOW_CLOCKS = { BLOCK_MS: '30000', HEARTBEAT_MS: '10000', LEASE_MS: '30000' };
/** A pause that does not work shows itself in much less. */
const LONG_ENOUGH_MS = 600;

function act(url: string, verb: 'pause' | 'resume', queue = 'default'): Promise<Answer> {
  return post(`${url}/v1/queues/${queue}/${verb}`, {});
}

test('pause and resume: at once for every worker, over a restart of all of them', async (context) => {
  const stage = openStage(context);
  const redis = await stage.redis();
  const env = { ...LIFE_TASKS, ...SLOW_CLOCKS, REDIS_URL: redis.url, CONCURRENCY: '2' };
  const roles = await Promise.all([
    stage.role('server', env),
    stage.role('worker', env),
    stage.role('worker', env),
  ]);
  let url = roles[0].url();
  const running = await Promise.all(Array.from({ length: 4 }, () => send(url, 'where', { ms: 2_500 })));
  await eventually(async () => (await countsOf(redis.client))['running'] === 4);
  const waiting: string[] = [];
  for (let sent = 0; sent < 6; sent += 1) waiting.push(await send(url, 'add', ADD));

  expect(await act(url, 'pause')).toMatchObject({ status: 200, body: { queue: 'default', paused: true } });

  // What runs ends well, and its workers take nothing more.
  for (const id of running) expect(await finished(url, id)).toMatchObject({ state: 'succeeded', attempt: 1 });
  // New ones are taken in.
  for (let sent = 0; sent < 3; sent += 1) waiting.push(await send(url, 'add', ADD));
  const later = await send(url, 'add', ADD, { delayMs: 100 });
  await pause(LONG_ENOUGH_MS);
  await eventually(async () => (await look(url, later)).state === 'ready');
  expect(await startsOf(redis.client)).toHaveLength(4);
  expect((await call(`${url}/v1/queues/default`)).body).toMatchObject({
    paused: true,
    counts: { accepted: 14, ready: 10, running: 0, succeeded: 4 },
  });
  // Twice is once.
  expect((await act(url, 'pause')).body).toMatchObject({ paused: true });

  for (const role of roles) role.signal('SIGTERM');
  expect(await Promise.all(roles.map(({ exited }) => exited))).toEqual([0, 0, 0]);
  const [server] = await Promise.all([
    stage.here('server', env),
    stage.here('worker', env),
    stage.here('worker', env),
  ]);
  url = server.url();
  await eventually(async () => (await redis.client.zcard('pf:{default}:workers')) === 2);
  await pause(LONG_ENOUGH_MS);
  expect((await call(`${url}/v1/queues/default`)).body).toMatchObject({
    paused: true,
    counts: { ready: 10 },
  });
  expect(await startsOf(redis.client)).toHaveLength(4);

  let paused = [...waiting, later];
  let succeeded = 4;
  await expectBelow(2_000, async () => {
    if (paused.length === 0) {
      await act(url, 'pause');
      paused = await Promise.all(Array.from({ length: 10 }, () => send(url, 'add', ADD)));
    }
    const resumedAt = await redisNow(redis.client);
    expect(await act(url, 'resume')).toMatchObject({ status: 200, body: { paused: false } });

    const tasks = await Promise.all(paused.map((id) => finished(url, id)));
    for (const task of tasks) expect(task).toMatchObject({ state: 'succeeded', result: 3, attempt: 1 });
    const first = Math.min(...tasks.map(({ startedAt }) => Date.parse(startedAt)));
    console.info(`first start ${first - resumedAt} ms after resume`);
    succeeded += paused.length;
    paused = [];
    return first - resumedAt;
  });
  await eventually(async () => (await countsOf(redis.client))['succeeded'] === succeeded);
  await expectBalanced(redis.client);
});

test.concurrent('a worker that waits idle for the next task does not start it, and its order is kept', async (context) => {
  const stage = openStage(context);
  const redis = await stage.redis();
  const env = { ...SLOW_CLOCKS, REDIS_URL: redis.url, CONCURRENCY: '1' };
  const [server] = await Promise.all([stage.here('server', env), stage.here('worker', env)]);
  const url = server.url();
  await finished(url, await send(url, 'add', ADD));
  await eventually(async () => ((await redis.client.client('LIST')) as string).includes(' cmd=brpop '));
  await act(url, 'pause');
  // The first of them is popped by the worker, which does not know yet, and given back.
  const ids: string[] = [];
  for (let sent = 0; sent < 5; sent += 1) ids.push(await send(url, 'add', ADD));
  await pause(LONG_ENOUGH_MS);
  expect(await countsOf(redis.client)).toMatchObject({ accepted: 6, ready: 5, succeeded: 1 });
  expect(await redis.client.llen('pf:{default}:ready:normal')).toBe(5);

  await act(url, 'resume');

  for (const id of ids) expect(await finished(url, id)).toMatchObject({ state: 'succeeded' });
  expect((await startsOf(redis.client)).slice(1)).toEqual(ids);
  // Again and again, without a worker being left behind.
  for (let round = 0; round < 5; round += 1) {
    await act(url, 'pause');
    const id = await send(url, 'add', ADD);
    await act(url, 'resume');
    expect(await finished(url, id), `round ${round}`).toMatchObject({ state: 'succeeded' });
  }
});

test.concurrent('other queues of the same worker go on', async (context) => {
  const stage = openStage(context);
  const redis = await stage.redis();
  const env = { ...SLOW_CLOCKS, REDIS_URL: redis.url, CONCURRENCY: '1', QUEUES: 'open,shut' };
  const [server] = await Promise.all([stage.here('server', env), stage.here('worker', env)]);
  const url = server.url();
  await finished(url, await send(url, 'add', ADD, { queue: 'shut' }));
  await act(url, 'pause', 'shut');
  const stays = await send(url, 'add', ADD, { queue: 'shut' });
  for (let sent = 0; sent < 5; sent += 1) {
    const id = await send(url, 'add', ADD, { queue: 'open' });
    expect(await finished(url, id)).toMatchObject({ state: 'succeeded', queue: 'open' });
  }
  expect((await look(url, stays)).state).toBe('ready');
  const { items } = (await call(`${url}/v1/queues`)).body as { items: { queue: string; paused: boolean }[] };
  expect(items.map(({ queue, paused }) => [queue, paused])).toEqual([
    ['open', false],
    ['shut', true],
  ]);
  await act(url, 'resume', 'shut');
  expect(await finished(url, stays)).toMatchObject({ state: 'succeeded' });

  for (const verb of ['pause', 'resume'] as const) {
    for (const queue of ['nobody', 'Upper', 'a%7Bb%7D']) {
      expect(await act(url, verb, queue)).toMatchObject({ status: 404, body: { code: 'not-found' } });
    }
  }
});
