// Schedules that start workflows, over HTTP: checked whole when they are put, shown, run by hand, and ticking.

import { afterAll, beforeAll, expect, test } from 'vitest';
import { readConfig } from '../../src/config/config.ts';
import { defineTask, v } from '../../src/index.ts';
import { createKey, readApiKeys } from '../../src/server/auth/api-keys.ts';
import type { Server } from '../../src/server/server.ts';
import { toRegistry } from '../../src/tasks/registry.ts';
import { createWorker } from '../../src/worker/worker.ts';
import { eventually } from '../support/eventually.ts';
import { type Answer, call } from '../support/http.ts';
import { expectBalanced } from '../support/moves.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { silent, startServer } from '../support/server.ts';

const count = defineTask({
  type: 'count',
  input: v.object({ from: v.number() }),
  runIn: 'inline',
  defaults: { queue: 'counts', maxAttempts: 2, tags: ['counted'] },
  run: ({ from }) => ({ to: from + 1 }),
});
const REGISTRY = toRegistry([{ definition: count, source: 'the test' }]);
const TIMES = { heartbeatMs: 200, leaseMs: 2_000 };
const HOUR_MS = 3_600_000;
const all = createKey(['enqueue', 'read', 'admin'], ['counts', 'home', 'side']);
const one = createKey(['enqueue', 'read', 'admin'], ['home']);
const two = createKey(['enqueue', 'read', 'admin'], ['home', 'side']);

const WORKFLOW = {
  name: 'nightly',
  tasks: {
    first: { type: 'count', input: { from: 1 } },
    second: {
      type: 'count',
      input: { from: { $from: 'first', path: '/to' } },
      needs: ['first'],
      queue: 'side',
      priority: 'high',
      onEnd: { type: 'count', input: { from: 9 } },
    },
  },
};

let redis: TestRedis;
let server: Server;
let worker: ReturnType<typeof createWorker>;

beforeAll(async () => {
  redis = await startRedis();
  const apiKeys = readApiKeys(`${all.entry} ${one.entry} ${two.entry}`).keys;
  server = await startServer(redis.url, 65_536, { ...TIMES, apiKeys }, { registry: REGISTRY });
  const connection = silent(redis.url);
  worker = createWorker(
    {
      ...readConfig({}, 1),
      ...TIMES,
      concurrency: 5,
      queues: ['counts', 'home', 'side'],
      tasks: { taskDurationMs: 0, taskModules: [], baseDir: '/' },
    },
    { connection, registry: REGISTRY, log: connection.log, onStuck: () => undefined },
  );
  await worker.start();
});
afterAll(async () => {
  await worker?.stop();
  await server?.stop();
  await redis?.stop();
});

function ask(method: string, path: string, body?: object, { key } = all): Promise<Answer> {
  return call(`${server.url()}${path}`, {
    method,
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    ...(body ? { body: JSON.stringify(body) } : {}),
  });
}

async function ended(id: string): Promise<Answer['body']> {
  return eventually(async () => {
    const { body } = await ask('GET', `/v1/workflows/${id}`);
    return body['state'] === 'succeeded' && body;
  });
}

test('a schedule of a workflow is shown as it was put, ticks, and starts one workflow a tick', async () => {
  const body = { everyMs: 1_000, workflow: WORKFLOW, queue: 'home' };
  expect(await ask('POST', '/v1/schedules/check', body)).toMatchObject({
    status: 200,
    body: { queue: 'home' },
  });
  const put = await ask('PUT', '/v1/schedules/flows', body);
  expect(put).toMatchObject({ status: 201, body: { queue: 'home', workflow: WORKFLOW } });
  expect(put.body).not.toHaveProperty('steps');
  expect(put.body).not.toHaveProperty('type');
  const id = await eventually(async () => {
    const last = (await ask('GET', '/v1/schedules/flows')).body['last'] as Record<string, string> | undefined;
    return last?.['workflow'];
  });
  const flow = await ended(id);
  expect(flow).toMatchObject({
    name: 'nightly',
    queue: 'home',
    schedule: { name: 'flows' },
    steps: [
      { step: 'first', queue: 'counts', result: { to: 2 } },
      { step: 'second', queue: 'side', result: { to: 3 } },
    ],
  });
  const [first, second] = flow['steps'] as readonly { readonly task: string }[];
  expect((await ask('GET', `/v1/tasks/${first?.task}`)).body).toMatchObject({ tags: ['counted'] });
  expect((await ask('GET', `/v1/tasks/${second?.task}`)).body).toMatchObject({
    priority: 'high',
    onEnd: { type: 'count', queue: 'counts' },
  });
  // Paused, it starts nothing more by itself, but by hand.
  expect((await ask('POST', '/v1/schedules/flows/pause')).body).toMatchObject({ paused: true });
  const run = await ask('POST', '/v1/schedules/flows/run');
  expect([run.status, run.body]).toMatchObject([202, { queue: 'home' }]);
  const byHand = String(run.body['id']);
  expect(run.body['links']).toEqual({ self: `/v1/workflows/${byHand}` });
  expect(await ended(byHand)).toMatchObject({ queue: 'home', name: 'nightly' });
  expect((await ask('DELETE', '/v1/schedules/flows')).status).toBe(204);
  for (const queue of ['home', 'counts', 'side']) {
    await eventually(async () => (await redis.client.hlen(`pf:{${queue}}:outbox`)) === 0);
    await expectBalanced(redis.client, queue);
  }
});

