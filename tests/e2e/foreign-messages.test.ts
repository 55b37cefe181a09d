// Messages of programs that are not popfleet: bytes made by hand, LPUSHed past every check of the server.

import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { newTaskId } from '../../src/protocol/task-id.ts';
import { foreignMessage, text } from '../fixtures/foreign-message.ts';
import { eventually } from '../support/eventually.ts';
import { expectBelow, msOf } from '../support/expect-below.ts';
import { endAll, type RoleProcess, startRole } from '../support/fleet.ts';
import { call, post } from '../support/http.ts';
import { recordOf } from '../support/records.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { type RoleHere, startHere, stopHere } from '../support/start-here.ts';

const READY = 'pf:{default}:ready:normal';
const TASKS = new URL('../fixtures/tasks.mjs', import.meta.url).pathname;

let redis: TestRedis;
let server: RoleHere;
let worker: RoleProcess;

beforeAll(async () => {
  redis = await startRedis();
  const env = { REDIS_URL: redis.url, TASKS, CONCURRENCY: '2', HEARTBEAT_MS: '300', LEASE_MS: '1500' };
  [server, worker] = await Promise.all([startHere('server', env), startRole('worker', env)]);
});

afterAll(async () => {
  await endAll([worker]);
  await stopHere(server);
  await redis?.stop();
});

interface Queue {
  readonly counts: Readonly<Record<string, number>>;
  readonly malformed: number;
  readonly malformedDropped?: number;
}

async function queue(): Promise<Queue> {
  return (await call(`${server.url()}/v1/queues/default`)).body as unknown as Queue;
}

/** The worker runs tasks, and every task that was ever accepted is in exactly one state. */
async function expectHealthy(): Promise<void> {
  const sent = await post(`${server.url()}/add`, { one: 20, two: 22 });
  const task = (await call(`${server.url()}/v1/tasks/${String(sent.body['id'])}?wait=10`)).body;
  expect(task).toMatchObject({ state: 'succeeded', result: 42 });
  await eventually(async () => {
    const { accepted, removed = 0, ...states } = (await queue()).counts;
    expect(Object.values(states).reduce((sum, count) => sum + count, removed)).toBe(accepted);
    return true;
  });
  expect(worker.child.exitCode).toBeNull();
}

test.each<[string, string, Buffer, unknown]>([
  // {"one": 1, "two": 2}
  ['add', 'add', Buffer.from('a2636f6e6501637477 6f02'.replaceAll(' ', ''), 'hex'), 3],
  // {_ "two": -10, "one": 2.0_1}, in other heads than popfleet would choose
  ['add, with other heads', 'add', Buffer.from('bf6374776f3809636f6e65f94000ff', 'hex'), -8],
  ['a type of 33 characters', 'a-type-of-more-than-23-characters', text('x'.repeat(10)), 10],
  ['more than 1 KiB', 'a-type-of-more-than-23-characters', text('x'.repeat(5_000)), 5_000],
])('a message made by hand runs, and its record appears: %s', async (_, type, input, result) => {
  const id = newTaskId();
  await redis.client.lpush(READY, foreignMessage(id, type, input));
  const task = await eventually(async () => {
    const { status, body } = await call(`${server.url()}/v1/tasks/${id}?wait=5`);
    return status === 200 && body;
  });
  expect(task).toMatchObject({ id, type, state: 'succeeded', result, attempt: 1, queue: 'default' });
  await expectHealthy();
});

test('it runs in the lane that it was pushed to', async () => {
  const id = newTaskId();
  await redis.client.lpush(
    'pf:{default}:ready:low',
    foreignMessage(id, 'add', Buffer.from('a2636f6e65016374776f02', 'hex')),
  );
  const task = await eventually(async () => {
    const { status, body } = await call(`${server.url()}/v1/tasks/${id}?wait=5`);
    return status === 200 && body;
  });
  expect(task).toMatchObject({ state: 'succeeded', priority: 'low' });
});

