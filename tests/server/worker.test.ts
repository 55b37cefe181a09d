// A live worker with the tasks that it runs, over all its queues.

import type { Redis } from 'ioredis';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { openCommandConnection } from '../../src/store/connection.ts';
import { createConsumer } from '../../src/store/consumer.ts';
import { homeOf } from '../../src/store/keys.ts';
import { call, post } from '../support/http.ts';
import { silent } from '../support/server.ts';
import { withServer } from '../support/with-server.ts';

const one = withServer();
let command: Redis;
beforeAll(async () => {
  command = openCommandConnection(silent(one.redis().url), 'test', { socketTimeoutMs: 5_000 });
  await new Promise<void>((resolve) => command.once('ready', () => resolve()));
});
afterAll(() => command?.disconnect());
beforeEach(() => one.empty('mail'));

interface Row {
  readonly id: string;
  readonly queue: string;
  readonly worker?: string;
  readonly progress?: unknown;
  readonly timeoutMs?: number;
}

async function send(queue: string, count: number): Promise<readonly string[]> {
  const task = { type: 'add', input: { one: 1, two: 2 }, queue };
  const { body } = await post(
    `${one.url()}/v1/tasks/batch`,
    Array.from({ length: count }, () => task),
  );
  return (body['items'] as Row[]).map(({ id }) => id);
}

async function running(worker: string): Promise<readonly Row[]> {
  const { status, body } = await call(`${one.url()}/v1/workers/${worker}`);
  expect(status).toBe(200);
  return body['running'] as Row[];
}

/** Another worker takes tasks. @returns their ids */
async function takeAs(worker: string, count: number): Promise<readonly string[]> {
  const consumer = createConsumer(command, homeOf('default'), worker, 60_000);
  return (await consumer.claim([], count)).tasks.map(({ id }) => id);
}

test('its own tasks alone, first what it claimed first, whatever others run, waits or has ended', async () => {
  await Promise.all([send('default', 30), send('mail', 1)]);
  const first = await one.worker().take();
  const other = await takeAs('other', 20);
  const [second, third] = [await one.worker().take('mail'), await one.worker().take()];
  const rows = await running('hand-worker');
  expect(rows.map(({ id }) => id).sort()).toEqual([first, second, third].sort());
  expect(rows[0]?.id).toBe(first);
  expect(rows.find(({ id }) => id === second)).toMatchObject({ queue: 'mail', worker: 'hand-worker' });
  expect((await running('other')).map(({ id }) => id).sort()).toEqual([...other].sort());
  await one.worker().end(first, 'succeeded', 3);
  expect((await running('hand-worker')).map(({ id }) => id).sort()).toEqual([second, third].sort());
  const { body } = await call(`${one.url()}/v1/workers/hand-worker`);
  expect((body['items'] as Row[]).map(({ queue }) => queue).sort()).toEqual(['default', 'mail']);
});

test('what each has said last, and how long it may run, unless a large input hides that', async () => {
  const task = { type: 'add', input: { one: 1, two: 2 } };
  for (const more of [
    {},
    { timeoutMs: 70_000 },
    { type: 'the-default', input: 'x'.repeat(5_000) },
    { type: 'the-default', input: 'x'.repeat(5_000), timeoutMs: 70_000 },
  ]) {
    await post(`${one.url()}/v1/tasks`, { ...task, ...more });
  }
  const ids: string[] = [];
  for (let nth = 0; nth < 4; nth += 1) ids.push(await one.worker().take());
  await one.worker().report(ids[1] ?? '', 40, 'on the way');
  const rows = new Map((await running('hand-worker')).map((row) => [row.id, row]));
  expect(ids.map((id) => rows.get(id)?.timeoutMs)).toEqual([undefined, 70_000, undefined, undefined]);
  expect(ids.map((id) => rows.get(id)?.progress)).toEqual([
    undefined,
    { percent: 40, note: 'on the way' },
    undefined,
    undefined,
  ]);
});

test('at most 200 of them, and none of a worker that is not there', async () => {
  await send('default', 230);
  await takeAs('greedy', 230);
  const { body } = await call(`${one.url()}/v1/workers/greedy`);
  expect(body['running']).toHaveLength(200);
  expect(body['items']).toMatchObject([{ worker: 'greedy', holds: 230 }]);
  const { status, body: problem } = await call(`${one.url()}/v1/workers/nobody`);
  expect([status, problem['code']]).toEqual([404, 'not-found']);
});

test('lists name the worker that runs a task', async () => {
  await send('default', 2);
  const id = await one.worker().take();
  const { body } = await call(`${one.url()}/v1/tasks?state=running`);
  expect(body['items']).toMatchObject([{ id, worker: 'hand-worker' }]);
  const { body: waiting } = await call(`${one.url()}/v1/tasks?state=ready`);
  expect((waiting['items'] as Row[]).map(({ worker }) => worker)).toEqual([undefined]);
});
