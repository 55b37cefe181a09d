// Tasks that ask for more than the memory of Redis: the answer says what was reached, and nothing is lost or doubled on the way there.

import { connect } from 'node:net';
import * as v from 'valibot';
import { afterAll, expect, test } from 'vitest';
import { Popfleet as Client } from '../../src/client/popfleet.ts';
import { openPopfleet, type Popfleet } from '../../src/index.ts';
import { defineTask } from '../../src/tasks/define.ts';
import { documentedRules } from '../support/documented-user.ts';
import { eventually } from '../support/eventually.ts';
import { call, post } from '../support/http.ts';
import { startProxy } from '../support/proxy.ts';
import { homeOf, keyOf } from '../../src/store/keys.ts';
import { startRedis } from '../support/redis.ts';
import { startHere } from '../support/start-here.ts';
import { countsOf } from '../support/moves.ts';

/** For what arrives at once: this machine may be busy. */
const LONG_MS = 20_000;
/** For what never arrives. */
const SHORT_MS = 300;
const ADD = { type: 'add', input: { one: 1, two: 2 } };
const precious = defineTask({
  type: 'precious',
  input: v.object({}),
  defaults: { durability: 'replicas' },
  run: () => 1,
});

const primary = await startRedis({ 'repl-diskless-sync-delay': '0', appendfsync: 'everysec' });
afterAll(() => primary.stop());
const replica = await startRedis({ replicaof: `127.0.0.1 ${primary.port}`, appendonly: 'no' });
afterAll(() => replica.stop());
await eventually(async () => (await primary.client.info('replication')).includes('state=online'));
const proxy = await startProxy(primary.port);
afterAll(() => proxy.close());
const server = await startHere('server', { REDIS_URL: proxy.url, DURABLE_WAIT_MS: String(LONG_MS) });
afterAll(() => server.stop());

function openLibrary(redisUrl: string, durableWaitMs = LONG_MS): Promise<Popfleet> {
  return openPopfleet({ redisUrl, tasks: [precious], durableWaitMs, logLevel: 'silent' });
}
const library = await openLibrary(primary.url);
afterAll(() => library.close());

await primary.client.call('ACL', 'SETUSER', 'app', 'on', '>secret', ...documentedRules());
const userUrl = (): string => `redis://app:secret@127.0.0.1:${primary.port}`;

const send = (body: object) => post(`${server.url()}/v1/tasks`, { ...ADD, ...body });
const acceptedIn = async (queue: string): Promise<number> =>
  Number((await countsOf(primary.client, queue))['accepted'] ?? 0);

test('a task, a batch and the types of a program: replicas have them when they are answered', async () => {
  const before = await primary.client.client('LIST');
  expect(before).not.toContain('durable');
  const plain = await send({});
  expect(plain.body).not.toHaveProperty('durability');
  const one = await send({ durability: 'replicas' });
  expect([one.status, one.body['state'], one.body['durability']]).toEqual([202, 'ready', 'replicas']);
  expect(await replica.client.hexists(keyOf(homeOf('default'), 'contents'), String(one.body['id']))).toBe(1);
  expect((await send({ durability: 'memory' })).body['durability']).toBe('memory');

  const minimal = await call(`${server.url()}/v1/tasks`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', prefer: 'return=minimal' },
    body: JSON.stringify({ ...ADD, durability: 'replicas' }),
  });
  expect([minimal.status, minimal.headers.get('popfleet-durability')]).toEqual([202, 'replicas']);

  const client = new Client({ url: server.url() });
  const items = [];
  const many = [
    { ...ADD, durability: 'replicas' as const, queue: 'a' },
    { ...ADD, queue: 'a' },
    { ...ADD, durability: 'replicas' as const, queue: 'b' },
  ];
  for await (const item of client.enqueueMany(many)) items.push(item);
  expect(items.map((item) => 'durability' in item && item.durability)).toEqual([
    'replicas',
    false,
    'replicas',
  ]);
  expect((await client.enqueue('add', ADD.input, { durability: 'replicas' })).durability).toBe('replicas');
  const batch = await post(`${server.url()}/v1/batches`, { tasks: [{ ...ADD, durability: 'replicas' }] });
  expect([batch.status, batch.headers.get('popfleet-durability')]).toEqual([202, 'replicas']);

  // The type says so; a call may say otherwise.
  expect((await library.enqueue(precious, {})).durability).toBe('replicas');
  expect((await library.enqueue(precious, {}, { durability: 'memory' })).durability).toBe('memory');
  const handles = await library.enqueueMany(
    precious,
    Array.from({ length: 600 }, () => ({})),
  );
  expect(new Set(handles.map(({ durability }) => durability))).toEqual(new Set(['replicas']));
});