test('pushed twice it runs once', async () => {
  const id = newTaskId();
  const message = foreignMessage(id, 'context', Buffer.from('a0', 'hex'));
  const { accepted = 0, succeeded = 0 } = (await queue()).counts;
  await redis.client.lpush(READY, message, message, message);
  await eventually(async () => (await queue()).counts['succeeded'] === succeeded + 1);
  await expectHealthy();
  expect((await queue()).counts).toMatchObject({ accepted: accepted + 2, succeeded: succeeded + 2 });
});

test('an input that its task refuses, or that is no CBOR, ends dead under its id', async () => {
  const inputs = ['a1636f6e6501', '6161', 'c100', 'a2', '', 'a2636f6e65016374776f0200'];
  const ids = inputs.map(newTaskId);
  for (const [at, id] of ids.entries()) {
    await redis.client.lpush(READY, foreignMessage(id, 'add', Buffer.from(inputs[at] ?? '', 'hex')));
  }
  for (const id of ids) {
    const task = await eventually(async () => {
      const { status, body } = await call(`${server.url()}/v1/tasks/${id}?wait=5`);
      return status === 200 && body;
    });
    expect(task).toMatchObject({
      state: 'dead',
      error: { name: expect.stringMatching(/^(PermanentError|CborFault)$/) },
    });
    expect(String((task['error'] as Record<string, unknown>)['message'])).toMatch(/\w/);
  }
  await expectHealthy();
});

test('case 51: a foreign message whose times mean nothing is run, and shown beside the others', async () => {
  const id = newTaskId();
  // {"text": "x"} and {"schedule": {"name": "x", "due": 2^53 - 1}}
  const input = Buffer.from('a1646e616d6561 78'.replaceAll(' ', ''), 'hex');
  const options = Buffer.from(
    'a1687363686564756c65a2646e616d6561786364 75651b001fffffffffffff'.replaceAll(' ', ''),
    'hex',
  );
  await redis.client.lpush(READY, foreignMessage(id, 'greet', Buffer.concat([input, options]), 5));
  const task = await eventually(async () => {
    const { status, body } = await call(`${server.url()}/v1/tasks/${id}?wait=5`);
    return status === 200 && body;
  });
  expect(task).toMatchObject({ state: 'succeeded', result: 'Hello, x!' });
  expect(task).not.toHaveProperty('schedule');
  expect(await call(`${server.url()}/v1/tasks`)).toMatchObject({ status: 200 });
});

test("case 51: rows that were spoilt are in nobody's way", async () => {
  const { client } = redis;
  const ids = Array.from({ length: 5 }, newTaskId);
  const [onList = '', inDone = '', inDead = '', inKept = '', later = ''] = ids;
  for (const id of ids) {
    await client.hset('pf:{default}:contents', id, Buffer.from('8263616464a0', 'hex'));
    await client.hset('pf:{default}:headers', id, id === later ? 'ready 0 0' : 'gone 1 2 3 x');
  }
  await client.hset('pf:{default}:headers', onList, 'ready 0 zero');
  await client.lpush(READY, foreignMessage(onList, 'add', Buffer.alloc(0), 3));
  await client.zadd('pf:{default}:unstarted', 1, onList);
  await client.lpush('pf:{default}:done', inDone);
  await client.zadd('pf:{default}:dead', 1, inDead);
  await client.zadd('pf:{default}:kept', 1, inKept);
  await client.zadd('pf:{default}:later', 1, later);
  // They are swept away from where they stood.
  await eventually(async () => {
    const left = await Promise.all([
      client.zscore('pf:{default}:kept', inKept),
      client.zscore('pf:{default}:later', later),
      client.zscore('pf:{default}:dead', inDead),
    ]);
    return left.every((score) => score === null);
  });
  await expectHealthy();
  for (const id of ids) {
    expect((await call(`${server.url()}/v1/tasks/${id}`)).status).toBe(200);
    expect((await call(`${server.url()}/v1/tasks/${id}`, { method: 'DELETE' })).status).toBe(204);
    expect((await call(`${server.url()}/v1/tasks/${id}`)).status).toBe(404);
  }
});

