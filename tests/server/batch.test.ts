// Many tasks with one request: every media type, all or none, and in part.

import { decodeMultiple } from 'cbor-x';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { decodeContent } from '../../src/protocol/message.ts';
import type { Server } from '../../src/server/server.ts';
import { add, adds, init, inPieces, lines, MEDIA, sequence, written } from '../support/batch.ts';
import { eventually } from '../support/eventually.ts';
import { call } from '../support/http.ts';
import { countsOf, expectBalanced } from '../support/moves.ts';
import { recordsOf } from '../support/records.ts';
import { type Refusal, refused as refuse, SECRET } from '../support/refused.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { startServer } from '../support/server.ts';

const LINE_LIMIT = 4_096;

let redis: TestRedis;
let server: Server;

beforeAll(async () => {
  redis = await startRedis();
  server = await startServer(redis.url, LINE_LIMIT);
  await eventually(async () => (await call(`${server.url()}/readyz`)).status === 200);
});

afterEach(async () => {
  await redis.client.flushall();
});

afterAll(async () => {
  await server?.stop();
  await redis?.stop();
});

interface ItemAnswer {
  readonly index?: number;
  readonly status?: number;
  readonly id?: string;
  readonly state?: string;
  readonly queue?: string;
  readonly replayed?: boolean;
  readonly problem?: { readonly code: string; readonly errors: readonly { readonly pointer: string }[] };
}
async function send(request: RequestInit, query = '', to = server) {
  const { status, headers, body } = await call(`${to.url()}/v1/tasks/batch${query}`, request);
  return { status, headers, body, items: (body['items'] ?? []) as readonly ItemAnswer[] };
}

const refused = (request: RequestInit, query = ''): Promise<Refusal> =>
  refuse(redis.client, `${server.url()}/v1/tasks/batch${query}`, request);

/** What Redis has of a queue: the first number of each input, by id. */
async function inputs(queue = 'default'): Promise<Map<string, number>> {
  const records = await recordsOf(redis.client, queue);
  return new Map(
    records.map(({ id, content }) => [id, (decodeContent(content).input as { readonly one: number }).one]),
  );
}

test.each(MEDIA)('%s: tasks are taken and answered in their order', async (media) => {
  const { status, body, items } = await send(init(media, written(media, adds(300))));
  expect(status).toBe(202);
  expect(body).toMatchObject({ accepted: 300, replayed: 0, rejected: 0 });
  const found = await inputs();
  expect(items.map(({ id }) => found.get(String(id)))).toEqual(Array.from({ length: 300 }, (_, at) => at));
  expect(items[0]).toEqual({ id: items[0]?.id, queue: 'default', state: 'ready' });
  expect(await countsOf(redis.client)).toEqual({ accepted: 300, ready: 300 });
  await expectBalanced(redis.client);
});

test.each(MEDIA)('%s: 10,000 tasks are taken, one more is 413', async (media) => {
  const { status, items } = await send(init(media, written(media, adds(10_000))));
  expect([status, items.length]).toEqual([202, 10_000]);
  expect(new Set(items.map(({ id }) => id)).size).toBe(10_000);
  expect(await countsOf(redis.client)).toEqual({ accepted: 10_000, ready: 10_000 });
  await redis.client.flushall();
  const problem = await refused(init(media, written(media, adds(10_001))));
  expect(problem).toMatchObject({ status: 413, code: 'too-large' });
  expect(problem.detail).toContain('10000');
});

test.each(['application/x-ndjson', 'application/cbor-seq'])(
  '%s in pieces, however they fall, is the same',
  async (media) => {
    const body = written(media, adds(40));
    for (const bytes of [1, 7, 61, 100_000]) {
      const { status, items } = await send(inPieces(media, body, bytes));
      expect([bytes, status, items.length]).toEqual([bytes, 202, 40]);
      const found = await inputs();
      expect(items.map(({ id }) => found.get(String(id)))).toEqual(Array.from({ length: 40 }, (_, at) => at));
      await redis.client.flushall();
    }
  },
);

test('an item that is larger than what is scanned at once is found over many pieces', async () => {
  const roomy = await startServer(redis.url, 1_000_000);
  try {
    const items = [add(1), { type: 'greet', input: { name: 'x'.repeat(300_000) } }, add(2)];
    for (const media of ['application/x-ndjson', 'application/cbor-seq']) {
      const answer = await send(inPieces(media, written(media, items), 1_000), '', roomy);
      expect([answer.status, answer.items.length]).toEqual([202, 3]);
    }
  } finally {
    await roomy.stop();
  }
});

