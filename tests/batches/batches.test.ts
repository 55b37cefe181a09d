// Batches over HTTP, with a server and a worker inside this process.

import { afterAll, beforeAll, expect, test } from 'vitest';
import { ALONE, type Prepared } from '../../src/accept/new-task.ts';
import { openAccept } from '../../src/accept/open-accept.ts';
import { createAcceptBatch } from '../../src/batches/accept-batch.ts';
import { readConfig } from '../../src/config/config.ts';
import { Popfleet } from '../../src/client/client.ts';
import { defineTask, openPopfleet, PermanentError, v } from '../../src/index.ts';
import type { Call } from '../../src/protocol/options.ts';
import type { Server } from '../../src/server/server.ts';
import { createBatches } from '../../src/store/batches.ts';
import { toRegistry } from '../../src/tasks/registry.ts';
import { createWorker } from '../../src/worker/worker.ts';
import { eventually } from '../support/eventually.ts';
import { type Answer, call, post } from '../support/http.ts';
import { expectBalanced } from '../support/moves.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { openStore } from '../support/store.ts';
import { silent, startServer } from '../support/server.ts';

/** Members that fail as long as their names stand here. */
const broken = new Set<string>();
/** What has followed batches: names of the runs, with the state of their cause. */
const followed: string[] = [];

const member = defineTask({
  type: 'member',
  input: v.object({ name: v.string() }),
  runIn: 'inline',
  defaults: { maxAttempts: 1 },
  run({ name }) {
    if (broken.has(name)) throw new PermanentError(`${name} is broken`);
    return name;
  },
});
const after = defineTask({
  type: 'after',
  input: v.object({ name: v.string() }),
  runIn: 'inline',
  run({ name }, { cause }) {
    followed.push(`${name} ${cause?.state}`);
  },
});
const REGISTRY = toRegistry([member, after].map((definition) => ({ definition, source: 'the test' })));
const TIMES = { heartbeatMs: 200, leaseMs: 2_000 };

let redis: TestRedis;
let server: Server;
let worker: ReturnType<typeof createWorker>;
let url = '';

beforeAll(async () => {
  redis = await startRedis();
  server = await startServer(redis.url, 65_536, TIMES, { registry: REGISTRY });
  url = `${server.url()}/v1/batches`;
  await redis.client.sadd('pf:queues', 'default', 'side');
  const connection = silent(redis.url);
  const settings = {
    concurrency: 10,
    queues: ['default', 'side'],
    tasks: { taskDurationMs: 0, taskModules: [], baseDir: '/' },
  };
  worker = createWorker(
    { ...readConfig({}, 1), ...TIMES, ...settings },
    { connection, registry: REGISTRY, log: connection.log, onStuck: () => undefined },
  );
  await worker.start();
});
afterAll(async () => {
  await worker?.stop();
  await server?.stop();
  await redis?.stop();
});

interface View {
  readonly id: string;
  readonly state: string;
  readonly counts: Readonly<Record<string, number>>;
}

const view = ({ body }: Answer): View => body as unknown as View;
const look = async (id: string): Promise<View> => view(await call(`${url}/${id}`));
const ended = (id: string): Promise<View> =>
  eventually(async () => {
    const seen = await look(id);
    return seen.state !== 'open' && seen.state !== 'running' && seen;
  });
const members = (...names: string[]): object[] =>
  names.map((name, at) => ({ type: 'member', input: { name }, queue: at % 2 === 0 ? 'default' : 'side' }));
const then = (name: string): object => ({
  success: { type: 'after', input: { name: `${name} success` } },
  complete: { type: 'after', input: { name: `${name} complete` }, queue: 'side' },
});
/** What has followed a batch, once both have that should. */
const whatFollowed = (name: string, count: number): Promise<string[]> =>
  eventually(() => {
    const own = followed.filter((one) => one.startsWith(`${name} `)).sort();
    return own.length >= count && own;
  });

/** Moves a task of the queue `side` to another one. @returns the operation, when it is over */
async function moveOne(id: string): Promise<Answer> {
  const operations = `${server.url()}/v1/operations`;
  const request = { action: 'move', filter: { queue: 'side', ids: [id] }, to: 'default' };
  const { body } = await post(operations, { ...request, dryRun: true });
  const started = await post(operations, { ...request, confirm: body['confirm'] });
  return eventually(async () => {
    const operation = await call(`${operations}/${String(started.body['id'])}`);
    return operation.body['state'] === 'done' && operation;
  });
}