test('a type that nobody knows is postponed, never dead, and never in the way of others', async () => {
  const id = newTaskId();
  const before = (await queue()).counts;
  await redis.client.lpush(READY, foreignMessage(id, 'of-a-newer-release', Buffer.from('a0', 'hex')));
  await expectHealthy();
  const task = await eventually(async () => {
    const { body } = await call(`${server.url()}/v1/tasks/${id}`);
    return body['state'] === 'scheduled' && body;
  });
  expect(task).toMatchObject({
    attempt: 0,
    error: { name: 'UnknownType', message: expect.stringContaining('of-a-newer-release') },
  });
  expect(Date.parse(String(task['dueAt']))).toBeGreaterThan(Date.now() + 5_000);
  expect((await queue()).counts).toMatchObject({
    dead: before['dead'],
    scheduled: (before['scheduled'] ?? 0) + 1,
  });

  // When it is due it is tried again, from the same bytes, and waits once more.
  await redis.client.zadd('pf:{default}:later', 1, id);
  await eventually(async () => (await claimsOf(id)) === 2);
  await eventually(async () => (await call(`${server.url()}/v1/tasks/${id}`)).body['state'] === 'scheduled');
  await expectHealthy();
});

const ID = '01890f3a-2b4c-7d5e-8f60-718293a4b5c6';
const whole = (): Buffer => foreignMessage(ID, 'add', Buffer.from('a2636f6e65016374776f02', 'hex'));
const MALFORMED: [string, Buffer][] = [
  ['nothing', Buffer.alloc(0)],
  ['one byte', Buffer.from([0x84])],
  ['text', Buffer.from('hello, world')],
  ['JSON', Buffer.from(JSON.stringify([ID, 1, 'add', { one: 1, two: 2 }]))],
  ['a map', Buffer.from('a1626964616101', 'hex')],
  ['zeros', Buffer.alloc(2_000)],
  ['version 2', changed(39, 2)],
  ['version 0', changed(39, 0)],
  ['an id in capitals', changed(10, 'A'.charCodeAt(0))],
  [
    'an id of hyphens',
    Buffer.concat([whole().subarray(0, 3), Buffer.from('-'.repeat(36)), whole().subarray(39)]),
  ],
  [
    'an id with hyphens elsewhere',
    Buffer.concat([whole().subarray(0, 3), Buffer.from('0-'.repeat(18)), whole().subarray(39)]),
  ],
  ['an id that stops early', whole().subarray(0, 30)],
  ['no version', whole().subarray(0, 39)],
  ['no type', whole().subarray(0, 40)],
  ['half a type', whole().subarray(0, 42)],
  ['an empty type', changed(40, 0x60)],
  ['a type that is a number', changed(40, 0x03)],
  ['a type that is bytes', changed(40, 0x43)],
  ['a type that is a map', changed(40, 0xa3)],
  ['a type with a length of two bytes', Buffer.concat([changed(40, 0x79), Buffer.alloc(80, 0x61)])],
  ['a type in capitals', changed(41, 'A'.charCodeAt(0))],
  ['a type with a space', changed(42, 0x20)],
  ['a type of 65 characters', foreignMessage(ID, 'x'.repeat(65), Buffer.from([0]))],
  ['a type of 300 characters', foreignMessage(ID, 'x'.repeat(300), Buffer.from([0]))],
  ['an array of six', changed(0, 0x86)],
  [
    'an array without a length',
    Buffer.concat([Buffer.from([0x9f]), whole().subarray(1), Buffer.from([0xff])]),
  ],
];

