// Whatever a caller sends wrongly: the right 4xx with a problem document that names the field, and nothing in Redis.

import { afterAll, beforeAll, expect, test } from 'vitest';
import { encodeCbor } from '../../src/protocol/cbor.ts';
import type { Server } from '../../src/server/server.ts';
import { eventually } from '../support/eventually.ts';
import { call } from '../support/http.ts';
import { type Refusal, refused as refuse, SECRET } from '../support/refused.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { startServer } from '../support/server.ts';

const LIMIT = 4_096;
const JSON_TYPE = { 'content-type': 'application/json' };
const CBOR_TYPE = { 'content-type': 'application/cbor' };

let redis: TestRedis;
let server: Server;

beforeAll(async () => {
  redis = await startRedis();
  server = await startServer(redis.url, LIMIT);
  await eventually(async () => (await call(`${server.url()}/readyz`)).status === 200);
});

afterAll(async () => {
  await server?.stop();
  await redis?.stop();
});

const refused = (path: string, init: RequestInit): Promise<Refusal> =>
  refuse(redis.client, `${server.url()}${path}`, init);
const post = (
  body: string | Uint8Array<ArrayBuffer>,
  headers: Record<string, string> = JSON_TYPE,
): RequestInit => ({
  method: 'POST',
  headers,
  body,
});
const json = (value: unknown): RequestInit => post(JSON.stringify(value));
const cbor = (value: unknown): RequestInit => post(Uint8Array.from(encodeCbor(value)), CBOR_TYPE);

test('the control: the same server takes what is right', async () => {
  const answer = await call(`${server.url()}/add`, json({ one: 1, two: 2 }));
  expect(answer.status).toBe(202);
  expect(await redis.client.dbsize()).toBeGreaterThan(0);
  await redis.client.flushall();
});

test.each<[string, string]>([
  ['nothing', ''],
  ['a bare word', SECRET],
  ['a word where a value belongs', `{"password": ${SECRET}, "two": 2}`],
  ['a missing comma', `{"one": "${SECRET}" "two": 2}`],
  ['half a document', `{"one": "${SECRET}`],
  ['two documents', `{"one":1}{"two":"${SECRET}"}`],
  ['single quotes', `{'one': '${SECRET}'}`],
  ['a comment', `{"one": 1} // ${SECRET}`],
])('wrong JSON is 400: %s', async (_, body) => {
  expect(await refused('/add', post(body))).toMatchObject({ status: 400, code: 'malformed-body' });
  expect(await refused('/v1/tasks', post(body))).toMatchObject({ status: 400, code: 'malformed-body' });
});

test('broken UTF-8 is 400', async () => {
  const body = Buffer.from(`{"one":"\xff${SECRET}"}`, 'latin1');
  const problem = await refused('/add', post(Uint8Array.from(body)));
  expect(problem).toMatchObject({ status: 400, code: 'malformed-body' });
  expect(problem.detail).toContain('UTF-8');
});

test.each([
  '{"one":1,"two":2,"__proto__":{"x":1}}',
  '{"constructor":{"prototype":{}}}',
  '{"one":{"__proto__":1}}',
])('a key that reaches a prototype is 400: %s', async (body) => {
  expect(await refused('/add', post(body))).toMatchObject({ status: 400, code: 'malformed-body' });
  expect(await refused('/v1/tasks', post(`{"type":"add","input":${body}}`))).toMatchObject({ status: 400 });
  expect(({} as Record<string, unknown>)['x']).toBeUndefined();
});

