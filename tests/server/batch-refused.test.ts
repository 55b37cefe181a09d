// What a batch is refused for: it says where, and nothing is written.

import { afterAll, beforeAll, expect, test } from 'vitest';
import { createKey, readApiKeys } from '../../src/server/auth/api-keys.ts';
import type { Server } from '../../src/server/server.ts';
import {
  add,
  adds,
  type Body,
  cborOf,
  init,
  inPieces,
  lines,
  MEDIA,
  sequence,
  written,
} from '../support/batch.ts';
import { eventually } from '../support/eventually.ts';
import { call } from '../support/http.ts';
import { type Refusal, refused as refuse, SECRET } from '../support/refused.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { startServer } from '../support/server.ts';

const LINE_LIMIT = 4_096;
const BATCH_LIMIT = 2_000_000;

let redis: TestRedis;
let server: Server;

beforeAll(async () => {
  redis = await startRedis();
  server = await startServer(redis.url, LINE_LIMIT, { batchLimitBytes: BATCH_LIMIT });
  await eventually(async () => (await call(`${server.url()}/readyz`)).status === 200);
});

afterAll(async () => {
  await server?.stop();
  await redis?.stop();
});

const refused = (request: RequestInit, query = ''): Promise<Refusal> =>
  refuse(redis.client, `${server.url()}/v1/tasks/batch${query}`, request);

test.each(MEDIA)('%s: one wrong field refuses all, and is named with its index', async (media) => {
  const values = adds(300);
  values[17] = { type: 'add', input: { one: SECRET, two: 2 } };
  values[250] = add(1, { queue: 'NO', priority: SECRET });
  const problem = await refused(init(media, written(media, values)));
  expect(problem).toMatchObject({
    status: 422,
    code: 'invalid-input',
    pointers: ['#/17/input/one', '#/250/queue', '#/250/priority'],
  });
  expect(JSON.parse(problem.text)).toMatchObject({ errorCount: 3 });
});

test.each<[string, unknown, string[]]>([
  ['a number', 5, ['#/1']],
  ['null', null, ['#/1']],
  ['a list', [], ['#/1/type', '#/1/input']],
  ['nothing in it', {}, ['#/1/type', '#/1/input']],
  ['an unknown field', add(1, { hun: SECRET }), ['#/1/hun']],
  ['a field of the batch', add(1, { partial: true }), ['#/1/partial']],
  ['an unknown type', { type: 'nope', input: {} }, ['#/1/type']],
  ['a type of the prototype', { type: 'toString', input: {} }, ['#/1/type']],
  ['a key with blanks', add(1, { key: 'a b' }), ['#/1/key']],
  ['an input that is too large', { type: 'greet', input: { name: 'x'.repeat(LINE_LIMIT) } }, ['#/1/input']],
])('a task that is wrong is 422: %s', async (_, value, pointers) => {
  for (const media of ['application/json', 'application/cbor']) {
    const problem = await refused(init(media, written(media, [add(1), value])));
    expect(problem).toMatchObject({ status: 422, code: 'invalid-input', pointers });
  }
});

test('a hundred faults are told, and how many there are', async () => {
  const wrong = Array.from({ length: 300 }, () => ({ type: 'add', input: {} }));
  const problem = await refused(init('application/json', JSON.stringify([...adds(50), ...wrong])));
  expect(problem.pointers).toHaveLength(100);
  expect(problem.pointers.slice(0, 3)).toEqual(['#/50/input/one', '#/50/input/two', '#/51/input/one']);
  expect(problem.detail).toContain('300 of 350 tasks');
  expect(JSON.parse(problem.text)).toMatchObject({ errorCount: 600 });
});

