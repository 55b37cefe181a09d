// Bodies that are cheap to send and dear to parse, at a server that has little memory.

import { encode } from 'cbor-x';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { costRatio, expectBelow } from '../support/expect-below.ts';
import { endAll, type RoleProcess, startRole } from '../support/fleet.ts';
import { call, post } from '../support/http.ts';
import { makeKey } from '../support/keys.ts';
import { rawExchange } from '../support/raw-http.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { cpuSeconds } from '../support/usage.ts';

const BATCH_BYTES = 16 * 1_048_576;
const BODY_BYTES = 1_048_576;
const key = makeKey(['enqueue']);

let redis: TestRedis;
let server: RoleProcess;

beforeAll(async () => {
  redis = await startRedis({ appendonly: 'no' });
  server = await startRole('server', {
    REDIS_URL: redis.url,
    API_KEYS: key.entry,
    NODE_OPTIONS: '--max-old-space-size=256',
  });
});

afterAll(async () => {
  await endAll([server]);
  await redis?.stop();
});

/** The pattern again and again, up to the most bytes that a body may have. */
function filled(pattern: string, bytes = BATCH_BYTES, open = '', close = ''): Buffer {
  const room = bytes - Buffer.byteLength(open) - Buffer.byteLength(close);
  const times = Math.floor(room / Buffer.byteLength(pattern));
  return Buffer.from(open + pattern.repeat(times) + close);
}

function send(path: string, type: string, body: Uint8Array): Promise<Response> {
  const headers = { ...key.bearer, 'content-type': type };
  return fetch(`${server.url()}${path}`, { method: 'POST', headers, body: Uint8Array.from(body) });
}

const BATCH = '/v1/tasks/batch';
const manyKeys = Array.from({ length: 1_200_000 }, (_, at) => `"${at}":0`).join();

test.each(['/v1/session', '/add', '/v1/tasks', BATCH])(
  'case 19: POST %s without a key: a megabyte is not parsed, and costs no more than some tasks',
  async (path) => {
    const times = 60;
    const costOf = async (ask: () => Promise<Response>): Promise<number> => {
      const before = cpuSeconds(server.pid);
      for (let count = 0; count < times; count += 1) await (await ask()).text();
      return cpuSeconds(server.pid) - before;
    };
    const headers = { 'content-type': 'application/json' };
    const body = '['.repeat(BODY_BYTES);
    const hostile = (): Promise<Response> =>
      fetch(`${server.url()}${path}`, { method: 'POST', headers, body });
    expect([401, 413]).toContain((await hostile()).status);
    const valid = (): Promise<Response> => send('/add', 'application/json', Buffer.from('{"one":1,"two":2}'));
    // It is read from the socket and thrown away.
    await expectBelow(8, () =>
      costRatio(
        () => costOf(hostile),
        async () => Math.max(await costOf(valid), 0.05),
        1,
      ),
    );
  },
);

/** Refusing each takes some 50 ms at most; parsing them first took 1 to 3 s. */
const MOST_CPU_SECONDS = 0.6;

test.each<[what: string, path: string, type: string, body: () => Uint8Array, status: number]>([
  ['brackets', BATCH, 'application/json', () => filled('['), 400],
  [
    'brackets after a byte order mark',
    BATCH,
    'application/json',
    () => filled('[', BATCH_BYTES, '\ufeff'),
    400,
  ],
  ['empty objects', BATCH, 'application/json', () => filled('{},', BATCH_BYTES, '[', '{}]'), 413],
  ['numbers', BATCH, 'application/json', () => filled('0,', BATCH_BYTES, '[', '0]'), 413],
  ['1.2 million keys', BATCH, 'application/json', () => Buffer.from(`[{${manyKeys}}]`), 400],
  ['an array of arrays', BATCH, 'application/json', () => filled('[],', BATCH_BYTES, '[[', '[]]]'), 400],
  ['deep in an input', BATCH, 'application/json', () => filled('{"a":', BATCH_BYTES, '[{"input":'), 400],
  ['a string that never ends', BATCH, 'application/json', () => filled('\\"', BATCH_BYTES, '["'), 400],
  ['blanks', BATCH, 'application/json', () => filled(' '), 400],
  ['empty lines', BATCH, 'application/x-ndjson', () => filled('\n'), 413],
  ['a long line', BATCH, 'application/x-ndjson', () => filled('['), 413],
  ['lines of brackets', BATCH, 'application/x-ndjson', () => filled(`${'['.repeat(1_000_000)}\n`), 400],
  ['nested CBOR', BATCH, 'application/cbor', () => Buffer.alloc(BATCH_BYTES, 0x81), 400],
  [
    'CBOR without a length',
    BATCH,
    'application/cbor',
    () => Buffer.alloc(BATCH_BYTES, 0x00).fill(0x9f, 0, 1),
    413,
  ],
  ['a sequence of nested CBOR', BATCH, 'application/cbor-seq', () => Buffer.alloc(BATCH_BYTES, 0x81), 400],
  ['brackets for one task', '/v1/tasks', 'application/json', () => filled('[', BODY_BYTES), 400],
  [
    'the same behind a byte order mark',
    '/add',
    'application/json',
    () => filled('[', BODY_BYTES, '\ufeff'),
    400,
  ],
  [
    'empty objects for one task',
    '/add',
    'application/json',
    () => filled('{},', BODY_BYTES, '[', '{}]'),
    400,
  ],
  ['a key after the other', '/add', 'application/json', () => filled('"":0,', BODY_BYTES, '{', '"":0}'), 400],
])('case 21: %s: refused before it is parsed', async (_, path, type, body, status) => {
  const bytes = body();
  await expectBelow(MOST_CPU_SECONDS, async () => {
    const before = cpuSeconds(server.pid);
    const answer = await send(path, type, bytes);
    expect([answer.status, await answer.text()]).toEqual([status, expect.stringContaining('"code"')]);
    return cpuSeconds(server.pid) - before;
  });
});

