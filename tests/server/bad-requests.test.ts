// Requests that are wrong around their body: too large, of no known type, at no known place. Nothing is written.

import { randomUUID } from 'node:crypto';
import { request } from 'node:http';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Server } from '../../src/server/server.ts';
import { eventually } from '../support/eventually.ts';
import { costRatio, expectBelow, msOf } from '../support/expect-below.ts';
import { call } from '../support/http.ts';
import { type Refusal, refused as refuse } from '../support/refused.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { startServer } from '../support/server.ts';

const LIMIT = 4_096;
const JSON_TYPE = { 'content-type': 'application/json' };

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

test('a body over the limit is 413, one of exactly the limit is read', async () => {
  const body = (bytes: number): string => `{"one":1,"two":2}${' '.repeat(bytes - 17)}`;
  const tooLarge = await refused('/add', post(body(LIMIT + 1)));
  expect(tooLarge).toMatchObject({ status: 413, code: 'too-large' });
  expect(tooLarge.detail).toContain(String(LIMIT));
  const exact = await call(`${server.url()}/add`, post(body(LIMIT)));
  expect(exact.status).toBe(202);
  await redis.client.flushall();
});

test.each([LIMIT + 1, 200_000])(
  '%d bytes in chunks, whose length nobody declared, are 413',
  async (bytes) => {
    const body = new ReadableStream({
      start(controller) {
        for (let sent = 0; sent < bytes; sent += 1_000) {
          controller.enqueue(new Uint8Array(Math.min(1_000, bytes - sent)).fill(0x20));
        }
        controller.close();
      },
    });
    const init = { method: 'POST', headers: JSON_TYPE, body, duplex: 'half' } as RequestInit;
    expect(await refused('/add', init)).toMatchObject({ status: 413, code: 'too-large' });
    expect((await call(`${server.url()}/healthz`)).status).toBe(200);
  },
);

test('a declared length over the limit is 413 before anything is sent', async () => {
  const status = await new Promise((resolve, reject) => {
    const headers = { ...JSON_TYPE, 'content-length': '999999999' };
    const sending = request(`${server.url()}/add`, { method: 'POST', headers }, (response) => {
      resolve(response.statusCode);
      sending.destroy();
    });
    sending.once('error', reject);
    sending.flushHeaders();
  });
  expect(status).toBe(413);
});

test.each<[string, Record<string, string>]>([
  ['none', {}],
  ['text', { 'content-type': 'text/plain' }],
  ['a form', { 'content-type': 'application/x-www-form-urlencoded' }],
  ['another JSON', { 'content-type': 'application/vnd.api+json' }],
  ['nonsense', { 'content-type': ';;' }],
])('a content type that is not offered is 415 and says what is: %s', async (_, headers) => {
  for (const path of ['/add', '/v1/tasks']) {
    const problem = await refused(path, post(Uint8Array.from(Buffer.from('{"one":1,"two":2}')), headers));
    expect(problem).toMatchObject({ status: 415, code: 'unsupported-media-type' });
    expect(problem.headers.get('accept')).toBe('application/json, application/cbor');
  }
});

test.each(['gzip', 'br', 'deflate', 'gzip, identity', 'aes128gcm'])(
  'Content-Encoding: %s is 415',
  async (encoding) => {
    const init = post('{"one":1,"two":2}', { ...JSON_TYPE, 'content-encoding': encoding });
    expect(await refused('/add', init)).toMatchObject({ status: 415, code: 'unsupported-media-type' });
  },
);

test.each<[string, string, string]>([
  ['GET', '/add', 'POST'],
  ['PUT', '/add', 'POST'],
  ['DELETE', '/v1/tasks', 'POST'],
  ['PATCH', '/v1/tasks', 'POST'],
  ['DELETE', '/healthz', 'GET'],
  ['PUT', `/v1/tasks/${randomUUID()}`, 'GET'],
  ['DELETE', '/v1/queues/default', 'GET'],
  ['POST', '/v1/queues/default', 'GET'],
])('%s %s is 405 and names %s', async (method, path, allowed) => {
  const problem = await refused(path, { method });
  expect(problem).toMatchObject({ status: 405, code: 'method-not-allowed' });
  expect(problem.headers.get('allow')?.split(', ')).toContain(allowed);
  expect(problem.headers.get('allow')?.split(', ')).not.toContain(method);
});

