// Every option with every kind of wrong value: refused, named by its place in the body, and nothing in Redis.

import { fileURLToPath } from 'node:url';
import * as v from 'valibot';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { encodeCbor } from '../../src/protocol/cbor.ts';
import { PopfleetError } from '../../src/protocol/errors.ts';
import { callEntries, type TaskDefaults } from '../../src/protocol/options.ts';
import { ScheduleSchema } from '../../src/protocol/schedule.ts';
import type { Server } from '../../src/server/server.ts';
import { defineTask } from '../../src/tasks/define.ts';
import { eventually } from '../support/eventually.ts';
import { spawnRole } from '../support/fleet.ts';
import { call, post } from '../support/http.ts';
import { refused as refuse, type Refusal, SECRET } from '../support/refused.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { startServer } from '../support/server.ts';

const DAY_MS = 86_400_000;
const YEAR_MS = 365 * DAY_MS;
const TASK = { type: 'add', input: { one: 1, two: 2 } };

/** Wrong for whatever is no number. */
const NO_NUMBERS: readonly unknown[] = [null, true, '5', SECRET, [5], { ms: 5 }];
const NO_TEXTS: readonly unknown[] = [null, false, 5, ['text'], { text: 1 }];

function number(least: number, most: number): readonly unknown[] {
  return [...NO_NUMBERS, least - 1, most + 1, least + 0.5, -1e300, 1e300];
}

const NO_TIMES: readonly unknown[] = [
  null,
  true,
  [0],
  {},
  -1,
  0.5,
  1e300,
  '',
  SECRET,
  'tomorrow',
  '0',
  '2026-11-23',
  '2026-11-23T10:00:00',
  '2026-11-23T10:00Z',
  '2026-11-23T10:00:00+01',
  '2026-11-23T24:00:00Z',
  '2026-11-23T10:60:00Z',
  '2026-11-31T10:00:00Z',
  '2027-02-29T10:00:00Z',
  '2026-13-01T10:00:00Z',
  '1969-12-31T23:59:59Z',
  ' 2026-11-23T10:00:00Z',
  'Mon, 23 Nov 2026 10:00:00 GMT',
];
const NO_BACKOFFS: readonly unknown[] = [null, 5, SECRET, 'fixed', [], [{ type: 'fixed' }]];
const NO_BACKOFF_FIELDS: Record<string, readonly unknown[]> = {
  type: [...NO_TEXTS, '', 'linear', 'toString', SECRET],
  baseMs: number(0, 30 * DAY_MS),
  factor: [...NO_NUMBERS, 0, 0.99, 100.01, -2, 1e300],
  capMs: number(0, 30 * DAY_MS),
  jitter: [...NO_TEXTS, '', 'half', SECRET],
  retries: [1],
};

/** The options that a definition may set for every call. */
const WRONG_DEFAULTS: Record<string, readonly unknown[]> = {
  maxAttempts: number(1, 1_000),
  backoff: NO_BACKOFFS,
  timeoutMs: number(1, 24 * DAY_MS),
  resultTtlMs: number(0, YEAR_MS),
  queue: [...NO_TEXTS, '', 'Mail', 'a:b', 'a{b}', 'q'.repeat(65), SECRET.toUpperCase()],
  priority: [...NO_TEXTS, '', 'HIGH', 'urgent', SECRET],
  keyWindowMs: number(1, YEAR_MS),
  durability: [...NO_TEXTS, '', 'Disk', 'fsync', SECRET],
  ttlMs: number(1, YEAR_MS),
  webhook: [null, 5, SECRET, true, [], [{ url: 'https://example.org' }]],
  tags: [null, 5, true, SECRET, { tag: SECRET }, Array.from({ length: 17 }, (_, at) => `tag-${at}`)],
};
const WRONG: Record<string, readonly unknown[]> = {
  ...WRONG_DEFAULTS,
  delayMs: number(0, YEAR_MS),
  runAt: NO_TIMES,
  expiresAt: NO_TIMES,
  onEnd: [null, 5, SECRET, true, [], [{ type: 'add' }]],
  key: [...NO_TEXTS, '', 'two words', 'line\nend', 'ключ', 'k'.repeat(256)],
};

const JSON_TYPE = { 'content-type': 'application/json' };

let redis: TestRedis;
let server: Server;

beforeAll(async () => {
  redis = await startRedis();
  server = await startServer(redis.url);
  await eventually(async () => (await call(`${server.url()}/readyz`)).status === 200);
});

afterAll(async () => {
  await server?.stop();
  await redis?.stop();
});

