// The library: the same tasks and options as over HTTP, without a server.

import * as v from 'valibot';
import { afterAll, beforeAll, describe, expect, it, test } from 'vitest';
import { defineTask, openPopfleet, type Popfleet } from '../src/index.ts';
import { PopfleetError } from '../src/protocol/errors.ts';
import { createAdd } from '../src/tasks/add.ts';
import type { TaskDefinition } from '../src/tasks/define.ts';
import { eventually } from './support/eventually.ts';
import { startRedis, type TestRedis } from './support/redis.ts';
import { type RoleHere, startHere } from './support/start-here.ts';

const anything = defineTask({ type: 'anything', input: v.any(), run: () => 1 });
const dated = defineTask({ type: 'dated', input: v.object({ at: v.date() }), run: () => 1 });

const add = createAdd(0);

let redis: TestRedis;
let popfleet: Popfleet;
let worker: RoleHere;

beforeAll(async () => {
  redis = await startRedis();
  const tasks = [add as TaskDefinition, anything as TaskDefinition, dated as TaskDefinition];
  popfleet = await openPopfleet({ redisUrl: redis.url, tasks, logLevel: 'silent' });
  // A worker of another queue would leave these alone: "waiting" has none.
  worker = await startHere('worker', { REDIS_URL: redis.url });
});

afterAll(async () => {
  popfleet?.close();
  await worker?.stop();
  await redis?.stop();
});

const sum = { one: 1, two: 2 };

test('a task is sent, runs, and is looked at', async () => {
  const { id, replayed } = await popfleet.enqueue('add', sum, { priority: 'high', maxAttempts: 2 });
  expect(replayed).toBe(false);
  const task = await eventually(async () => {
    const now = await popfleet.get(id);
    return now?.state === 'succeeded' && now;
  });
  expect(task).toMatchObject({ id, type: 'add', result: 3, priority: 'high', options: { maxAttempts: 2 } });
  expect(await popfleet.cancel(id)).toBe('succeeded');
  expect(await popfleet.retry(id)).toBe('succeeded');
});

test('options mean what they mean over HTTP', async () => {
  const options = { queue: 'waiting', key: 'k', delayMs: 60_000 };
  const first = await popfleet.enqueue('add', sum, options);
  expect(await popfleet.enqueue('add', sum, options)).toEqual({ id: first.id, replayed: true });
  await expect(popfleet.enqueue('add', { one: 2, two: 2 }, options)).rejects.toMatchObject({
    code: 'idempotency-key-reused',
  });
  expect(await popfleet.get(first.id)).toMatchObject({ state: 'scheduled', queue: 'waiting' });
  expect(await popfleet.cancel(first.id)).toBe('cancelled');

  const late = await popfleet.enqueue('add', sum, { expiresAt: '2020-01-01T00:00:00Z' });
  await eventually(async () => (await popfleet.get(late.id))?.state === 'dead');
  expect(await popfleet.retry(late.id)).toBe('replayed');
});

test('many tasks are sent at once, and each is answered in its place', async () => {
  const many = Array.from({ length: 1_200 }, (_, at) => ({
    type: 'add',
    input: { one: at, two: 1 },
    queue: at % 3 === 0 ? 'many-a' : 'many-b',
    ...(at === 7 || at === 8 ? { key: 'seven', input: sum, queue: 'many-b' } : {}),
    ...(at === 9 ? { delayMs: 60_000 } : {}),
  }));
  const sent = await popfleet.enqueueMany(many);
  expect(sent).toHaveLength(1_200);
  expect(new Set(sent.map(({ id }) => id)).size).toBe(1_199);
  expect(sent[8]).toEqual({ id: sent[7]?.id, replayed: true });
  for (const at of [0, 1, 249, 250, 251, 1_199]) {
    expect(await popfleet.get(sent[at]?.id ?? '')).toMatchObject({
      input: { one: at, two: 1 },
      queue: many[at]?.queue,
    });
  }
  expect(await popfleet.get(sent[9]?.id ?? '')).toMatchObject({ state: 'scheduled' });
  const counts = await Promise.all(
    ['many-a', 'many-b'].map((queue) => redis.client.hget(`pf:{${queue}}:count`, 'accepted')),
  );
  expect(counts.reduce((total, count) => total + Number(count), 0)).toBe(1_199);
  expect(await popfleet.enqueueMany([])).toEqual([]);
});