test.each<[string, string, Body, string]>([
  ['an object', 'application/json', '{"type":"add"}', 'array'],
  ['no JSON', 'application/json', `[{"one": ${SECRET}}]`, 'JSON'],
  ['half an array', 'application/json', '[{"type":"add"}', 'position 15'],
  ['nothing', 'application/json', '', 'ends too early'],
  ['a key to a prototype', 'application/json', '[{"type":"add"},{"__proto__":1}]', 'Item 1 '],
  ['65 levels', 'application/json', `[1,2,${'['.repeat(65)}${']'.repeat(65)}]`, 'Item 2 '],
  ['a map', 'application/cbor', cborOf({ type: 'add' }), 'array'],
  ['nothing', 'application/cbor', '', 'array'],
  ['half an array', 'application/cbor', cborOf([1, 2]).subarray(0, 2), 'Item 1 '],
  ['bytes behind it', 'application/cbor', Uint8Array.from([0x81, 0x01, 0x01]), 'follow'],
  ['an array that never ends', 'application/cbor', Uint8Array.from([0x9f, 0x01]), 'Item 1 '],
  ['a tag', 'application/cbor', Uint8Array.from([0x82, 0x01, 0xc1, 0x01]), 'Item 1 '],
  ['a word', 'application/x-ndjson', `${lines(adds(4))}${SECRET}\n${lines(adds(2))}`, 'Line 5 '],
  ['half a line', 'application/x-ndjson', `${lines(adds(2))}\n{"type":"add"`, 'Line 4 '],
  ['two on a line', 'application/jsonl', `{}\n{}{}`, 'Line 2 '],
  ['an array over lines', 'application/x-ndjson', '[\n{}\n]', 'Line 1 '],
  ['broken UTF-8', 'application/x-ndjson', Uint8Array.from([0x7b, 0x7d, 0x0a, 0x22, 0xff, 0x22]), 'Line 2 '],
  ['a key to a prototype', 'application/x-ndjson', '{}\n{"constructor":1}', 'Line 2 '],
  ['cut in an item', 'application/cbor-seq', sequence(adds(3)).subarray(0, -1), 'Item 2 '],
  ['cut in the first', 'application/cbor-seq', sequence(adds(1)).subarray(0, 1), 'Item 0 '],
  ['a tag', 'application/cbor-seq', Uint8Array.from([0x01, 0xc1, 0x01]), 'Item 1 '],
  ['a break', 'application/cbor-seq', Uint8Array.from([0x01, 0xff]), 'Item 1 '],
])('a body that cannot be read is 400 and says where: %s (%s)', async (_, media, body, where) => {
  for (const query of ['', '?partial=true']) {
    const problem = await refused(init(media, body), query);
    expect(problem).toMatchObject({ status: 400, code: 'malformed-body' });
    expect(problem.detail).toContain(where);
  }
});

test.each(MEDIA)('%s: a body over the limit is 413, declared or not', async (media) => {
  const values = Array.from({ length: 1_000 }, () => ({ type: 'greet', input: { name: 'x'.repeat(2_000) } }));
  const body = written(media, values);
  expect(body.length).toBeGreaterThan(BATCH_LIMIT);
  for (const request of [init(media, body), inPieces(media, body, 100_000)]) {
    const problem = await refused(request);
    expect(problem).toMatchObject({ status: 413, code: 'too-large' });
    expect(problem.detail).toContain(String(BATCH_LIMIT));
  }
  // What was not read of them does not hold up the connection.
  expect((await call(`${server.url()}/healthz`)).status).toBe(200);
});

test.each(['application/x-ndjson', 'application/cbor-seq'])(
  '%s: an item over the limit of a body is 413 as soon as it is clear',
  async (media) => {
    const long = { type: 'greet', input: { name: 'x'.repeat(2 * LINE_LIMIT) } };
    const problem = await refused(init(media, written(media, [add(1), long])));
    expect(problem).toMatchObject({ status: 413, code: 'too-large' });
    expect(problem.detail).toContain(String(LINE_LIMIT));
    const endless = media === 'application/x-ndjson' ? '"'.padEnd(100_000, 'x') : cborOf('x'.repeat(150_000));
    expect(await refused(inPieces(media, endless.slice(0, 90_000), 1_000))).toMatchObject({ status: 413 });
  },
);