const refused = (body: object): Promise<Refusal> =>
  refuse(redis.client, `${server.url()}/v1/tasks`, {
    method: 'POST',
    headers: JSON_TYPE,
    body: JSON.stringify(body),
  });

async function expectRefused(options: object, pointers: readonly string[]): Promise<void> {
  const problem = await refused({ ...TASK, ...options });
  expect(problem, JSON.stringify(options)).toMatchObject({ status: 422, code: 'invalid-input', pointers });
  // Who reads only the sentence finds the field as well.
  for (const pointer of pointers) expect(problem.detail).toContain(pointer);
}

test('the tables name every option there is', () => {
  expect(Object.keys(WRONG).toSorted()).toEqual(Object.keys(callEntries).toSorted());
});

test('the control: the same server takes what is right, and shows it', async () => {
  const options = {
    maxAttempts: 5,
    backoff: { type: 'fixed', baseMs: 10, factor: 1, capMs: 20, jitter: 'none' },
    timeoutMs: 1_000,
    resultTtlMs: 60_000,
    queue: 'mail',
    priority: 'low',
    keyWindowMs: 1_000,
    ttlMs: 60_000,
    delayMs: 5_000,
    key: 'k-1',
    tags: ['one', 'x'.repeat(64)],
  };
  const { status, body } = await post(`${server.url()}/v1/tasks`, { ...TASK, ...options });
  expect({ status, body }).toMatchObject({
    status: 202,
    body: { state: 'scheduled', queue: 'mail', priority: 'low' },
  });
  const task = (await call(`${server.url()}/v1/tasks/${String(body['id'])}`)).body;
  const { maxAttempts, backoff, timeoutMs, resultTtlMs, tags } = options;
  expect(task).toMatchObject({
    queue: 'mail',
    priority: 'low',
    tags,
    options: { maxAttempts, backoff, timeoutMs, resultTtlMs },
  });
  const from = Date.parse(String(task['acceptedAt']));
  expect(Date.parse(String(task['dueAt'])) - from).toBe(5_000);
  expect(Date.parse(String(task['expiresAt'])) - from).toBe(60_000);

  const at = { runAt: '2099-01-01T00:00:00Z', expiresAt: '2099-01-02T01:00:00+01:00' };
  const later = (await post(`${server.url()}/v1/tasks`, { ...TASK, ...at })).body;
  expect((await call(`${server.url()}/v1/tasks/${String(later['id'])}`)).body).toMatchObject({
    dueAt: '2099-01-01T00:00:00.000Z',
    expiresAt: '2099-01-02T00:00:00.000Z',
  });
  await redis.client.flushall();
});

test.each(Object.entries(WRONG))('%s', async (name, values) => {
  for (const value of values) await expectRefused({ [name]: value }, [`#/${name}`]);
});

test.each(Object.entries(NO_BACKOFF_FIELDS))('backoff.%s', async (name, values) => {
  for (const value of values) await expectRefused({ backoff: { [name]: value } }, [`#/backoff/${name}`]);
});

test('each of the tags', async () => {
  for (const tag of [...NO_TEXTS, '', '  ', 'x'.repeat(65), `${SECRET}\n${SECRET}`, '\u0000']) {
    await expectRefused({ tags: ['right', tag] }, ['#/tags/1']);
  }
});

test('the members of onEnd', async () => {
  const wrong: Record<string, readonly unknown[]> = {
    type: [...NO_TEXTS, undefined],
    queue: WRONG_DEFAULTS['queue'] ?? [],
    delayMs: [1],
  };
  for (const [name, values] of Object.entries(wrong)) {
    for (const value of values) {
      await expectRefused({ onEnd: { type: 'add', [name]: value } }, [`#/onEnd/${name}`]);
    }
  }
  await expectRefused({ onEnd: { type: 'add', input: { one: 1 } } }, ['#/onEnd/input/two']);
});

test('the members of webhook', async () => {
  const url = 'https://example.org/hook';
  for (const value of [
    undefined,
    null,
    5,
    '',
    'example.org',
    'ftp://example.org',
    'https://me@example.org',
    SECRET,
  ]) {
    await expectRefused({ webhook: { url: value } }, ['#/webhook/url']);
  }
  for (const states of [null, 5, 'dead', [], ['dead', 'dead', 'dead', 'dead']]) {
    await expectRefused({ webhook: { url, states } }, ['#/webhook/states']);
  }
  for (const state of [5, 'ready', 'DEAD', SECRET]) {
    await expectRefused({ webhook: { url, states: [state] } }, ['#/webhook/states/0']);
  }
  await expectRefused({ webhook: { url, secret: 'x' } }, ['#/webhook/secret']);
});

