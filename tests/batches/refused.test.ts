// What batches refuse: keys that belong to other requests, and calls that are too large.

import { afterAll, beforeAll, expect, test } from 'vitest';
import { ALONE, type Prepared } from '../../src/accept/new-task.ts';
import { openAccept } from '../../src/accept/open-accept.ts';
import { openBatch } from '../../src/batch-handle.ts';
import { createAcceptBatch } from '../../src/batches/accept-batch.ts';
import { defineTask, openPopfleet, type Popfleet, v } from '../../src/index.ts';
import type { Call } from '../../src/protocol/options.ts';
import type { Server } from '../../src/server/server.ts';
import { createBatches } from '../../src/store/batches.ts';
import { toRegistry } from '../../src/tasks/registry.ts';
import { call, post } from '../support/http.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { openStore } from '../support/store.ts';
import { startServer } from '../support/server.ts';

const member = defineTask({ type: 'member', input: v.object({ name: v.string() }), run: ({ name }) => name });
const REGISTRY = toRegistry([{ definition: member, source: 'the test' }]);

let redis: TestRedis;
let server: Server;
let library: Popfleet;
let url = '';

beforeAll(async () => {
  redis = await startRedis();
  server = await startServer(redis.url, 65_536, {}, { registry: REGISTRY });
  library = await openPopfleet({ redisUrl: redis.url, tasks: [member] });
  url = `${server.url()}/v1/batches`;
});
afterAll(async () => {
  library?.close();
  await server?.stop();
  await redis?.stop();
});

/** Tasks the second of which wants a key that a task by itself has. */
async function withTakenKey(key: string) {
  const task = (name: string) => ({ type: 'member', input: { name } });
  const { body } = await post(`${server.url()}/v1/tasks`, { ...task('theirs'), key });
  return { owner: String(body['id']), tasks: [task('a'), { ...task('b'), key }, task('c')] };
}

const theSame = (count: number, task: object): object[] => Array.from({ length: count }, () => task);

test('the library refuses keys that belong to other requests before anything is sent', async () => {
  const { owner, tasks } = await withTakenKey('taken');
  const refusal = (pointer: string, whose: string) => ({
    code: 'idempotency-key-reused',
    message: expect.stringContaining(whose) as string,
    faults: [{ pointer }],
  });
  const taken = refusal('#/tasks/1/key', `(task ${owner})`);
  await expect(library.batch({ key: 'with-taken', tasks })).rejects.toMatchObject(taken);
  const batch = await library.batch({ key: 'with-taken' });
  expect(batch.replayed).toBe(false);
  await expect(batch.add(tasks)).rejects.toMatchObject(refusal('#/1/key', `(task ${owner})`));
  const twice = ['x', 'y'].map((name) => ({ type: 'member', input: { name }, key: 'twice' }));
  await expect(batch.add(twice)).rejects.toMatchObject(refusal('#/1/key', '(item 0)'));
  expect(await batch.close()).toMatchObject({ counts: { members: 0, pending: 0 } });
  await expect(library.batch({ tasks: [{ type: 'member', input: {} }] })).rejects.toMatchObject({
    faults: [{ pointer: '#/tasks/0/input/name' }],
  });
});

test('a key that another request takes in just the moment of sending is told, and the others are members', async () => {
  const command = await openStore(redis.url);
  const accept = openAccept(command, REGISTRY);
  const sender = { key: undefined, queues: undefined, traceparent: undefined };
  let takesKey: string | undefined;
  const racing = {
    ...accept,
    async sendMany(...args: Parameters<typeof accept.sendMany>): ReturnType<typeof accept.sendMany> {
      if (takesKey !== undefined) await withTakenKey(takesKey);
      takesKey = undefined;
      return accept.sendMany(...args);
    },
  };
  const store = createBatches(command);
  const acceptBatch = createAcceptBatch({ accept: racing, store });
  const prepare = async (tasks: readonly object[]): Promise<Prepared[]> =>
    tasks.map((task) => accept.prepare(task as Call, sender, ALONE));
  // They are sent by their queues: the one with the key is the second then.
  const tasksFor = (key: string) =>
    ['default', 'side', 'default'].map((queue, at) => {
      const task = { type: 'member', input: { name: `of ${key}` }, queue };
      return Object.assign(task, at === 2 ? { key } : {});
    });
  const reused = { code: 'idempotency-key-reused', faults: [{ pointer: '#/tasks/2/key' }] };
  const open = async (request: { key: string; tasks: ReturnType<typeof tasksFor> }): Promise<unknown> =>
    acceptBatch.open(request, await prepare(request.tasks), sender);
  try {
    takesKey = 'raced-whole';
    await expect(open({ key: 'whole', tasks: tasksFor(takesKey) })).rejects.toMatchObject(reused);
    const { items } = (await call(url)).body;
    expect(items).toMatchObject([{ counts: { members: 2, pending: 0 } }, {}]);

    // The same when the request before it broke off.
    const dies = { ...accept, sendMany: () => Promise.reject(new Error('killed')) };
    const again = { key: 'again', tasks: tasksFor('raced-again') };
    const broken = createAcceptBatch({ accept: dies, store });
    await expect(broken.open(again, await prepare(again.tasks), sender)).rejects.toThrow('killed');
    takesKey = 'raced-again';
    await expect(open(again)).rejects.toMatchObject(reused);

    const batch = await openBatch({}, { acceptBatch, batches: store, sender, prepare });
    takesKey = 'raced-add';
    await expect(batch.add(tasksFor(takesKey))).rejects.toMatchObject({
      code: reused.code,
      faults: [{ pointer: '#/2/key' }],
    });
    expect(await batch.close()).toMatchObject({ counts: { members: 2, pending: 0 } });
  } finally {
    command.disconnect();
  }
});

test('a batch may have as many tasks as it says, however many values these have together', async () => {
  const task = { type: 'member', input: { name: 'm', more: [1, 2] }, queue: 'side' };
  const tasks = [...theSame(9_999, task), { ...task, input: {} }];
  // The last of them has been looked at then.
  const faults = [{ pointer: '#/tasks/9999/input/name' }];
  await expect(library.batch({ tasks: tasks as (typeof task)[] })).rejects.toMatchObject({ faults });
  expect(await post(url, { tasks })).toMatchObject({ status: 422, body: { errors: faults } });
});

test('each task of a batch, what is beside them, and all together have at most so many values', async () => {
  const values = (count: number): object => ({ type: 'member', input: Array<number>(count).fill(0) });
  const cases: readonly (readonly [object, string, number])[] = [
    [{ tasks: [{ type: 'member', input: { name: 'm' } }, values(100_001)] }, '#/tasks/1', 100_000],
    [{ then: { success: values(100_001) } }, '#', 100_000],
    [{ tasks: theSame(6, values(95_000)) }, '#', 500_000],
  ];
  for (const [body, pointer, most] of cases) {
    const { status, body: problem } = await post(url, body);
    const errors = [{ pointer, detail: `has more than ${most} values` }];
    expect([status, problem['code'], problem['errors']]).toEqual([400, 'malformed-body', errors]);
    await expect(library.batch(body)).rejects.toMatchObject({
      code: 'invalid-input',
      message: expect.stringContaining('has more than') as string,
    });
  }
});