test('many inputs of one definition share their options, but no key', async () => {
  const inputs = [sum, { one: 3, two: 4 }];
  const sent = await popfleet.enqueueMany(add as TaskDefinition, inputs, {
    queue: 'many-c',
    priority: 'low',
  });
  for (const [at, { id }] of sent.entries()) {
    expect(await popfleet.get(id)).toMatchObject({
      type: 'add',
      input: inputs[at],
      queue: 'many-c',
      priority: 'low',
    });
  }
  const any = (value: unknown): never => value as never;
  for (const [call, pointer] of [
    [() => popfleet.enqueueMany(add, [sum], any({ key: 'k' })), '#/options/key'],
    [() => popfleet.enqueueMany(add, any(sum)), '#'],
    [() => popfleet.enqueueMany(add, any([sum, { one: 1 }])), '#/1/input/two'],
  ] as const) {
    await expect(call()).rejects.toMatchObject({ code: 'invalid-input', faults: [{ pointer }] });
  }
});

test('one wrong task of many is named by its place, and none is sent', async () => {
  const accepted = await redis.client.hget('pf:{default}:count', 'accepted');
  const wrong = await popfleet
    .enqueueMany([
      { type: 'add', input: sum },
      { type: 'add', input: { one: 'x', two: 2 } },
    ])
    .catch((error: PopfleetError) => error);
  expect(wrong).toMatchObject({ code: 'invalid-input', faults: [{ pointer: '#/1/input/one' }] });
  expect(await redis.client.hget('pf:{default}:count', 'accepted')).toBe(accepted);
});

test('calls of one turn share a call, and each hears of its own task', async () => {
  await redis.client.config('RESETSTAT');
  const queue = 'together';
  const sent = await Promise.all(
    Array.from({ length: 100 }, (_, at) => popfleet.enqueue('add', { one: at, two: 0 }, { queue })),
  );
  const calls = /cmdstat_evalsha:calls=(\d+)/.exec(await redis.client.info('commandstats'))?.[1];
  expect(Number(calls)).toBeLessThan(20);
  for (const [at, { id }] of sent.entries()) {
    if (at % 20 === 0) expect(await popfleet.get(id)).toMatchObject({ input: { one: at, two: 0 } });
  }
});

test('what is wrong is named, and nothing is sent', async () => {
  const accepted = await redis.client.hget('pf:{default}:count', 'accepted');
  const wrong = await popfleet
    .enqueue('add', sum, { maxAttempts: 0, delayMs: -1 })
    .catch((error: PopfleetError) => error);
  expect(wrong).toMatchObject({
    code: 'invalid-input',
    faults: [{ pointer: '#/maxAttempts' }, { pointer: '#/delayMs' }],
  });
  await expect(popfleet.enqueue('add', { one: 'x', two: 2 })).rejects.toMatchObject({
    faults: [{ pointer: '#/input/one' }],
  });
  await expect(popfleet.enqueue('nope', {})).rejects.toMatchObject({ code: 'unknown-type' });
  expect(await popfleet.get('01a20000-0000-7000-8000-000000000000')).toBeUndefined();
  expect(await popfleet.cancel('01a20000-0000-7000-8000-000000000000')).toBe('unknown');
  expect(await redis.client.hget('pf:{default}:count', 'accepted')).toBe(accepted);
});