test('one in one call: what follows does once, when all have ended', async () => {
  const call1 = { name: 'first', key: 'k1', then: then('whole'), tasks: members('a', 'b', 'c') };
  const opened = await post(url, call1);
  expect(opened).toMatchObject({ status: 202, body: { name: 'first', counts: { members: 3, pending: 0 } } });
  const { id } = view(opened);
  expect(opened.headers.get('location')).toBe(`/v1/batches/${id}`);
  expect(await ended(id)).toMatchObject({
    state: 'succeeded',
    counts: { members: 3, ended: 3, succeeded: 3 },
  });
  expect(await whatFollowed('whole', 2)).toEqual(['whole complete succeeded', 'whole success succeeded']);
  // The same key finds it; with another request it is refused.
  expect(await post(url, call1)).toMatchObject({ status: 200, body: { id } });
  expect(await post(url, { ...call1, name: 'other' })).toMatchObject({
    status: 422,
    body: { code: 'idempotency-key-reused' },
  });
  expect((await post(`${url}/${id}/tasks`, members('d'))).body).toMatchObject({ code: 'invalid-state' });
  expect((await call(url)).body['items']).toMatchObject([{ id }]);
});

test('an open one takes tasks while others of it have ended; one that fails is retried, and success follows then', async () => {
  const { id } = view(await post(url, { then: then('open') }));
  expect((await look(id)).state).toBe('open');
  broken.add('bad');
  const added = await post(`${url}/${id}/tasks`, members('good', 'bad'));
  expect(added).toMatchObject({
    status: 202,
    body: { accepted: 2, items: [{ queue: 'default' }, { queue: 'side' }] },
  });
  await eventually(async () => (await look(id)).counts['ended'] === 2);
  await post(`${url}/${id}/tasks`, members('late'));
  expect(await look(id)).toMatchObject({ state: 'open', counts: { members: 3 } });
  expect((await post(`${url}/${id}/close`, {})).status).toBe(200);
  expect(await ended(id)).toMatchObject({ state: 'dead', counts: { ended: 3, succeeded: 2, dead: 1 } });
  expect(await whatFollowed('open', 1)).toEqual(['open complete dead']);
  broken.delete('bad');
  const [, bad] = added.body['items'] as { id: string }[];
  // In another queue it would run while the batch has it as ended.
  expect((await moveOne(bad?.id ?? '')).body).toMatchObject({
    state: 'done',
    done: 0,
    skipped: { 'in-batch': 1 },
  });
  const failed = await call(`${url}/${id}/failed`);
  expect(failed.body).toMatchObject({
    items: [{ id: bad?.id, state: 'dead', error: { name: 'PermanentError' } }],
  });
  expect(failed.body['next']).toBeUndefined();
  expect((await post(`${server.url()}/v1/tasks/${bad?.id}/retry`, {})).status).toBeLessThan(300);
  expect(await whatFollowed('open', 2)).toEqual(['open complete dead', 'open success succeeded']);
  expect(await look(id)).toMatchObject({ state: 'succeeded', counts: { ended: 3, succeeded: 3, dead: 0 } });
  expect((await call(`${url}/${id}/failed`)).body).toEqual({ items: [] });
});

test('one without tasks ends when it is closed; a cancelled or deleted task counts', async () => {
  const empty = view(await post(url, { then: then('empty'), tasks: [] }));
  expect(empty).toMatchObject({ state: 'succeeded', counts: { members: 0 } });
  expect(await whatFollowed('empty', 2)).toEqual(['empty complete succeeded', 'empty success succeeded']);
  const { id } = view(await post(url, { then: then('gone') }));
  const delayed = members('x', 'y', 'z').map((one) => Object.assign(one, { delayMs: 600_000 }));
  const { body } = await post(`${url}/${id}/tasks`, delayed);
  const ids = (body['items'] as { id: string }[]).map((one) => one.id);
  await post(`${server.url()}/v1/tasks/${ids[0]}/cancel`, {});
  await call(`${server.url()}/v1/tasks/${ids[1]}`, { method: 'DELETE' });
  await post(`${server.url()}/v1/tasks/${ids[2]}/cancel`, {});
  await post(`${url}/${id}/close`, {});
  expect(await ended(id)).toMatchObject({
    state: 'cancelled',
    counts: { members: 3, ended: 3, cancelled: 3 },
  });
  expect(await whatFollowed('gone', 1)).toEqual(['gone complete cancelled']);
  // Those of one call stand by their queues. One that was deleted is counted, and shown as long as its row stays.
  const page = async (cursor: string): Promise<Answer> => call(`${url}/${id}/failed?limit=2${cursor}`);
  expect((await page('')).body).toMatchObject({
    items: [
      { id: ids[0], state: 'cancelled' },
      { id: ids[2], state: 'cancelled' },
    ],
    next: '2',
  });
  expect((await page('&cursor=2')).body['next']).toBeUndefined();
  expect((await call(`${url}/${id}/failed?cursor=x`)).body).toMatchObject({ code: 'invalid-query' });
});

test('one whose sending broke off has what is missing sent by a repeat', async () => {
  const request = { key: 'broken-off', name: 'broken off', tasks: members('a', 'b', 'c') };
  const command = await openStore(redis.url);
  const accept = openAccept(command, REGISTRY);
  // Its program dies when the first of its tasks are on their way.
  const dying = {
    ...accept,
    async sendMany(_: number, taskAt: (index: number) => Prepared): Promise<never> {
      await accept.sendMany(1, taskAt);
      throw new Error('killed');
    },
  };
  const sender = { key: undefined, queues: undefined, traceparent: undefined };
  const tasks = request.tasks.map((task) => accept.prepare(task as Call, sender, ALONE));
  const batch = createAcceptBatch({ accept: dying, store: createBatches(command) });
  await expect(batch.open(request, tasks, sender)).rejects.toThrow('killed');
  command.disconnect();
  const repeated = await post(url, request);
  expect(repeated).toMatchObject({ status: 200, body: { counts: { members: 3, pending: 0 } } });
  expect(await ended(view(repeated).id)).toMatchObject({ state: 'succeeded', counts: { succeeded: 3 } });
});