test('put again as a task, and as a workflow once more, it is the same schedule', async () => {
  const times = { everyMs: HOUR_MS, queue: 'home' };
  await ask('PUT', '/v1/schedules/both', { ...times, workflow: WORKFLOW });
  const task = await ask('PUT', '/v1/schedules/both', { ...times, type: 'count', input: { from: 1 } });
  expect([task.status, task.body]).toMatchObject([200, { type: 'count', input: { from: 1 } }]);
  expect(task.body).not.toHaveProperty('workflow');
  const flow = await ask('PUT', '/v1/schedules/both', { ...times, workflow: WORKFLOW });
  expect([flow.status, flow.body]).toMatchObject([200, { workflow: WORKFLOW }]);
  expect((await ask('PUT', '/v1/schedules/both', { ...times, workflow: WORKFLOW })).status).toBe(200);
  await ask('DELETE', '/v1/schedules/both');
});

const step = (more: object): object => ({
  workflow: { tasks: { a: { type: 'count', input: { from: 1 }, ...more } } },
});
const REFUSALS: readonly (readonly [string, object, number, string])[] = [
  ['neither', {}, 422, '#/type'],
  ['both', { type: 'count', input: { from: 1 }, ...step({}) }, 422, '#/type'],
  ['an input beside the workflow', { input: 1, ...step({}) }, 422, '#/input'],
  ['an option of tasks', { maxAttempts: 2, ...step({}) }, 422, '#/maxAttempts'],
  ['no step', { workflow: { tasks: {} } }, 422, '#/workflow/tasks'],
  [
    'a key, by which all would be one',
    { workflow: { key: 'k', ...(step({}) as { workflow: object }).workflow } },
    422,
    '#/workflow/key',
  ],
  ['a time of its own', step({ runAt: 1 }), 422, '#/workflow/tasks/a/runAt'],
  ['an input that does not fit', step({ input: { from: 'x' } }), 422, '#/workflow/tasks/a/input/from'],
  ['a step that needs itself', step({ needs: ['a'] }), 422, '#/workflow/tasks/a/needs'],
  ['a step that is not there', step({ needs: ['b'] }), 422, '#/workflow/tasks/a/needs/0'],
  ['an unknown type', step({ type: 'nobody-knows' }), 404, '#/workflow/tasks/a/type'],
];

test.each(REFUSALS)('%s: nothing is written', async (_, body, status, pointer) => {
  for (const path of ['PUT /v1/schedules/bad', 'POST /v1/schedules/check']) {
    const [method = '', url = ''] = path.split(' ');
    const answer = await ask(method, url, { everyMs: HOUR_MS, queue: 'home', ...body });
    expect([path, answer.status, answer.body['errors']]).toEqual([
      path,
      status,
      expect.arrayContaining([expect.objectContaining({ pointer })]),
    ]);
  }
  expect((await ask('GET', '/v1/schedules/bad')).status).toBe(404);
});