test.each(MALFORMED)('bytes that are no message are kept aside, counted and shown: %s', async (_, bytes) => {
  const { accepted } = (await queue()).counts;
  await expectBelow(3_000, async () => {
    const before = await queue();
    const ms = await msOf(async () => {
      await redis.client.lpush(READY, bytes);
      await eventually(async () => (await queue()).malformed === before.malformed + 1);
    });
    expect((await redis.client.lindexBuffer('pf:{default}:malformed', 0))?.toString('hex')).toBe(
      bytes.toString('hex'),
    );
    expect(await redis.client.hget('pf:{default}:count', 'malformed')).toBe(String(before.malformed + 1));
    expect(await recordOf(redis.client, 'default', ID)).toBeUndefined();
    return ms;
  });
  await expectHealthy();
  expect((await queue()).counts['accepted']).toBe(Number(accepted) + 1);
});

test('a few hundred random buffers, many of them almost messages: the worker goes on', async () => {
  const id = fc.constant(undefined).map(newTaskId);
  const almost = fc
    .tuple(
      id,
      fc.constantFrom('add', 'context', 'greet', 'unknown', 'a-type-of-more-than-23-characters'),
      fc.uint8Array({ maxLength: 40 }),
      fc.array(fc.tuple(fc.nat(90), fc.integer({ min: 0, max: 255 })), { maxLength: 3 }),
      fc.option(fc.nat(90)),
    )
    .map(([taskId, type, input, changes, cut]) => {
      const bytes = foreignMessage(taskId, type, input);
      for (const [at, byte] of changes) if (at < bytes.length) bytes[at] = byte;
      return cut === null ? bytes : bytes.subarray(0, cut);
    });
  const noise = fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes));
  const seed = Date.now();
  const buffers = fc.sample(fc.oneof(almost, almost, noise), { numRuns: 400, seed });

  const lanes = ['high', 'normal', 'low'].map((lane) => `pf:{default}:ready:${lane}`);
  for (const [at, bytes] of buffers.entries()) await redis.client.lpush(lanes[at % 3] ?? READY, bytes);
  await eventually(async () => {
    const left = await Promise.all(lanes.map((lane) => redis.client.llen(lane)));
    const { ready = 0, running = 0 } = (await queue()).counts;
    return left.every((length) => length === 0) && ready + running === 0;
  });
  await expectHealthy();

  // What was postponed becomes due at once, so that every odd message is pushed a second time.
  const later = await redis.client.zrange('pf:{default}:later', '0', '-1');
  const claims = await Promise.all(later.map(claimsOf));
  for (const one of later) await redis.client.zadd('pf:{default}:later', 1, one);
  await eventually(async () => {
    const now = await Promise.all(later.map(claimsOf));
    return now.every((claim, at) => Number(claim) > Number(claims[at]));
  });
  await expectHealthy();
  // Whatever became of them, every record can be shown.
  const dead = await redis.client.zrange('pf:{default}:dead', '0', '-1');
  for (const one of [...later, ...dead]) {
    expect((await call(`${server.url()}/v1/tasks/${one}`)).status, `seed ${seed}`).toBe(200);
  }
  const malformed = (await queue()).malformed;
  expect(malformed, `seed ${seed}`).toBeGreaterThan(50);
  // Nothing is tried again and again.
  await new Promise((resolve) => setTimeout(resolve, 2_500));
  expect((await queue()).malformed, `seed ${seed}`).toBe(malformed);
});

async function claimsOf(id: string): Promise<number> {
  return (await recordOf(redis.client, 'default', id))?.claims ?? 0;
}

function changed(at: number, to: number): Buffer {
  const bytes = whole();
  bytes[at] = to;
  return bytes;
}

test('of messages that are none the latest thousand are kept, the beginning of each, and the others are counted', async () => {
  const before = await queue();
  const long = Buffer.alloc(100_000, 0x61);
  const many = Array.from({ length: 1_100 - before.malformed }, () => Buffer.from('nothing'));
  await redis.client.lpush(READY, ...many, long);
  await eventually(async () => (await queue()).malformedDropped === 101);
  expect((await queue()).malformed).toBe(1_000);
  expect((await redis.client.lindexBuffer('pf:{default}:malformed', 0))?.length).toBe(65_536);
  expect(await redis.client.hget('pf:{default}:count', 'malformed')).toBe('1101');
  await expectHealthy();
});