test('many at once go in rounds: each is answered, once', async () => {
  const answers = await Promise.all(
    Array.from({ length: 200 }, () => send({ durability: 'replicas', queue: 'many' })),
  );
  expect(new Set(answers.map(({ body }) => body['durability']))).toEqual(new Set(['replicas']));
  expect(await acceptedIn('many')).toBe(200);
});

test('a replica that is stopped: accepted, and the answer says so; the same key later finds it and waits anew', async () => {
  const hasty = await openLibrary(primary.url, SHORT_MS);
  const options = { queue: 'stopped', key: 'k' };
  await replica.signal('SIGSTOP');
  const waited = await hasty.enqueue(precious, {}, options);
  expect([waited.replayed, waited.durability]).toEqual([false, 'memory']);
  const [again, plain] = await Promise.all([
    hasty.enqueue(precious, {}, options),
    hasty.enqueue(precious, {}, { queue: 'stopped', durability: 'memory' }),
  ]);
  expect([again.id, again.replayed, again.durability]).toEqual([waited.id, true, 'memory']);
  expect(plain.replayed).toBe(false);
  await replica.signal('SIGCONT');
  hasty.close();

  const later = await library.enqueue(precious, {}, options);
  expect([later.id, later.replayed, later.durability]).toEqual([waited.id, true, 'replicas']);
  // Another level does not make it another task.
  const other = await library.enqueue(precious, {}, { ...options, durability: 'memory' });
  expect([other.id, other.replayed, other.durability]).toEqual([waited.id, true, 'memory']);
  expect(await acceptedIn('stopped')).toBe(2);
});

test('the documented user of Redis may wait for replicas', async () => {
  const own = await openLibrary(userUrl());
  expect((await own.enqueue(precious, {})).durability).toBe('replicas');
  own.close();
});

test.each(['WAIT', 'enqueue'])(
  'the reply to %s gets lost: it is repeated over a new connection, and nothing is doubled',
  async (name) => {
    const queue = `lost-${name.toLowerCase()}`;
    await send({ durability: 'replicas', queue });
    const lost = proxy.loseReply(name, 1);
    const answer = await send({ durability: 'replicas', queue });
    await lost;
    expect([answer.status, answer.body['durability']]).toEqual([202, 'replicas']);
    expect(await acceptedIn(queue)).toBe(2);
  },
);

const knowsWaitAof =
  ((await primary.client.call('COMMAND', 'INFO', 'WAITAOF')) as readonly unknown[])[0] !== null;

test.skipIf(knowsWaitAof)(
  'on its disk: refused where Redis cannot say so, and nothing is written',
  async () => {
    const early = await send({ durability: 'disk', queue: 'refused' });
    expect([early.status, early.body['code']]).toEqual([422, 'invalid-input']);
    expect(early.body['detail']).toContain('appendfsync always');
    const batch = [
      { ...ADD, queue: 'refused' },
      { ...ADD, queue: 'refused', durability: 'disk' },
    ];
    const refused = await post(`${server.url()}/v1/tasks/batch`, batch);
    expect([refused.status, refused.body['code']]).toEqual([422, 'invalid-input']);
    expect(await acceptedIn('refused')).toBe(0);
  },
);

