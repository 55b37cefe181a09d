// Workflows through the library, the client, the command line, the event stream and long polls.

import { writeFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ApiError, Popfleet as Client, WaitTimeout } from '../../src/client/client.ts';
import { followEvents } from '../../src/client/follow-events.ts';
import { createTransport } from '../../src/client/transport.ts';
import { openPopfleet, type Popfleet } from '../../src/index.ts';
import type { Server } from '../../src/server/server.ts';
import { createWorkflows } from '../../src/store/workflows.ts';
import { createAdd } from '../../src/tasks/add.ts';
import { type Ended, runCommand } from '../support/command-line.ts';
import { call, post } from '../support/http.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { startServer } from '../support/server.ts';
import { openStore } from '../support/store.ts';
import { type RoleHere, startHere } from '../support/start-here.ts';

const add = createAdd(0);
const sum = { one: 1, two: 2 };
const NOBODY = '01920000-0000-7000-8000-000000000000';

let redis: TestRedis;
let server: Server;
let worker: RoleHere;
let library: Popfleet;
let client: Client;
let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'popfleet-workflows-'));
  redis = await startRedis();
  server = await startServer(redis.url, 65_536);
  worker = await startHere('worker', { REDIS_URL: redis.url });
  library = await openPopfleet({ redisUrl: redis.url, tasks: [add], logLevel: 'silent' });
  client = new Client({ url: server.url(), retries: 0 });
});
afterAll(async () => {
  library?.close();
  await worker?.stop();
  await server?.stop();
  await redis?.stop();
  rmSync(folder, { recursive: true, force: true });
});

function popfleet(line: string, stdin?: string): Promise<Ended> {
  const env = { POPFLEET_URL: server.url() };
  return runCommand(line.split(' '), stdin === undefined ? { env } : { env, stdin });
}

/** Of a queue that nobody serves. */
const stuck = { type: 'add', input: sum, queue: 'nobody' };

test('the library sends one, waits for its end, and finds it by its key', async () => {
  const workflow = {
    key: 'sums',
    name: 'sums',
    tasks: {
      first: { task: add, input: sum },
      second: { task: add, input: { one: { $from: 'first' }, two: 5 }, needs: ['first'] },
    },
  } as const;
  const { id, replayed } = await library.workflows.start(workflow);
  expect(replayed).toBe(false);
  expect(await library.workflows.start(workflow)).toEqual({ id, replayed: true });
  const ended = await library.workflows.wait(id);
  expect(ended).toMatchObject({ id, name: 'sums', state: 'succeeded', counts: { succeeded: 2 } });
  expect(ended.steps.map(({ result }) => result)).toEqual([3, 8]);
  expect(await library.workflows.get(NOBODY)).toBeUndefined();
  await expect(library.workflows.cancel(id)).rejects.toMatchObject({ code: 'invalid-state' });
  await expect(library.workflows.retry(id)).rejects.toMatchObject({ code: 'invalid-state' });
  await expect(library.workflows.wait(NOBODY)).rejects.toMatchObject({ code: 'not-found' });
});

test('what the library does not take is named with its place', async () => {
  const start = (tasks: object): Promise<unknown> => library.workflows.start({ tasks });
  const faultOf = (pointer: string) => ({
    code: 'invalid-input',
    faults: [expect.objectContaining({ pointer })],
  });
  await expect(start({ a: { task: add, input: { one: 1 } } })).rejects.toMatchObject(
    faultOf('#/tasks/a/input/two'),
  );
  await expect(start({ a: { input: sum } })).rejects.toMatchObject(faultOf('#/tasks/a/task'));
  await expect(start({ 'a/b~': { input: sum } })).rejects.toMatchObject(faultOf('#/tasks/a~1b~0/task'));
  await expect(start({ 'ä/b': sum.one })).rejects.toMatchObject(faultOf('#/tasks/%C3%A4~1b'));
  await expect(start({ 'a/b': { task: add, input: new Map() } })).rejects.toMatchObject(
    faultOf('#/tasks/a~1b/input'),
  );
  await expect(start({ a: { task: add, input: { one: 1, two: new Map() } } })).rejects.toMatchObject(
    faultOf('#/tasks/a/input/two'),
  );
  await expect(start({ a: { task: add, input: sum, needs: ['b'] } })).rejects.toMatchObject(
    faultOf('#/tasks/a/needs/0'),
  );
});

test('each step may have as many values as a task by itself, over HTTP as in the library', async () => {
  const input = { ...sum, more: Array<number>(60_000).fill(0) };
  const send = async (tasks: object): Promise<unknown> => {
    const { status, body } = await post(`${server.url()}/v1/workflows`, { tasks });
    return [status, (body['errors'] as { readonly pointer: string }[])[0]?.pointer];
  };
  // That it has been read is seen by what is said of its type then.
  const step = { type: 'none', input };
  expect(await send({ a: step, b: step })).toEqual([404, '#/tasks/a/type']);
  const larger = { ...step, input: { ...input, again: input.more } };
  expect(await send({ a: step, b: larger })).toEqual([400, '#/tasks/b']);
  const { type: task } = step;
  const sent = library.workflows.start({ tasks: { a: { task, input }, b: { task, input } } });
  await expect(sent).rejects.toMatchObject({ code: 'unknown-type' });
});

test('a wait of the library that ends before the workflow says so', async () => {
  const { id } = await library.workflows.start({
    tasks: { a: { task: 'add', input: sum, queue: 'nobody' } },
  });
  await expect(library.workflows.wait(id, { timeoutMs: 20 })).rejects.toMatchObject({ code: 'timed-out' });
  expect(await library.workflows.cancel(id)).toMatchObject({ id, cancelling: true });
  expect(await library.workflows.wait(id)).toMatchObject({ state: 'cancelled' });
});