test('lines: empty ones, blanks, CR LF and a missing last end do not matter', async () => {
  const body = `\n  \r\n${JSON.stringify(add(1))}\r\n\n\t\n ${JSON.stringify(add(2))} `;
  const { status, items } = await send(init('application/x-ndjson', body));
  expect([status, items.length]).toEqual([202, 2]);
});

test('an array of CBOR without a length is taken', async () => {
  const body = Buffer.concat([Buffer.from([0x9f]), sequence(adds(3)), Buffer.from([0xff])]);
  const { status, items } = await send(init('application/cbor', Uint8Array.from(body)));
  expect([status, items.length]).toEqual([202, 3]);
});

test.each(MEDIA)('%s: a batch of nothing is taken', async (media) => {
  expect(await send(init(media, written(media, [])))).toMatchObject({
    status: 202,
    body: { accepted: 0, items: [] },
  });
  expect(await redis.client.dbsize()).toBe(0);
});

test('tasks for several queues and lanes, plain and special ones, each where it belongs', async () => {
  const values = Array.from({ length: 1_200 }, (_, at) =>
    add(at, {
      queue: `q${at % 3}`,
      ...(at % 2 === 0 ? {} : { priority: 'high' }),
      ...(at % 5 === 0 ? { delayMs: 60_000 } : {}),
    }),
  );
  const { status, items } = await send(init('application/x-ndjson', lines(values)));
  expect(status).toBe(202);
  for (const [at, item] of items.entries()) {
    expect(item).toMatchObject({ queue: `q${at % 3}`, state: at % 5 === 0 ? 'scheduled' : 'ready' });
  }
  for (const at of [0, 1, 2]) {
    expect(await countsOf(redis.client, `q${at}`)).toEqual({ accepted: 400, ready: 320, scheduled: 80 });
    const found = await inputs(`q${at}`);
    const own = items.flatMap(({ id, queue }, index) =>
      queue === `q${at}` ? [[found.get(String(id)), index]] : [],
    );
    expect(own.filter(([input, index]) => input !== index)).toEqual([]);
    expect(own).toHaveLength(400);
  }
});

test('keys: a batch that is sent again finds its tasks, also after only a part of it', async () => {
  const values = Array.from({ length: 1_100 }, (_, at) => add(at, { key: `k${at}` }));
  const first = await send(init('application/json', JSON.stringify(values.slice(0, 700))));
  expect(first.body).toMatchObject({ accepted: 700, replayed: 0 });
  const second = await send(init('application/x-ndjson', lines(values)));
  expect(second).toMatchObject({ status: 202, body: { accepted: 400, replayed: 700, rejected: 0 } });
  expect(second.items.slice(0, 700).map(({ id }) => id)).toEqual(first.items.map(({ id }) => id));
  expect(second.items[0]).toEqual({ id: first.items[0]?.id, queue: 'default', replayed: true });
  expect(await countsOf(redis.client)).toEqual({ accepted: 1_100, ready: 1_100 });
});

test('keys: the same request twice in a batch is one task', async () => {
  const values = [add(1, { key: 'k' }), add(2), add(1, { key: 'k' }), add(1, { key: 'k', queue: 'other' })];
  const { status, body, items } = await send(init('application/json', JSON.stringify(values)));
  expect([status, body['accepted'], body['replayed']]).toEqual([202, 3, 1]);
  expect(items[2]).toEqual({ id: items[0]?.id, queue: 'default', replayed: true });
  expect(items[3]?.id).not.toBe(items[0]?.id);
});

test('keys: one that stands for two requests refuses all', async () => {
  const values = [add(1, { key: 'k' }), add(2), add(3, { key: 'k' })];
  const problem = await refused(init('application/json', JSON.stringify(values)));
  expect(problem).toMatchObject({ status: 422, code: 'invalid-input', pointers: ['#/2/key'] });
  expect(problem.text).toContain('item 0');
});

test('keys: one that is taken by another request refuses all, before anything is written', async () => {
  const first = await send(init('application/json', JSON.stringify([add(1, { key: 'taken' })])));
  const values = [...adds(5), add(2, { key: 'taken' }), add(1, { key: 'taken' })];
  const { status, body } = await send(init('application/json', JSON.stringify(values)));
  expect(status).toBe(422);
  expect(body).toMatchObject({ errors: [{ pointer: '#/5/key' }], errorCount: 1 });
  expect(JSON.stringify(body)).toContain(String(first.items[0]?.id));
  expect(await countsOf(redis.client)).toEqual({ accepted: 1, ready: 1 });
});

