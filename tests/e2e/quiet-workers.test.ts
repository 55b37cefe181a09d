// What a person wants of a worker: quiet, it ends what it holds and takes nothing more; told to stop, its program ends.

import { expect, test } from 'vitest';
import { createKey } from '../../src/server/auth/api-keys.ts';
import { eventually } from '../support/eventually.ts';
import { type Answer, call, post } from '../support/http.ts';
import { finished, LIFE_TASKS, look, send } from '../support/life.ts';
import { openStage } from '../support/stage.ts';

const ADD = { one: 1, two: 2 };
/** Long, so that whatever is quick was not waited for by chance. */
const SLOW_CLOCKS = { BLOCK_MS: '30000', HEARTBEAT_MS: '10000', LEASE_MS: '30000' };

test('a worker is quiet, goes on, and stops', async (context) => {
  const stage = openStage(context);
  const redis = await stage.redis();
  const env = { ...LIFE_TASKS, ...SLOW_CLOCKS, REDIS_URL: redis.url, CONCURRENCY: '1' };
  const [server, worker] = await Promise.all([stage.here('server', env), stage.role('worker', env)]);
  const url = server.url();
  const workers = async (): Promise<Record<string, unknown>[]> =>
    (await call(`${url}/v1/workers`)).body['items'] as Record<string, unknown>[];
  const name = await eventually(async () => (await workers())[0]?.['worker']);
  const order = (verb: string): Promise<Answer> => post(`${url}/v1/workers/${String(name)}/${verb}`, {});

  const running = await send(url, 'where', { ms: 1_000 });
  await eventually(async () => (await look(url, running)).state === 'running');
  expect((await order('quiet')).body).toMatchObject({ items: [{ worker: name, state: 'quiet' }] });
  const waiting = await send(url, 'add', ADD);
  expect(await finished(url, running)).toMatchObject({ state: 'succeeded', attempt: 1 });
  expect((await look(url, waiting)).state).toBe('ready');
  expect((await call(`${url}/v1/tasks/${waiting}/explain`)).body).toMatchObject({
    reasons: [{ code: 'workers-quiet', blocking: true }],
  });

  expect((await order('resume')).body).toMatchObject({ items: [{ state: 'working' }] });
  expect(await finished(url, waiting)).toMatchObject({ state: 'succeeded' });

  const last = await send(url, 'where', { ms: 500 });
  await eventually(async () => (await look(url, last)).state === 'running');
  expect((await order('stop')).body).toMatchObject({ items: [{ state: 'stopping' }] });
  expect(await worker.exited).toBe(0);
  expect(await look(url, last)).toMatchObject({ state: 'succeeded', attempt: 1 });
  expect(await workers()).toEqual([]);
  expect((await order('quiet')).status).toBe(404);
  expect(await redis.client.exists('pf:{default}:orders')).toBe(0);

  const { body } = await call(`${url}/v1/audit`);
  expect((body['items'] as { readonly operation: string }[]).map(({ operation }) => operation)).toEqual([
    'stopWorker',
    'resumeWorker',
    'quietWorker',
  ]);
});

test('a key for some queues is about these alone, and ends no worker of others', async (context) => {
  const stage = openStage(context);
  const redis = await stage.redis();
  const all = createKey(['admin'], undefined);
  const some = createKey(['admin'], ['default']);
  const env = { ...LIFE_TASKS, REDIS_URL: redis.url, API_KEYS: `${all.entry},${some.entry}` };
  const [server] = await Promise.all([
    stage.here('server', env),
    stage.here('worker', { ...env, QUEUES: 'default,mail' }),
  ]);
  const with_ = (key: string) => ({ headers: { authorization: `Bearer ${key}` } });
  const url = `${server.url()}/v1/workers`;
  const states = async (): Promise<Record<string, unknown>> => {
    const items = (await call(url, with_(all.key))).body['items'] as Record<string, unknown>[];
    return Object.fromEntries(items.map(({ queue, state }) => [String(queue), state]));
  };
  await eventually(async () => Object.keys(await states()).length === 2);
  const [first] = (await call(url, with_(some.key))).body['items'] as Record<string, unknown>[];
  const order = (verb: string): Promise<Answer> =>
    call(`${url}/${String(first?.['worker'])}/${verb}`, { method: 'POST', ...with_(some.key) });
  expect((await order('stop')).status).toBe(403);
  expect((await order('quiet')).status).toBe(200);
  expect(await states()).toEqual({ default: 'quiet', mail: 'working' });
});