test('the client starts, lists, waits, cancels and retries', async () => {
  const started = await client.workflows.start({
    name: 'Nightly sums',
    tasks: { a: { type: 'add', input: sum }, b: { ...stuck, needs: ['a'] } },
  });
  await expect(client.workflows.wait(started.id, { timeoutMs: 20 })).rejects.toThrow(WaitTimeout);
  const found = async (query: object): Promise<string[]> => {
    const ids: string[] = [];
    for await (const row of client.workflows.list(query)) ids.push(row.id);
    return ids;
  };
  expect(await found({ name: 'nightly' })).toEqual([started.id]);
  expect(await found({ name: 'nightly', state: 'dead' })).toEqual([]);
  expect(await found({ state: 'running' })).toContain(started.id);
  expect(await found({})).toContain(started.id);
  expect((await client.workflows.cancel(started.id)).cancelling).toBe(true);
  expect(await client.workflows.wait(started.id)).toMatchObject({
    state: 'cancelled',
    counts: { succeeded: 1 },
  });
  // A retry whose caller has died before its commit is gone on with.
  const store = await openStore(redis.url);
  await createWorkflows(store).retry('default', started.id);
  store.disconnect();
  expect(await client.workflows.retry(started.id)).toMatchObject({ state: 'running', generation: 2 });
  await client.workflows.cancel(started.id);
  await client.workflows.wait(started.id);
  await expect(client.workflows.get(NOBODY)).rejects.toThrow(ApiError);
});

test('a page of the list goes on behind the one before, also when few of them match', async () => {
  const names = ['x1', 'y1', 'x2', 'y2', 'x3'];
  const ids = new Map<string, string>();
  for (const name of names) {
    ids.set(name, (await client.workflows.start({ name, tasks: { a: { type: 'add', input: sum } } })).id);
  }
  const page = async (query: string) =>
    (await call(`${server.url()}/v1/workflows?${query}`)).body as {
      items: { id: string }[];
      next?: string;
    };
  const first = await page('name=x&limit=2');
  expect(first.items.map(({ id }) => id)).toEqual([ids.get('x3'), ids.get('x2')]);
  const second = await page(`name=x&limit=2&cursor=${first.next}`);
  expect([second.items.map(({ id }) => id), second.next]).toEqual([[ids.get('x1')], undefined]);
  expect((await call(`${server.url()}/v1/workflows?state=gone`)).status).toBe(400);
});

test('the event stream and a long poll tell of the start and the end', async () => {
  const { id } = await client.workflows.start({
    tasks: { a: { type: 'add', input: sum }, b: { ...stuck, needs: ['a'] } },
  });
  const polled = call(`${server.url()}/v1/workflows/${id}?wait=20`);
  const told: unknown[] = [];
  const request = { path: '/v1/events', query: { topics: `workflow:${id}` } };
  for await (const { name, data } of followEvents(createTransport({ url: server.url() }), request)) {
    if (name !== 'workflow') continue;
    const news = JSON.parse(data) as { readonly state: string };
    told.push(news);
    if (news.state === 'cancelled') break;
    if (told.length === 1) await client.workflows.cancel(id);
  }
  expect(told[0]).toMatchObject({ queue: 'default', workflow: id, state: 'running', generation: 1 });
  expect(told.at(-1)).toMatchObject({ workflow: id, state: 'cancelled' });
  expect((await polled).body).toMatchObject({ id, state: 'cancelled' });
  const unknown = await call(`${server.url()}/v1/events?topics=workflow:${NOBODY}`);
  expect(unknown.status).toBe(404);
});

test('the command line: a document from a file or stdin, its steps, and exit codes', async () => {
  const document = { name: 'by hand', tasks: { a: { type: 'add', input: sum } } };
  const file = join(folder, 'workflow.json');
  writeFileSync(file, JSON.stringify(document));
  const ended = await popfleet(`workflow start @${file} --wait --json`);
  expect([ended.code, JSON.parse(ended.stdout)]).toMatchObject([0, { name: 'by hand', state: 'succeeded' }]);
  const stays = { ...document, name: 'stays', tasks: { a: stuck, b: { ...stuck, needs: ['a'] } } };
  const started = await popfleet('workflow start - --key by-hand', JSON.stringify(stays));
  const id = started.stdout.trim();
  expect((await popfleet('workflow start - --key by-hand', JSON.stringify(stays))).stdout.trim()).toBe(id);
  expect(await popfleet(`workflow wait ${id} --timeout 20ms`)).toMatchObject({
    code: 124,
    stderr: expect.stringContaining('The workflow'),
  });
  expect((await popfleet(`workflow show ${id}`)).stdout).toMatch(
    /^a\tready\t\tadd\tnobody\t.*\nb\twaiting\ta\tadd\tnobody\t/,
  );
  expect((await popfleet('workflow list --name stays')).stdout).toMatch(
    new RegExp(`^${id}\trunning\tstays\tnobody\t0/2\t0\t1\t`),
  );
  expect((await popfleet(`workflow cancel ${id}`)).code).toBe(0);
  expect(await popfleet(`workflow wait ${id}`)).toMatchObject({
    code: 1,
    stderr: expect.stringContaining(`popfleet workflow retry ${id}`),
  });
  expect((await popfleet(`workflow retry ${id} --json`)).stdout).toContain('"generation":2');
  expect((await popfleet(`workflow show ${NOBODY}`)).code).toBe(5);
  expect((await popfleet('workflow start []')).code).toBe(2);
  expect((await popfleet('workflow start {"tasks":{}}')).code).toBe(6);
});