test('numbers that JSON does not have, in CBOR', async () => {
  for (const name of ['maxAttempts', 'delayMs', 'runAt', 'ttlMs']) {
    for (const value of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
      const problem = await refuse(redis.client, `${server.url()}/v1/tasks`, {
        method: 'POST',
        headers: { 'content-type': 'application/cbor' },
        body: Uint8Array.from(encodeCbor({ ...TASK, [name]: value })),
      });
      expect(problem.status, `${name}: ${value}`).toBeGreaterThanOrEqual(400);
      expect(problem.status, `${name}: ${value}`).toBeLessThan(500);
    }
  }
});

test('two options that exclude each other', async () => {
  const runAt = '2099-01-01T00:00:00Z';
  await expectRefused({ delayMs: 5, runAt }, ['#/delayMs']);
  await expectRefused({ delayMs: 0, runAt: 0 }, ['#/delayMs']);
  await expectRefused({ ttlMs: 5, expiresAt: runAt }, ['#/ttlMs']);
  await expectRefused({ delayMs: 5, runAt, ttlMs: 5, expiresAt: runAt }, ['#/delayMs', '#/ttlMs']);
});

test('all that is wrong is told at once', async () => {
  const options = { maxAttempts: 0, backoff: { baseMs: -1, jitter: 1 }, key: '', delay: 5 };
  const problem = await refused({ ...TASK, ...options });
  expect(problem.pointers.toSorted()).toEqual([
    '#/backoff/baseMs',
    '#/backoff/jitter',
    '#/delay',
    '#/key',
    '#/maxAttempts',
  ]);
});

test.each(['webhook', 'tags', 'retries', 'delay', 'attempts', 'id', 'state', 'MaxAttempts'])(
  'what is no option is not overlooked: %s',
  (name) => expectRefused({ [name]: 5 }, [`#/${name}`]),
);

test('defaults of a definition are checked in the same way, and say whose they are', () => {
  const define = (defaults: unknown): unknown =>
    defineTask({ type: 'mail', input: v.unknown(), defaults: defaults as TaskDefaults, run: () => 1 });
  expect(() => define({ maxAttempts: 2, backoff: { type: 'fixed' }, queue: 'mail' })).not.toThrow();
  for (const [name, values] of Object.entries(WRONG_DEFAULTS)) {
    for (const value of values) {
      expect(() => define({ [name]: value }), JSON.stringify({ [name]: value })).toThrow(PopfleetError);
      expect(() => define({ [name]: value })).toThrow(`the defaults of task "mail" are not valid: ${name}: `);
    }
  }
  for (const [name, values] of Object.entries(NO_BACKOFF_FIELDS)) {
    for (const value of values) {
      expect(() => define({ backoff: { [name]: value } })).toThrow(`are not valid: backoff.${name}: `);
    }
  }
  for (const name of ['delayMs', 'runAt', 'expiresAt', 'key', 'retries']) {
    expect(() => define({ [name]: 5 })).toThrow(`are not valid: ${name}: `);
  }
  for (const defaults of [null, 5, 'text']) {
    expect(() => define(defaults), JSON.stringify(defaults)).toThrow(
      'the defaults of task "mail" are not valid: ',
    );
  }
});

test.each(['server', 'worker', 'all'])(
  'wrong defaults of a definition stop the start of the role %s',
  async (role) => {
    const module = fileURLToPath(new URL('../fixtures/bad-defaults.mjs', import.meta.url));
    const started = spawnRole(role, { TASKS: module, REDIS_URL: redis.url });
    expect(await started.exited).toBe(78);
    expect(started.errors().trimEnd()).toMatch(
      /^cannot load the task module \S*bad-defaults\.mjs: the defaults of task "impatient" are not valid: timeoutMs: must be a whole number from 1 to \d+\n {4}at \S*bad-defaults\.mjs:\d+:\d+$/,
    );
    expect(await redis.client.dbsize()).toBe(0);
  },
);

test('the options of a schedule are refused in the same way', async () => {
  const {
    key: _,
    runAt: _at,
    expiresAt: _until,
    delayMs: _delay,
    keyWindowMs: _window,
    durability: _durability,
    ...options
  } = WRONG;
  for (const [name, values] of Object.entries(options)) {
    for (const value of values) {
      const { issues = [] } = v.safeParse(ScheduleSchema, { ...TASK, everyMs: 1_000, [name]: value });
      expect(
        issues.map((issue) => v.getDotPath(issue)),
        JSON.stringify({ [name]: value }),
      ).toEqual([name]);
    }
  }
});
