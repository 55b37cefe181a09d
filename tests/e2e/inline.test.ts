// Handlers on the worker's main thread, and workers with fewer threads than tasks at the same time.

import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { call, post } from '../support/http.ts';
import { act, finished, look, run, send } from '../support/life.ts';
import { countsOf, expectBalanced, startsOf } from '../support/moves.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { openStage, type Stage } from '../support/stage.ts';
import { type RoleHere, startHere, stopHere } from '../support/start-here.ts';

const TASKS = fileURLToPath(new URL('../fixtures/inline.mjs', import.meta.url));
const LEFT_BEHIND = fileURLToPath(new URL('../fixtures/left-behind.mjs', import.meta.url));
/** Before, only the types that have run are known. */
const IS_FOLLOWED = Number(process.versions.node.split('.', 1)[0]) >= 24;
const ONCE = { maxAttempts: 1 };

let shared: TestRedis;
let server: RoleHere;
let worker: RoleHere;

beforeAll(async () => {
  shared = await startRedis();
  const env = { TASKS, REDIS_URL: shared.url };
  [server, worker] = await Promise.all([startHere('server', env), startHere('worker', env)]);
});
afterAll(async () => {
  await stopHere(server, worker);
  await shared?.stop();
});

/** A fleet of its own, for a test that counts or sets something. */
async function open(stage: Stage, settings: Record<string, string>): Promise<[string, TestRedis]> {
  const redis = await stage.redis();
  const env = { TASKS, REDIS_URL: redis.url, ...settings };
  const [own] = await Promise.all([stage.here('server', env), stage.here('worker', env)]);
  return [own.url(), redis];
}

test('an inline handler runs on the main thread, any other in a thread; both know their input', async () => {
  const url = server.url();
  expect(await run(url, 'inline', 5)).toMatchObject({
    state: 'succeeded',
    result: { isMainThread: true, threadId: 0, input: 5 },
  });
  expect(await run(url, 'threaded', 6)).toMatchObject({ result: { isMainThread: false, input: 6 } });
});

test('as many run at the same time as CONCURRENCY says, with one thread', async (context) => {
  const [url, redis] = await open(openStage(context), { CONCURRENCY: '20', THREADS: '1' });
  // All are there before the first one runs, however long it takes to send them.
  await post(`${url}/v1/queues/default/pause`, {});
  // Each takes longer than a busy worker needs to take as many as may run.
  const ids = await Promise.all(Array.from({ length: 50 }, () => send(url, 'inline.crowd', 1_000)));
  await post(`${url}/v1/queues/default/resume`, {});
  const tasks = await Promise.all(ids.map((id) => finished(url, id)));
  expect(tasks.map(({ state }) => state)).toEqual(tasks.map(() => 'succeeded'));
  expect(Math.max(...tasks.map(({ result }) => Number(result)))).toBe(20);
  await expectBalanced(redis.client);
});

test('errors of an inline handler end its task as they would in a thread', async () => {
  const url = server.url();
  const of = async (how: string): Promise<unknown> => (await run(url, 'inline.broken', how, ONCE)).error;
  expect(await of('throws')).toMatchObject({ name: 'RangeError', message: 'thrown' });
  expect(await of('rejects')).toMatchObject({ name: 'RangeError', message: 'rejected' });
  expect(await of('answers')).toMatchObject({
    name: 'PermanentError',
    message: expect.stringContaining('its result cannot be kept'),
  });
});

test('a deadline fires the signal of an inline handler; one that does not listen is given up', async () => {
  const url = server.url();
  for (const deaf of [false, true]) {
    const task = await run(url, 'inline.waiting', { deaf }, { ...ONCE, timeoutMs: 100 });
    expect(task).toMatchObject({ state: 'dead', error: { name: 'TimeoutError', killCause: 'timeout' } });
  }
  // The worker goes on.
  expect(await run(url, 'inline', 1)).toMatchObject({ state: 'succeeded' });
});

test('an inline task is cancelled while it runs', async () => {
  const url = server.url();
  const id = await send(url, 'inline.waiting', { deaf: false });
  await eventually(async () => (await call(`${url}/v1/tasks/${id}`)).body['state'] === 'running');
  await call(`${url}/v1/tasks/${id}/cancel`, { method: 'POST' });
  expect(await finished(url, id)).toMatchObject({ state: 'cancelled' });
});

test('tasks that find no thread go back at once, lose no attempt, and all of them run', async (context) => {
  // One thread for ten tasks at a time: nine of ten have to wait elsewhere.
  const [url, redis] = await open(openStage(context), { CONCURRENCY: '10', THREADS: '1' });
  const ids = await Promise.all(Array.from({ length: 12 }, () => send(url, 'block', 100)));
  const tasks = await Promise.all(ids.map((id) => finished(url, id)));
  expect(tasks.map(({ state, attempt, crashes }) => ({ state, attempt, crashes }))).toEqual(
    tasks.map(() => ({ state: 'succeeded', attempt: 1, crashes: 0 })),
  );
  await expectBalanced(redis.client);
});