test.each<[string, string]>([
  ['nothing', ''],
  ['half a map', 'a2636f6e6501'],
  ['bytes behind it', 'a000'],
  ['a tag', 'c11a514b67b0'],
  ['a number of 64 bits', 'a1636f6e651bffffffffffffffff'],
  ['a key that reaches a prototype', 'a1695f5f70726f746f5f5f01'],
  ['a key that is no text', 'a10102'],
  ['65 levels', `${'81'.repeat(65)}00`],
  ['text that is not UTF-8', 'a1636f6e6561ff'],
  ['NaN', 'a1636f6e65f97e00'],
  ['undefined in a list', 'a1636f6e6581f7'],
  ['a length that is a lie', '9b00000000ffffffff'],
  ['JSON', Buffer.from('{"one":1}').toString('hex')],
])('CBOR that is not plain is 400: %s', async (_, hex) => {
  const body = Uint8Array.from(Buffer.from(hex, 'hex'));
  expect(await refused('/add', post(body, CBOR_TYPE))).toMatchObject({ status: 400, code: 'malformed-body' });
});

test.each([
  ['9007199254740993', '#/one'],
  ['-9007199254740992', '#/one'],
  ['1198765432109876543', '#/one'],
  ['[0,{"deep/er":36893488147419103232}]', '#/one/1/deep~1er'],
])('case 44: an integer that a number cannot hold is 400: %s', async (one, pointer) => {
  const problem = await refused('/add', post(`{"two":2,"one":${one}}`));
  expect(problem).toMatchObject({ status: 400, code: 'malformed-body', pointers: [pointer] });
  expect(problem.detail).toBe(
    `The body cannot be accepted: ${pointer} is an integer beyond ±(2^53 − 1): send it as text.`,
  );
  const inCall = await refused('/v1/tasks', post(`{"type":"add","input":{"two":2,"one":${one}}}`));
  expect(inCall).toMatchObject({ status: 400, pointers: [`#/input${pointer.slice(1)}`] });
  const schedule = `{"cron":"* * * * *","type":"add","input":{"two":2,"one":${one}}}`;
  const inSchedule = await refused('/v1/schedules/big', { ...post(schedule), method: 'PUT' });
  expect(inSchedule).toMatchObject({ status: 400, pointers: [`#/input${pointer.slice(1)}`] });
});

test('case 44: a number with an exponent or a fraction is a double, of any size', async () => {
  for (const one of ['1e300', '9007199254740993.5', '1E16']) {
    const problem = await refused('/add', post(`{"one":${one},"two":2}`));
    expect(problem).toMatchObject({ status: 422, pointers: ['#/one'] });
  }
  expect(await refused('/add', post('{"one":1e400,"two":2}'))).toMatchObject({
    status: 400,
    pointers: ['#/one'],
  });
});

test('64 levels are read, 65 are 400, 1,000 too, in JSON as in CBOR', async () => {
  const nested = (levels: number): unknown => JSON.parse(`${'['.repeat(levels)}${']'.repeat(levels)}`);
  for (const send of [json, cbor]) {
    expect((await refused('/add', send(nested(64)))).status).toBe(422);
    const problem = await refused('/add', send(nested(65)));
    expect(problem).toMatchObject({ status: 400, code: 'malformed-body' });
    expect(problem.detail).toMatch(/(?:is nested|nesting) deeper than 64 levels/);
    expect((await refused('/add', send(nested(1_000)))).status).toBe(400);
  }
});

