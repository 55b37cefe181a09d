// Requests whose end two programs could see in different places. A proxy in front would pass the rest of one on as a
// request of its own, so each is refused and its connection closed, before anything was stored.

import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Server } from '../../src/server/server.ts';
import { eventually } from '../support/eventually.ts';
import { rawExchange } from '../support/raw-http.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { startServer } from '../support/server.ts';

let redis: TestRedis;
let server: Server;

beforeAll(async () => {
  redis = await startRedis();
  // Or every other host name would be refused anyway.
  server = await startServer(redis.url, undefined, { allowAnonymous: true });
  await eventually(async () => (await fetch(`${server.url()}/readyz`)).ok);
});

afterAll(async () => {
  await server?.stop();
  await redis?.stop();
});

const TASK = '{"one":1,"two":2}';
const HIDDEN = `POST /add HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 17\r\n\r\n${TASK}`;
const HEAD = 'POST /add HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n';

test.each<[string, string]>([
  [
    'a length and chunks',
    `${HEAD}Content-Length: 17\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${HIDDEN}`,
  ],
  [
    'chunks and a length',
    `${HEAD}Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n11\r\n${TASK}\r\n0\r\n\r\n`,
  ],
  ['two lengths', `${HEAD}Content-Length: 17\r\nContent-Length: 0\r\n\r\n${TASK}${HIDDEN}`],
  ['the same length twice', `${HEAD}Content-Length: 17\r\nContent-Length: 17\r\n\r\n${TASK}`],
  ['two lengths in one', `${HEAD}Content-Length: 17, 0\r\n\r\n${TASK}`],
  ['a blank before the colon', `${HEAD}Content-Length : 17\r\n\r\n${TASK}`],
  ['a blank before the header', `${HEAD} Content-Length: 17\r\n\r\n${TASK}`],
  ['a length with a sign', `${HEAD}Content-Length: +17\r\n\r\n${TASK}`],
  ['a length in hexadecimal', `${HEAD}Content-Length: 0x11\r\n\r\n${TASK}`],
  ['bare line feeds', `${HEAD.replaceAll('\r\n', '\n')}Content-Length: 17\n\n${TASK}`],
  ['a bare carriage return', `${HEAD}X: a\rContent-Length: 0\r\n\r\n${TASK}`],
  ['a folded header', `${HEAD}X: a\r\n Content-Length: 0\r\n\r\n${TASK}`],
  ['an unknown coding', `${HEAD}Transfer-Encoding: xchunked\r\n\r\n11\r\n${TASK}\r\n0\r\n\r\n`],
  ['chunked, but not last', `${HEAD}Transfer-Encoding: chunked, identity\r\n\r\n11\r\n${TASK}\r\n0\r\n\r\n`],
  ['a chunk of no size', `${HEAD}Transfer-Encoding: chunked\r\n\r\nzz\r\n${TASK}\r\n0\r\n\r\n`],
  ['a chunk longer than it says', `${HEAD}Transfer-Encoding: chunked\r\n\r\n1\r\n${TASK}\r\n0\r\n\r\n`],
  ['a zero byte in a header', `${HEAD}X: a\0b\r\nContent-Length: 17\r\n\r\n${TASK}`],
  ['no host', `POST /add HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 17\r\n\r\n${TASK}`],
])('%s: 400, closed, nothing stored', async (_, bytes) => {
  const answer = await rawExchange(server.url(), bytes);
  expect(answer).toMatch(/^HTTP\/1\.1 400 /);
  expect(answer.match(/HTTP\/1\.1/g)).toHaveLength(1);
  expect(await redis.client.dbsize()).toBe(0);
});

test.each([
  '',
  ' ',
  'a b',
  'a/b',
  'a@localhost',
  'localhost@a',
  'localhost#',
  'localhost?',
  'localhost,localhost',
  'localhost:',
  'localhost:99999',
  'localhost:80:80',
  '[::1',
  '::1',
  '[v1.x]',
  '%6cocalhost',
  'löcalhost',
  'http://localhost',
])('the host "%s" is 400', async (host) => {
  const bytes = `POST /add HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: 17\r\n\r\n${TASK}`;
  const answer = await rawExchange(server.url(), bytes);
  expect(answer).toMatch(/^HTTP\/1\.1 400 /);
  expect(await redis.client.dbsize()).toBe(0);
});

test.each([
  ['two hosts', 'GET /v1/queues HTTP/1.1\r\nHost: localhost\r\nHost: evil.example'],
  ['another host in the target', 'GET http://evil.example/v1/queues HTTP/1.1\r\nHost: localhost'],
  ['another port in the target', 'GET http://localhost:1/v1/queues HTTP/1.1\r\nHost: localhost'],
  ['a longer host in the target', 'GET http://localhost.evil.example/v1/queues HTTP/1.1\r\nHost: localhost'],
  ['a user in the target', 'GET http://localhost@evil.example/v1/queues HTTP/1.1\r\nHost: localhost'],
  ['no path', 'GET * HTTP/1.1\r\nHost: localhost'],
  ['an authority', 'CONNECT evil.example:80 HTTP/1.1\r\nHost: localhost'],
])('%s: not answered', async (_, head) => {
  const answer = await rawExchange(server.url(), `${head}\r\nConnection: close\r\n\r\n`);
  expect(answer).not.toMatch(/^HTTP\/1\.1 [23]/);
});

test('the same requests in order pass', async () => {
  const right = `${HEAD}Connection: close\r\nContent-Length: 17\r\n\r\n${TASK}`;
  expect(await rawExchange(server.url(), right)).toMatch(/^HTTP\/1\.1 202 /);
  const chunked = `${HEAD}Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n11\r\n${TASK}\r\n0\r\n\r\n`;
  expect(await rawExchange(server.url(), chunked)).toMatch(/^HTTP\/1\.1 202 /);
  const absolute =
    'GET http://LOCALHOST:80/v1/queues HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n';
  expect(await rawExchange(server.url(), absolute)).toMatch(/^HTTP\/1\.1 200 /);
  await redis.client.flushall();
});