test('keys: two servers that get the same keys for other requests at once share them out', async () => {
  const twin = await startServer(redis.url, LINE_LIMIT);
  try {
    const batch = (one: number): RequestInit =>
      init(
        'application/json',
        JSON.stringify(Array.from({ length: 2_000 }, (_, at) => add(one, { key: `k${at}` }))),
      );
    const answers = await Promise.all([send(batch(1)), send(batch(2), '', twin)]);
    const taken = answers.filter(({ status }) => status === 202);
    expect(taken.length).toBeGreaterThan(0);
    const items = taken.flatMap((answer) => answer.items);
    for (const { id, problem } of items) {
      expect(id === undefined ? problem?.code : 'taken').toBe(
        id === undefined ? 'idempotency-key-reused' : 'taken',
      );
    }
    expect(taken.reduce((sum, { body }) => sum + Number(body['accepted']), 0)).toBe(2_000);
    expect(await countsOf(redis.client)).toEqual({ accepted: 2_000, ready: 2_000 });
  } finally {
    await twin.stop();
  }
});

test('partial: what is valid is taken, and of each is told what became of it', async () => {
  await send(init('application/json', JSON.stringify([add(1, { key: 'mine' }), add(1, { key: 'theirs' })])));
  const values = [
    add(1),
    { type: 'add', input: { one: SECRET, two: 2 } },
    { type: 'nope', input: {} },
    add(1, { key: 'mine' }),
    add(2, { key: 'theirs' }),
    add(3, { key: 'new' }),
    add(4, { key: 'new' }),
    add(5, { delayMs: 60_000 }),
  ];
  const { status, body, items } = await send(
    init('application/json', JSON.stringify(values)),
    '?partial=true',
  );
  expect(status).toBe(202);
  expect(body).toMatchObject({ accepted: 3, replayed: 1, rejected: 4 });
  expect(items.map(({ index, status: one }) => [index, one])).toEqual(
    [202, 422, 404, 200, 422, 202, 422, 202].map((one, at) => [at, one]),
  );
  expect(items.map(({ problem }) => problem?.code)).toEqual([
    undefined,
    'invalid-input',
    'unknown-type',
    undefined,
    'idempotency-key-reused',
    undefined,
    'idempotency-key-reused',
    undefined,
  ]);
  expect(items[1]?.problem?.errors.map(({ pointer }) => pointer)).toEqual(['#/1/input/one']);
  expect(items[7]).toEqual({ index: 7, status: 202, id: items[7]?.id, queue: 'default', state: 'scheduled' });
  expect(JSON.stringify(body)).not.toContain(SECRET);
  expect(await countsOf(redis.client)).toEqual({ accepted: 5, ready: 4, scheduled: 1 });
});

test('partial: a batch without a valid task is 422, and nothing is written', async () => {
  const body = JSON.stringify([{ type: 'add', input: {} }, 5]);
  const answer = await send(init('application/json', body), '?partial=true');
  expect(answer.status).toBe(422);
  expect(answer.body).toMatchObject({ accepted: 0, replayed: 0, rejected: 2 });
  expect(answer.items.map(({ status }) => status)).toEqual([422, 422]);
  expect(await redis.client.dbsize()).toBe(0);
});

test('an answer comes as the sequence that is asked for: items in order, then a summary', async () => {
  const values = [add(1), { type: 'nope', input: {} }, add(2)];
  const ask = (accept: string): Promise<Response> =>
    fetch(
      `${server.url()}/v1/tasks/batch?partial=true`,
      init('application/x-ndjson', lines(values), { accept }),
    );
  const json = await ask('application/x-ndjson');
  expect([json.status, json.headers.get('content-type')]).toEqual([202, 'application/x-ndjson']);
  const text = await json.text();
  expect(text.endsWith('\n')).toBe(true);
  const cbor = await ask('application/cbor-seq');
  expect([cbor.status, cbor.headers.get('content-type')]).toEqual([202, 'application/cbor-seq']);
  const decoded = decodeMultiple(Buffer.from(await cbor.arrayBuffer())) as unknown[];
  for (const parts of [
    text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as unknown),
    decoded,
  ]) {
    expect(parts).toHaveLength(4);
    expect(parts.slice(0, 3)).toMatchObject([
      { index: 0, status: 202 },
      { index: 1, status: 404, problem: { code: 'unknown-type' } },
      { index: 2, status: 202 },
    ]);
    expect(parts[3]).toEqual({ summary: { accepted: 2, replayed: 0, rejected: 1 } });
  }
});