it('case 39: how long a task is kept is stored with it, whether the call or the type says so', async () => {
  const brief = defineTask({
    type: 'brief',
    input: v.any(),
    defaults: { resultTtlMs: 40_000 },
    run: () => 1,
  });
  const other = await openPopfleet({ redisUrl: redis.url, tasks: [brief, anything] });
  const options = { queue: 'brief' };
  const sent = await Promise.all([
    other.enqueue('brief', 1, options),
    other.enqueue('brief', 1, { ...options, resultTtlMs: 0 }),
    other.enqueue('anything', 1, options),
    other.enqueue('anything', 1, { ...options, resultTtlMs: 50, key: 'k', delayMs: 1_000 }),
  ]);
  const [many] = await other.enqueueMany([{ type: 'brief', input: 1, queue: 'brief' }]);
  const ids = [...sent, many].map((one) => one?.id ?? '');
  const stored = await redis.client.hmget('pf:{brief}:result-ttls', ...ids);
  expect(stored).toEqual(['40000', '0', null, '50', '40000']);
  other.close();
});

describe('case 42: what no worker could read is refused at once', () => {
  const accepted = (): Promise<string | null> => redis.client.hget('pf:{default}:count', 'accepted');
  const cycle: Record<string, unknown> = {};
  cycle['self'] = cycle;
  let deep: unknown = 1;
  for (let level = 0; level < 100; level += 1) deep = [deep];

  async function refusal(call: () => Promise<unknown>): Promise<{ code: string; message: string }> {
    const before = await accepted();
    const error: unknown = await call().then(
      () => 'accepted',
      (thrown: unknown) => thrown,
    );
    expect(error).toBeInstanceOf(PopfleetError);
    expect(await accepted()).toBe(before);
    const { code, message, faults } = error as PopfleetError;
    for (const { pointer } of faults) expect(message).toContain(pointer);
    return { code, message };
  }

  it.each<[string, unknown, string]>([
    ['a Date', { at: new Date(0) }, '#/input/at is a Date (give its toISOString())'],
    ['a Map', new Map([['a', 1]]), '#/input is a Map (give Object.fromEntries(map))'],
    ['a Set', { tags: new Set(['a']) }, '#/input/tags is a Set (give Array.from(set))'],
    ['a BigInt', { id: 2n ** 70n }, '#/input/id is a BigInt (give its text)'],
    ['an Error', [new Error('x')], '#/input/0 is an Error (give its message)'],
    ['100 levels', deep, `#/input${'/0'.repeat(64)} is nested deeper than 64 levels`],
    ['a key', { constructor: 'Ferrari' }, '#/input/constructor is a key that is not allowed'],
    [
      'half of an emoji',
      { text: 'x\ud83d' },
      '#/input/text is text with half of a character (a lone surrogate)',
    ],
    ['a URL', { url: new URL('http://a/') }, '#/input/url is a URL'],
    ['a cycle', cycle, '#/input/self is a cycle: it is one of those that it stands in'],
    ['a function', { f() {} }, '#/input/f is a function'],
  ])('case 42: %s as input', async (_, input, fault) => {
    const refused = { code: 'invalid-input', message: `Correct these fields: ${fault}` };
    expect(await refusal(() => popfleet.enqueue('anything', input))).toEqual(refused);
    const many = () =>
      popfleet.enqueueMany([
        { type: 'add', input: sum },
        { type: 'anything', input },
      ]);
    const inMany = { ...refused, message: refused.message.replace('#/', '#/1/') };
    expect(await refusal(many)).toEqual(inMany);
  });

  it('case 42: a Date is refused also where the schema wants one, for the worker would not get one', async () => {
    const { message } = await refusal(() => popfleet.enqueue('dated', { at: new Date(0) }));
    expect(message).toContain('#/input/at is a Date');
  });

  it('case 42: undefined as a member is taken, and what is sent is what was checked', async () => {
    const input = { one: 1, two: 2, three: undefined };
    const { id } = await popfleet.enqueue('anything', input, { queue: 'waiting' });
    input.one = 5;
    expect((await popfleet.get(id))?.input).toEqual({ one: 1, two: 2 });
  });

  // What a program without types may give.
  const any = (value: unknown): never => value as never;
  it.each<[string, () => Promise<unknown>, RegExp]>([
    ['a type that is no text', () => popfleet.enqueue(any(Symbol('add')), sum), /#\/type must be text/],
    ['options that are no object', () => popfleet.enqueue('add', sum, any('high')), /# must be an object/],
    ['options that are a list', () => popfleet.enqueue('add', sum, any([])), /# must be an object/],
    [
      'an unknown option',
      () => popfleet.enqueue('add', sum, any({ delay: 1 })),
      /#\/delay is an unknown field/,
    ],
    [
      'a type among the options',
      () => popfleet.enqueue('add', sum, any({ type: 'x' })),
      /#\/type is no option/,
    ],
    [
      'an option that is a Map',
      () => popfleet.enqueue('add', sum, any({ backoff: new Map() })),
      /#\/backoff is a Map/,
    ],
    ['a delay that is NaN', () => popfleet.enqueue('add', sum, { delayMs: Number.NaN }), /#\/delayMs is NaN/],
    [
      'no list of tasks',
      () => popfleet.enqueueMany(any({ type: 'add', input: sum })),
      /# must be an array of tasks/,
    ],
    [
      'a list with nothing in it',
      () =>
        popfleet.enqueueMany(
          any(Array.from({ length: 2 }, (_, at) => (at === 0 ? { type: 'add', input: sum } : undefined))),
        ),
      /#\/1 must be an object/,
    ],
    ['an id that is no text', () => popfleet.get(any(undefined)), /#\/id must be text/],
    ['an id that is a number', () => popfleet.cancel(any(5)), /#\/id must be text/],
  ])('case 42: %s', async (_, call, message) => {
    const refused = await refusal(call);
    expect(refused.code).toBe('invalid-input');
    expect(refused.message).toMatch(message);
  });

  it.each<[string, unknown, string]>([
    ['no address', { redisUrl: undefined, tasks: [] }, 'openPopfleet: redisUrl is missing'],
    ['an address without text', { redisUrl: '', tasks: [] }, 'openPopfleet: redisUrl is missing'],
    ['no settings', undefined, 'openPopfleet: the argument is missing'],
    [
      'an unknown setting',
      { redisUrl: 'redis://h', tasks: [], redis: 1 },
      'openPopfleet: redis is no setting',
    ],
    ['no tasks', { redisUrl: 'redis://h' }, 'openPopfleet: tasks is missing'],
    [
      'tasks that are none',
      { redisUrl: 'redis://h', tasks: [{}] },
      'openPopfleet: tasks.0 was not made by defineTask()',
    ],
    [
      'an unknown level',
      { redisUrl: 'redis://h', tasks: [], logLevel: 'loud' },
      'openPopfleet: logLevel must be one of trace, debug, info, warn, error, fatal, silent',
    ],
  ])('case 42: it does not open with %s', async (_, settings, message) => {
    const opened = openPopfleet(settings as Parameters<typeof openPopfleet>[0]);
    await expect(opened).rejects.toMatchObject({ name: 'PopfleetError', code: 'bad-config', message });
  });

  it('case 42: an address that is none is refused, and its password stands nowhere', async () => {
    for (const redisUrl of ['localhost:6379', 'http://:secret@h', 'secret']) {
      const error = await openPopfleet({ redisUrl, tasks: [] }).catch((thrown: PopfleetError) => thrown);
      expect(error).toMatchObject({ code: 'bad-config' });
      expect(String((error as Error).message)).not.toContain('secret');
    }
  });
});

test('two definitions of one type are refused', async () => {
  const again = createAdd(0) as TaskDefinition;
  await expect(openPopfleet({ redisUrl: redis.url, tasks: [add as TaskDefinition, again] })).rejects.toThrow(
    /defined twice/,
  );
});