test.runIf(knowsWaitAof)(
  'on its disk by WAITAOF: reached with the next fsync, for many at once, for the documented user, over a lost reply',
  async () => {
    const queue = 'written';
    const answers = await Promise.all(Array.from({ length: 100 }, () => send({ durability: 'disk', queue })));
    expect(new Set(answers.map(({ body }) => body['durability']))).toEqual(new Set(['disk']));
    const lost = proxy.loseReply('WAITAOF', 1);
    const answer = await send({ durability: 'disk', queue });
    await lost;
    expect([answer.status, answer.body['durability']]).toEqual([202, 'disk']);
    expect(await acceptedIn(queue)).toBe(101);

    const hasty = await openLibrary(userUrl(), SHORT_MS);
    // Nobody tells Redis when its disk has it.
    await primary.client.config('SET', 'appendfsync', 'no');
    expect((await hasty.enqueue(precious, {}, { queue, durability: 'disk' })).durability).toBe('memory');
    await primary.client.config('SET', 'appendfsync', 'everysec');
    hasty.close();
    const own = await openLibrary(userUrl());
    expect((await own.enqueue(precious, {}, { queue, durability: 'disk' })).durability).toBe('disk');
    own.close();
    expect(await acceptedIn(queue)).toBe(103);
  },
);

test('on its disk: reached where each write waits for it, refused without an append-only file', async () => {
  await primary.client.config('SET', 'appendfsync', 'always');
  const answer = await send({ durability: 'disk', queue: 'disk' });
  expect([answer.status, answer.body['durability']]).toEqual([202, 'disk']);

  await primary.client.config('SET', 'appendonly', 'no');
  expect((await send({ durability: 'disk', queue: 'disk' })).status).toBe(422);
  expect(await acceptedIn('disk')).toBe(1);
});

test('Redis is busy, or this user may not ask: the level is not said to be impossible', async () => {
  const own = await startRedis({ appendonly: 'yes', appendfsync: 'always', 'lua-time-limit': '20' });
  const front = await startHere('server', { REDIS_URL: own.url });
  const ask = () => post(`${front.url()}/v1/tasks`, { ...ADD, durability: 'disk' });
  expect((await ask()).status).toBe(202);
  const endless = own.client.eval('while true do end', 0).catch(String);
  const busy = await eventually(async () => {
    const answer = await ask();
    return answer.status !== 202 && answer;
  });
  expect([busy.status, busy.body['code']]).toEqual([503, 'redis-unavailable']);
  connect(own.port, '127.0.0.1').end('SCRIPT KILL\r\n');
  expect(await endless).toContain('killed');
  expect((await eventually(async () => (await ask()).status === 202 && ask())).body['durability']).toBe(
    'disk',
  );
  await front.stop();

  await own.client.call('ACL', 'SETUSER', 'default', '-config', ...(knowsWaitAof ? ['-waitaof'] : []));
  const refused = await startHere('server', { REDIS_URL: own.url });
  const answer = await post(`${refused.url()}/v1/tasks`, { ...ADD, durability: 'disk' });
  expect(answer.status).toBe(knowsWaitAof ? 503 : 422);
  await refused.stop();
  await own.stop();
});

test('steps, children and what follows a batch have no level of their own', async () => {
  const then = { success: { ...ADD, durability: 'disk' } };
  const tasks = { one: { ...ADD, durability: 'disk' } };
  expect((await post(`${server.url()}/v1/batches`, { then })).status).toBe(422);
  expect((await post(`${server.url()}/v1/workflows`, { tasks })).status).toBe(422);
});

test('the primary is killed: what was acknowledged with `replicas` is on the next one', async () => {
  const answers = await Promise.all(
    Array.from({ length: 100 }, () => send({ durability: 'replicas', queue: 'kept' })),
  );
  await primary.signal('SIGKILL');
  await replica.client.call('REPLICAOF', 'NO', 'ONE');
  const kept = await replica.client.hkeys(keyOf(homeOf('kept'), 'contents'));
  expect(kept.toSorted()).toEqual(answers.map(({ body }) => String(body['id'])).toSorted());
});