test('another media type is 415 and told which there are', async () => {
  for (const media of ['text/plain', 'application/json-seq', '']) {
    const problem = await refused(init(media, Uint8Array.from(Buffer.from('[]'))));
    expect(problem).toMatchObject({ status: 415, code: 'unsupported-media-type' });
    expect(problem.headers.get('accept')).toBe(MEDIA.join(', '));
  }
  const zipped = init('application/json', '[]', { 'content-encoding': 'gzip' });
  expect(await refused(zipped)).toMatchObject({ status: 415 });
});

test('an unknown parameter of the query is 400, and so is a key for all of them', async () => {
  const good = JSON.stringify(adds(1));
  for (const query of ['?partial=yes', '?dryRun=true', '?partial=']) {
    expect(await refused(init('application/json', good), query)).toMatchObject({ code: 'invalid-query' });
  }
  const keyed = init('application/json', good, { 'idempotency-key': 'k' });
  expect(await refused(keyed)).toMatchObject({ status: 400, code: 'invalid-header' });
});

test('lines are checked while they come in: a wrong one is answered before the rest is sent', async () => {
  let sendRest = (): void => undefined;
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      controller.enqueue(Uint8Array.from(Buffer.from(`${lines(adds(100))}no JSON\n`)));
      // Closed only once the answer is there.
      sendRest = () => controller.close();
    },
  });
  const request = {
    method: 'POST',
    headers: { 'content-type': 'application/x-ndjson' },
    body,
    duplex: 'half',
  };
  const problem = await refused(request as RequestInit);
  expect(problem).toMatchObject({ status: 400, code: 'malformed-body' });
  expect(problem.detail).toContain('Line 101 ');
  sendRest();
});

test('a queue that is not for the key is a fault at its task, and 403 in part', async () => {
  const key = createKey(['enqueue'], ['mail']);
  const guarded = await startServer(redis.url, LINE_LIMIT, { apiKeys: readApiKeys(key.entry).keys });
  try {
    await eventually(async () => (await call(`${guarded.url()}/readyz`)).status === 200);
    const url = `${guarded.url()}/v1/tasks/batch`;
    const body = JSON.stringify([add(1, { queue: 'mail' }), add(2), add(3, { queue: SECRET })]);
    const headers = { authorization: `Bearer ${key.key}` };
    const problem = await refuse(redis.client, url, init('application/json', body, headers));
    expect(problem).toMatchObject({ status: 422, pointers: ['#/1/queue', '#/2/queue'] });

    const part = await call(`${url}?partial=true`, init('application/json', body, headers));
    expect(part).toMatchObject({
      status: 202,
      body: {
        accepted: 1,
        rejected: 2,
        items: [
          { status: 202, queue: 'mail' },
          { status: 403, problem: { code: 'forbidden' } },
          { status: 403, problem: { code: 'forbidden' } },
        ],
      },
    });
    expect((await call(url, init('application/json', body))).status).toBe(401);
  } finally {
    await guarded.stop();
    await redis.client.flushall();
  }
});

test('case 44: an integer that a number cannot hold refuses the batch, and its item is named', async () => {
  const item = (one: string): string => `{"type":"add","input":{"one":${one},"two":2}}`;
  const items = Array.from({ length: 300 }, (_, at) => item(at === 3 ? '1e300' : String(at)));
  items[270] = item('9007199254740993');
  const array = await refused(init('application/json', Buffer.from(`[${items.join()}]`)));
  expect(array).toMatchObject({ status: 400, code: 'malformed-body', pointers: ['#/270/input/one'] });
  expect(array.detail).toMatch(/^Item 270 cannot be accepted: #\/270\/input\/one is an integer beyond/);
  const ndjson = await refused(init('application/x-ndjson', Buffer.from(items.join('\n'))));
  expect(ndjson).toMatchObject({ status: 400, code: 'malformed-body', pointers: ['#/input/one'] });
  expect(ndjson.detail).toMatch(/^Line 271 cannot be accepted: #\/input\/one is an integer beyond/);
});