const input = { one: 1, two: 2 };
test.each<[string, unknown, string[]]>([
  ['a number', 5, ['#']],
  ['null', null, ['#']],
  ['a list', [SECRET], ['#/type', '#/input', '#/0']],
  ['a text', SECRET, ['#']],
  ['nothing in it', {}, ['#/type', '#/input']],
  ['no input', { type: 'add' }, ['#/input']],
  ['a type that is no text', { type: 5, input }, ['#/type']],
  ['an unknown field', { type: 'add', input, [SECRET.slice(0, 3)]: SECRET }, ['#/hun']],
  ['an unknown field to be escaped', { type: 'add', input, 'a/b~c d': 1 }, ['#/a~1b~0c%20d']],
  ['a queue in capitals', { type: 'add', input, queue: `Q-${SECRET}` }, ['#/queue']],
  ['a queue that leaves its hash tag', { type: 'add', input, queue: 'a}:b' }, ['#/queue']],
  ['a queue without a name', { type: 'add', input, queue: '' }, ['#/queue']],
  ['a queue of 65 characters', { type: 'add', input, queue: 'q'.repeat(65) }, ['#/queue']],
  ['a queue that is no text', { type: 'add', input, queue: 7 }, ['#/queue']],
  ['a queue that is null', { type: 'add', input, queue: null }, ['#/queue']],
  ['an unknown priority', { type: 'add', input, priority: SECRET }, ['#/priority']],
  ['a priority of the prototype', { type: 'add', input, priority: 'toString' }, ['#/priority']],
  ['two of them', { type: 'add', input, queue: 'A', priority: 1 }, ['#/queue', '#/priority']],
])('POST /v1/tasks names what is wrong, with 422: %s', async (_, body, pointers) => {
  for (const send of [json, cbor]) {
    const problem = await refused('/v1/tasks', send(body));
    expect(problem).toMatchObject({ status: 422, code: 'invalid-input', pointers });
  }
});

test.each<[string, unknown, string[]]>([
  ['a text', { one: SECRET, two: 2 }, ['/one']],
  ['a text of digits', { one: '1', two: 2 }, ['/one']],
  ['a fraction', { one: 1.25, two: 2 }, ['/one']],
  ['null', { one: null, two: 2 }, ['/one']],
  ['true', { one: 1, two: true }, ['/two']],
  ['a list', { one: [SECRET], two: 2 }, ['/one']],
  ['a map', { one: { two: SECRET }, two: 2 }, ['/one']],
  ['2^31', { one: 2 ** 31, two: 2 }, ['/one']],
  ['−2^31 − 1', { one: 1, two: -(2 ** 31) - 1 }, ['/two']],
  ['10^300', { one: 1, two: 1e300 }, ['/two']],
  ['two of them', { one: SECRET, two: 2 ** 40 }, ['/one', '/two']],
  ['a missing one', { two: 2 }, ['/one']],
  ['nothing', {}, ['/one', '/two']],
  ['one too many', { one: 1, two: 2, three: SECRET }, ['/three']],
  ['a list instead', [1, 2], ['/one', '/two', '/0']],
  ['a number instead', 5, ['']],
])(
  'an input of add that does not fit is 422 at its field, on both routes: %s',
  async (_, value, pointers) => {
    for (const send of [json, cbor]) {
      const short = await refused('/add', send(value));
      expect(short).toMatchObject({
        status: 422,
        code: 'invalid-input',
        pointers: pointers.map((at) => `#${at}`),
      });
      const long = await refused('/v1/tasks', send({ type: 'add', input: value }));
      expect(long).toMatchObject({ status: 422, pointers: pointers.map((at) => `#/input${at}`) });
    }
  },
);

test("a refused number is not repeated, nor is the input of a user's own task", async () => {
  for (const value of [1.987654321, 9_876_543_210]) {
    expect((await refused('/add', json({ one: value, two: 2 }))).text).not.toContain(String(value));
  }
  const problem = await refused('/greet', json({ name: { first: SECRET } }));
  expect(problem).toMatchObject({ status: 422, pointers: ['#/name'] });
  expect((await refused('/result', json({ kind: SECRET }))).pointers).toEqual(['#/kind']);
});

test.each(['nope', 'ADD', 'add2', 'toString', '__proto__', 'x'.repeat(500)])(
  'the unknown type %s is 404 on both routes',
  async (type) => {
    const short = await refused(`/${type}`, json(input));
    expect(short).toMatchObject({ status: 404, code: 'unknown-type' });
    expect(JSON.parse(short.text)).toMatchObject({ title: 'task not found' });
    expect(await refused('/v1/tasks', json({ type, input }))).toMatchObject({
      status: 404,
      code: 'unknown-type',
    });
  },
);