test('a task whose key has made it before is none of the batch', async () => {
  const keyed = { type: 'member', input: { name: 'keyed' }, key: 'member-key' };
  const made = await post(`${server.url()}/v1/tasks`, keyed);
  const { id } = view(await post(url, {}));
  const added = await post(`${url}/${id}/tasks`, [keyed, ...members('own')]);
  expect(added.body).toMatchObject({ replayed: 1, items: [{ id: made.body['id'], replayed: true }, {}] });
  await post(`${url}/${id}/close`, {});
  expect(await ended(id)).toMatchObject({ counts: { members: 1, succeeded: 1 } });
});

test('bad requests are refused, and nothing is written', async () => {
  const refused = async (body: object): Promise<unknown> => (await post(url, body)).body;
  expect(await refused({ tasks: [{ type: 'member', input: { name: 1 } }] })).toMatchObject({
    code: 'invalid-input',
    errors: [{ pointer: '#/tasks/0/input/name' }],
  });
  expect(await refused({ then: { success: { type: 'none' } } })).toMatchObject({
    errors: [{ pointer: '#/then/success/type' }],
  });
  expect(await refused({ then: { success: { type: 'after' } } })).toMatchObject({
    errors: [{ pointer: '#/then/success/input/name' }],
  });
  expect(await refused({ queue: 'webhooks' })).toMatchObject({ code: 'invalid-input' });
  expect(await refused({ nonsense: 1 })).toMatchObject({ errors: [{ pointer: '#/nonsense' }] });
  const { id } = view(await post(url, {}));
  expect(await post(`${url}/${id}/tasks`, [{ type: 'member', input: {} }])).toMatchObject({
    status: 422,
    body: { errors: [{ pointer: '#/0/input/name' }] },
  });
  expect((await look(id)).counts).toMatchObject({ members: 0, pending: 0 });
  expect((await call(`${url}/01890000-0000-7000-8000-000000000000`)).status).toBe(404);
  for (const queue of ['default', 'side']) await expectBalanced(redis.client, queue);
});

test('the library and the client open, fill and close batches', async () => {
  const library = await openPopfleet({ redisUrl: redis.url, tasks: [member, after] });
  try {
    const batch = await library.batch(Object.fromEntries([['then', then('library')]]));
    const ids = await batch.add([
      { type: 'member', input: { name: 'one' } },
      { type: 'member', input: { name: 'two' }, queue: 'side' },
    ]);
    expect(ids).toHaveLength(2);
    await expect(batch.add([{ type: 'member', input: {} }])).rejects.toMatchObject({ code: 'invalid-input' });
    expect(await batch.close()).toMatchObject({ counts: { members: 2 } });
    expect(await whatFollowed('library', 2)).toHaveLength(2);
    expect(await batch.get()).toMatchObject({ state: 'succeeded' });
    await expect(batch.add([{ type: 'member', input: { name: 'late' } }])).rejects.toMatchObject({
      code: 'invalid-state',
    });
  } finally {
    library.close();
  }
  const { batches } = new Popfleet({ url: server.url() });
  const { id } = await batches.open({ name: 'of the client' });
  expect(await batches.add(id, [{ type: 'member', input: { name: 'one' } }])).toMatchObject({ accepted: 1 });
  // An open batch has not ended, whatever its tasks have done.
  await expect(batches.wait(id, { timeoutMs: 50 })).rejects.toThrow(`The batch ${id} has not ended in time`);
  const waiting = batches.wait(id);
  expect(await batches.close(id)).toMatchObject({ id, name: 'of the client' });
  expect(await waiting).toMatchObject({ state: 'succeeded', counts: { members: 1 } });
  const listed = async (options: Parameters<typeof batches.list>[0]): Promise<string[]> => {
    const ids: string[] = [];
    for await (const one of batches.list(options)) ids.push(one.id);
    return ids;
  };
  expect((await listed({}))[0]).toBe(id);
  const named = { name: 'OF the' };
  expect(await listed({ ...named, state: 'succeeded' })).toEqual([id]);
  expect(await listed({ ...named, state: 'open' })).toEqual([]);
  expect(await listed({ name: 'the client' })).toEqual([]);
  expect(await call(`${url}?state=succeeded&limit=1`)).toMatchObject({ body: { items: [{ id }], next: id } });
  await expect(listed({ state: 'gone' as 'open' })).rejects.toMatchObject({ code: 'invalid-query' });
  expect(await batches.get(id)).toMatchObject({ counts: { succeeded: 1 } });
});