test('case 21: a body of very many chunks of one byte is refused, one of some thousands is read', async () => {
  const head = [
    `POST ${BATCH} HTTP/1.1`,
    'Host: localhost',
    'Connection: close',
    `Authorization: ${key.bearer['authorization']}`,
    'Content-Type: application/json',
    'Transfer-Encoding: chunked',
  ];
  const inChunks = (count: number): Promise<string> => {
    const pieces = '1\r\n \r\n'.repeat(count);
    return rawExchange(server.url(), `${head.join('\r\n')}\r\n\r\n${pieces}0\r\n\r\n`);
  };
  expect(await inChunks(9_000)).toMatch(/^HTTP\/1\.1 400 [\s\S]*it ends too early/);
  expect(await inChunks(30_000)).toMatch(/^HTTP\/1\.1 400 [\s\S]*tiny chunks/);
});

/** The most CPU that the server takes from a question for `/healthz` to its answer, until a promise has ended. */
async function longestPiece(until: Promise<unknown>): Promise<number> {
  let isOver = false;
  void until.finally(() => {
    isOver = true;
  });
  let longest = 0;
  while (!isOver) {
    const before = cpuSeconds(server.pid);
    expect((await call(`${server.url()}/healthz`)).status).toBe(200);
    longest = Math.max(longest, cpuSeconds(server.pid) - before);
  }
  return longest;
}

const NUMBERS = Array.from({ length: 780 }, () => 0);
const HEAVY = Array.from({ length: 10_000 }, () => ({ type: 'add', input: NUMBERS }));
const HEAVY_LINES = HEAVY.map((task) => JSON.stringify(task));

test.each<[type: string, body: () => Uint8Array]>([
  ['application/json', () => Buffer.from(`[${HEAVY_LINES.join()}]`)],
  ['application/x-ndjson', () => Buffer.from(HEAVY_LINES.join('\n'))],
  ['application/cbor', () => encode(HEAVY)],
])(
  'case 21: %s: 10,000 tasks of 780 values are checked in slices, others are served meanwhile',
  async (type, body) => {
    const bytes = body();
    // Usually 4 %. Parsed in one piece it was nearly half.
    await expectBelow(0.25, async () => {
      const before = cpuSeconds(server.pid);
      const sending = send(BATCH, type, bytes);
      const longest = await longestPiece(sending);
      const answer = await sending;
      expect([answer.status, await answer.json()]).toMatchObject([422, { errorCount: 10_000 }]);
      return longest / (cpuSeconds(server.pid) - before);
    });
  },
);

test.each(['application/json', 'application/cbor'])(
  'case 21: %s: a batch of 10,000 tasks is accepted',
  async (type) => {
    const input = { one: 1, two: 2 };
    const batch = Array.from({ length: 10_000 }, (_, at) => ({ type: 'add', input, key: `${type}-${at}` }));
    const body = type === 'application/json' ? Buffer.from(padded(batch)) : encode(batch);
    expect(await sendAll(type, body)).toBe(10_000);
  },
);

/** On a busy machine Redis may need too long for one of the calls: then the same batch is sent again. */
async function sendAll(type: string, body: Uint8Array): Promise<number> {
  for (;;) {
    const answer = await send(BATCH, type, body);
    const { accepted, replayed } = (await answer.json()) as { accepted: number; replayed: number };
    if (answer.status !== 503) return accepted + replayed;
  }
}

/** As many bytes as a body may have: blanks between the tasks. */
function padded(tasks: readonly object[]): string {
  const blanks = ' '.repeat(1_500);
  return `[${tasks.map((task) => JSON.stringify(task)).join(`,${blanks}`)}]`;
}

test('case 21: after all of them the server lives, and has answered each', async () => {
  expect(server.child.exitCode).toBeNull();
  const answer = await post(`${server.url()}/add`, { one: 1, two: 2 }, key.bearer);
  expect(answer.status).toBe(202);
  expect(server.log().filter(({ msg }) => msg === 'a request failed')).toEqual([]);
});