test('what is at a path is named without the short route, whose path would be that of a task type', async () => {
  const problem = await refused('/healthz', { method: 'DELETE' });
  expect(problem.headers.get('allow')).toBe('GET, HEAD');
});

test.each(['/v2/tasks', '/v1/tasks/a/b', '/add/sub', '/%ff/%00', '/health', '/v1'])(
  '%s is nowhere: 404',
  async (path) => {
    expect(await refused(path, { method: 'GET' })).toMatchObject({ status: 404, code: 'not-found' });
  },
);

test.each(['x', '-1', '1.5', '1e3', '', '%20', '99999999', 'Infinity'])('wait=%s is 400', async (wait) => {
  const problem = await refused(`/v1/tasks/${randomUUID()}?wait=${wait}`, { method: 'GET' });
  expect(problem).toMatchObject({ status: 400, code: 'invalid-query' });
  expect(problem.detail).toContain('wait');
});

test.each([
  '/v1/tasks/01890f3a-2b4c-7d5e-8f60-718293a4b5c6',
  '/v1/tasks/01890F3A-2B4C-7D5E-8F60-718293A4B5C6',
  '/v1/tasks/nope',
  '/v1/tasks/%00',
  '/v1/tasks/..%2f..%2fadd',
  '/v1/tasks/*',
  '/v1/tasks/01890f3a-2b4c-7d5e-8f60-718293a4b5c6?wait=30',
  '/v1/queues/nope',
  '/v1/queues/a%7Db',
])('GET %s is 404, at once', async (path) => {
  await expectBelow(2_000, () =>
    msOf(async () => {
      expect(await refused(path, { method: 'GET' })).toMatchObject({ status: 404, code: 'not-found' });
    }),
  );
});

test('what is no HTTP at all does not hurt the others', async () => {
  const { connect } = await import('node:net');
  const { port } = new URL(server.url());
  for (const bytes of [
    '\0\x01\x02\r\n\r\n',
    'GET\r\n\r\n',
    `POST /add HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n`,
  ]) {
    const answer = await new Promise<string>((resolve, reject) => {
      let text = '';
      const socket = connect(Number(port), '127.0.0.1', () => socket.write(bytes));
      socket.on('data', (data) => (text += data.toString()));
      socket.once('close', () => resolve(text)).once('error', reject);
    });
    expect(answer).toMatch(/^HTTP\/1\.1 400 /);
  }
  expect((await call(`${server.url()}/healthz`)).status).toBe(200);
  expect(await redis.client.dbsize()).toBe(0);
});

test('a path of thousands of slashes costs no more than its length', async () => {
  const timeOf = (path: string): Promise<number> =>
    msOf(async () => {
      for (let sent = 0; sent < 10; sent += 1) await (await fetch(`${server.url()}${path}`)).arrayBuffer();
    });
  await timeOf('/a');
  // Twelve times as long: with the square of it, it would take 144 times as long.
  await expectBelow(40, () =>
    costRatio(
      () => timeOf(`/a${'/'.repeat(12_000)}b`),
      () => timeOf(`/a${'/'.repeat(1_000)}b`),
    ),
  );
});

test('a large value with many faults is told the first of them', async () => {
  const { status, body } = await call(
    `${server.url()}/v1/tasks`,
    post(
      JSON.stringify({ type: 'add', input: { one: 1, two: Array.from({ length: 1_000 }, () => ''), x: 1 } }),
    ),
  );
  expect(status).toBe(422);
  expect(body['errors']).toHaveLength(1);
});