test('while a long run has the only thread inline tasks run in the free places, and one for threads is not taken again and again', async (context) => {
  const settings = { CONCURRENCY: '4', THREADS: '1', QUEUES: 'default,mails' };
  const [url, redis] = await open(openStage(context), settings);
  const long = await send(url, 'block', 600_000);
  await eventually(async () => (await look(url, long)).state === 'running');
  const waits = await send(url, 'block', 1);
  await eventually(async () => (await startsOf(redis.client)).includes(waits));
  const begunAt = performance.now();
  // Of the same queue, and of another one, one after the other.
  for (const queue of ['default', 'mails', 'mails', 'mails']) {
    const few = await Promise.all(Array.from({ length: 5 }, () => send(url, 'inline', 1, { queue })));
    for (const id of few) expect(await finished(url, id)).toMatchObject({ state: 'succeeded' });
  }
  const seconds = (performance.now() - begunAt) / 1_000;
  expect((await look(url, long)).state).toBe('running');
  const taken = (await startsOf(redis.client)).filter((id) => id === waits).length;
  expect(taken).toBeLessThanOrEqual(4 + 2 * seconds);
  await act(url, long, 'cancel');
  expect(await finished(url, waits)).toMatchObject({ state: 'succeeded', attempt: 1, crashes: 0 });
  await expectBalanced(redis.client);
});

test('a flood of tiny tasks with long ones among them: nobody waits behind a long one, and each runs once', async (context) => {
  const stage = openStage(context);
  const [url, redis] = await open(stage, { CONCURRENCY: '2' });
  await stage.here('worker', { TASKS, REDIS_URL: redis.url, CONCURRENCY: '2' });
  const tiny = await Promise.all(Array.from({ length: 120 }, () => send(url, 'threaded', 1)));
  const long = await Promise.all(Array.from({ length: 3 }, () => send(url, 'block', 1_500)));
  const more = await Promise.all(Array.from({ length: 120 }, () => send(url, 'threaded', 2)));
  // Three of four threads are taken for long; the fourth is enough for all that are tiny.
  await eventually(async () => ((await countsOf(redis.client))['succeeded'] ?? 0) >= 240);
  await Promise.all(long.map((id) => finished(url, id)));
  await eventually(async () => {
    expect(await countsOf(redis.client)).toMatchObject({ accepted: 243, succeeded: 243 });
    return true;
  });
  const last = await Promise.all([...tiny.slice(-3), ...more.slice(-3)].map((id) => finished(url, id)));
  for (const task of last) expect(task).toMatchObject({ attempt: 1, crashes: 0 });
  await expectBalanced(redis.client);
});

test('case 36: errors of code that inline tasks have left behind are logged with their types, and the program goes on', async (context) => {
  const stage = openStage(context);
  const redis = await stage.redis();
  const all = await stage.role('all', { TASKS: LEFT_BEHIND, REDIS_URL: redis.url, CONCURRENCY: '4' });
  const neighbour = await send(all.url(), 'waits', 1_000);
  const forms = [
    'timer',
    'immediate',
    'tick',
    'rejection',
    'rejected-with-text',
    'callback',
    'stream',
    'socket',
  ];
  const ids: string[] = [];
  for (const how of forms) {
    const task = await run(all.url(), 'leaves.inline', how, ONCE);
    expect(task).toMatchObject({ state: 'succeeded' });
    ids.push(task.id);
  }
  await eventually(() => {
    const logged = all
      .log()
      .filter(({ msg }) => String(msg).startsWith('an inline task has left code behind'));
    expect(logged.map(({ type, types }) => type ?? types)).toEqual(
      forms.map(() => (IS_FOLLOWED ? 'leaves.inline' : ['leaves.inline'])),
    );
    if (IS_FOLLOWED) expect(new Set(logged.map(({ task }) => task))).toEqual(new Set(ids));
    return true;
  });
  expect(await finished(all.url(), neighbour)).toMatchObject({ state: 'succeeded', attempt: 1, crashes: 0 });
  expect(all.child.exitCode).toBeNull();
});

test('case 36: an error in the listener of a signal, and one beside a handler that goes on', async (context) => {
  const stage = openStage(context);
  const redis = await stage.redis();
  const all = await stage.role('all', { TASKS: LEFT_BEHIND, REDIS_URL: redis.url });
  const stopped = await run(all.url(), 'listens-badly.inline', {}, { ...ONCE, timeoutMs: 50 });
  expect(stopped).toMatchObject({ state: 'dead', error: { killCause: 'timeout' } });
  expect(await run(all.url(), 'goes-on.inline', 'rejection', ONCE)).toMatchObject({ state: 'succeeded' });
  await eventually(() => {
    const types = all
      .log()
      .filter(({ err }) => err !== undefined)
      .map(({ type, types: ran }) => type ?? (ran as string[]).at(-1));
    expect(types).toEqual(['listens-badly.inline', 'goes-on.inline']);
    return true;
  });
  expect(await run(all.url(), 'waits', 1)).toMatchObject({ state: 'succeeded' });
});
