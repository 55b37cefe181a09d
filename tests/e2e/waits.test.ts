// Tasks that wait without a slot for a person or a time: in a thread, on the main thread, and in a process of its own.

import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Popfleet } from '../../src/client/client.ts';
import { eventually } from '../support/eventually.ts';
import { endAll, startRole } from '../support/fleet.ts';
import { type Answer, call, post } from '../support/http.ts';
import { act, finished, look, run, send } from '../support/life.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { type RoleHere, startHere, stopHere } from '../support/start-here.ts';

const TASKS = fileURLToPath(new URL('../fixtures/waits.mjs', import.meta.url));
const ID = '01890000-0000-7000-8000-000000000000';

let redis: TestRedis;
let server: RoleHere;
let worker: RoleHere;
let url: string;

beforeAll(async () => {
  redis = await startRedis();
  const variables = { TASKS, REDIS_URL: redis.url };
  [server, worker] = await Promise.all([
    startHere('server', variables),
    // One place: whoever waits must not have it.
    startHere('worker', { ...variables, CONCURRENCY: '1' }),
  ]);
  url = server.url();
});

afterAll(async () => {
  await stopHere(worker);
  await stopHere(server);
  await redis?.stop();
});

const complete = (id: string, payload?: unknown, name = 'approval'): Promise<Answer> =>
  post(`${url}/v1/waitpoints/${id}.${name}`, payload === undefined ? {} : { payload });
const waits = (id: string): Promise<unknown> =>
  eventually(async () => (await look(url, id)).state === 'waiting');

test.each(['waits', 'waits-inline'])(
  '%s: it waits for its token, and goes on with the payload',
  async (type) => {
    const ids = [await send(url, type), await send(url, type)];
    for (const id of ids) await waits(id);
    const [id = '', other = ''] = ids;
    expect((await call(`${url}/v1/tasks/${id}/explain`)).body).toMatchObject({
      reasons: [{ code: 'needs-unmet', message: 'It waits for "token approval".' }],
    });
    expect(await complete(id, { by: 'ann' })).toMatchObject({
      status: 200,
      body: { token: `${id}.approval`, task: id, repeated: false },
    });
    expect(await finished(url, id)).toMatchObject({
      state: 'succeeded',
      attempt: 1,
      errors: [],
      result: { timedOut: false, payload: { by: 'ann' }, attempt: 1, kept: 'before' },
    });
    // The same again is no other; something else is.
    expect((await complete(id, { by: 'ann' })).body).toMatchObject({ repeated: true });
    expect(await complete(id, { by: 'bob' })).toMatchObject({ status: 409, body: { code: 'invalid-state' } });
    const client = new Popfleet({ url });
    expect(await client.waitpoints.complete(`${other}.approval`)).toMatchObject({ repeated: false });
    expect((await finished(url, other)).result).toMatchObject({
      timedOut: false,
      attempt: 1,
      kept: 'before',
    });
  },
);

test('a wait ends at its time limit, and who comes later is told; one for a time ends then', async () => {
  const late = await run(url, 'waits', { timeoutMs: 1 });
  expect(late).toMatchObject({ state: 'succeeded', attempt: 1, result: { timedOut: true } });
  expect(await complete(late.id)).toMatchObject({ status: 409 });
  const untilMs = Date.now() + 50;
  const { result, finishedAt } = await run(url, 'waits', { untilMs });
  expect(result).toMatchObject({ timedOut: false });
  expect(Date.parse(finishedAt)).toBeGreaterThanOrEqual(untilMs);
});

test('a task that waits is cancelled at once, and its token is of no use any more; others are unknown', async () => {
  const id = await send(url, 'waits');
  await waits(id);
  expect((await complete(id, 1, 'other')).status).toBe(404);
  expect((await act(url, id, 'cancel')).body).toMatchObject({ state: 'cancelled' });
  expect(await complete(id)).toMatchObject({ status: 409 });
  expect((await complete(ID)).status).toBe(404);
  expect((await post(`${url}/v1/waitpoints/nonsense`, {})).status).toBe(404);
  expect((await post(`${url}/v1/waitpoints/${id}.approval`, { other: 1 })).status).toBe(422);
});

test('a handler that asks for nonsense is told what to do', async () => {
  const messageOf = async (type: string, input: unknown): Promise<string | undefined> =>
    (await run(url, type, input, { maxAttempts: 1 })).error?.message;
  expect(await messageOf('bad-wait', {})).toBe('waitFor needs one of these: token, children, untilMs');
  expect(await messageOf('bad-wait', { untilMs: 1, timeoutMs: 1 })).toMatch(/needs no timeoutMs/);
  expect(await messageOf('bad-wait', { untilMs: 'soon' })).toMatch(/milliseconds since 1970/);
  expect(await messageOf('bad-wait', { token: `${ID}.approval` })).toMatch(/one of this task/);
  expect(await messageOf('bad-token', 'not a name')).toMatch(/name of a token must match/);
  expect(await messageOf('waits', { forgets: true })).toMatch(/return context\.waitFor/);
});

test('a wait ends at its time while no worker lives; a task that took its worker down has its token still', async () => {
  const timed = await send(url, 'waits', { timeoutMs: 5_000 });
  await waits(timed);
  await stopHere(worker);
  await eventually(async () => (await look(url, timed)).state === 'ready');
  const start = () =>
    startRole('worker', { TASKS, REDIS_URL: redis.url, LEASE_MS: '2000', HEARTBEAT_MS: '500' });
  const first = await start();
  expect(await finished(url, timed)).toMatchObject({ state: 'succeeded', result: { timedOut: true } });
  const id = await send(url, 'waits', { dies: true });
  await first.exited;
  // Before anybody waits for it.
  expect(await complete(id, 'early')).toMatchObject({ status: 200 });
  const second = await start();
  const task = await finished(url, id);
  expect(task).toMatchObject({
    state: 'succeeded',
    crashes: 1,
    result: { payload: 'early', kept: 'before' },
  });
  // In a process of its own.
  expect(task.result).not.toMatchObject({ pid: second.pid });
  await endAll([second]);
});