test('a key puts no workflow whose steps, or whose record, would go to another queue', async () => {
  const body = {
    everyMs: HOUR_MS,
    workflow: { tasks: { a: { type: 'count', input: { from: 1 }, queue: 'home' } } },
  };
  expect((await ask('PUT', '/v1/schedules/mine', body, one)).status).toBe(201);
  const elsewhere = await ask(
    'PUT',
    '/v1/schedules/mine',
    { ...body, workflow: WORKFLOW, queue: 'home' },
    one,
  );
  expect(elsewhere).toMatchObject({ status: 403, body: { code: 'forbidden' } });
  const away = await ask('PUT', '/v1/schedules/mine', { ...body, queue: 'side' }, one);
  expect(away.status).toBe(403);
  await ask('DELETE', '/v1/schedules/mine', undefined, one);
});

test('a key that may not see a step does not see the schedule, and can neither stop nor replace it', async () => {
  const body = { everyMs: HOUR_MS, workflow: WORKFLOW, queue: 'home' };
  const own = { everyMs: HOUR_MS, type: 'count', input: { from: 1 }, queue: 'home' };
  expect((await ask('PUT', '/v1/schedules/hidden', body)).status).toBe(201);
  expect((await ask('PUT', '/v1/schedules/own', own, one)).status).toBe(201);
  for (const [method, path] of [
    ['GET', ''],
    ['DELETE', ''],
    ['POST', '/pause'],
    ['POST', '/resume'],
    ['POST', '/run'],
  ] as const) {
    for (const query of ['', '?queue=home']) {
      const answer = await ask(method, `/v1/schedules/hidden${path}${query}`, undefined, one);
      expect([method, path, answer.status]).toEqual([method, path, 404]);
    }
  }
  const namesFor = async (key: typeof one): Promise<unknown> => {
    const { body: list } = await ask('GET', '/v1/schedules', undefined, key);
    return (list['items'] as { readonly name: string }[]).map(({ name }) => name);
  };
  expect([await namesFor(one), await namesFor(all)]).toEqual([['own'], ['hidden', 'own']]);
  const replaced = await ask('PUT', '/v1/schedules/hidden', own, one);
  expect(replaced).toMatchObject({ status: 403, body: { code: 'forbidden' } });
  expect(JSON.stringify(replaced.body)).not.toMatch(/counts|side/);
  const kept = await ask('GET', '/v1/schedules/hidden');
  expect(kept.body).toMatchObject({ paused: false, workflow: WORKFLOW });
  expect(kept.body).not.toHaveProperty('last');
  // What was done to it, and to workflows with such steps, is in the audit of those who may see it.
  const run = await ask('POST', '/v1/schedules/hidden/run');
  await ended(String(run.body['id']));
  const about = async (key: typeof one, operation: string): Promise<readonly unknown[]> => {
    const { body: page } = await ask('GET', `/v1/audit?operation=${operation}`, undefined, key);
    return (page['items'] as { readonly target: unknown }[]).map(({ target }) => target);
  };
  expect(await about(one, 'putSchedule')).not.toContainEqual({ name: 'hidden' });
  expect(await about(one, 'putSchedule')).toContainEqual({ name: 'own' });
  expect(await about(all, 'putSchedule')).toContainEqual({ name: 'hidden' });
  expect(await about(one, 'runSchedule')).toEqual([]);
  expect(await about(all, 'runSchedule')).toContainEqual({ name: 'hidden' });
  for (const name of ['hidden', 'own']) await ask('DELETE', `/v1/schedules/${name}`);
});

test('a name of a schedule that is not seen is free in other queues, and not among those of its name', async () => {
  const body = { everyMs: HOUR_MS, workflow: WORKFLOW, queue: 'home' };
  const own = { everyMs: HOUR_MS, type: 'count', input: { from: 1 }, queue: 'side' };
  await ask('PUT', '/v1/schedules/twice', body);
  expect(await ask('PUT', '/v1/schedules/twice', own, two)).toMatchObject({
    status: 201,
    body: { queue: 'side', type: 'count' },
  });
  expect(await ask('GET', '/v1/schedules/twice', undefined, two)).toMatchObject({ body: { queue: 'side' } });
  expect((await ask('GET', '/v1/schedules/twice')).body).toMatchObject({ code: 'ambiguous-name' });
  expect((await ask('GET', '/v1/schedules/twice?queue=home')).body).toMatchObject({ workflow: WORKFLOW });
  for (const queue of ['home', 'side']) await ask('DELETE', `/v1/schedules/twice?queue=${queue}`);
});
