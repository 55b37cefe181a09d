// Headers that keep browsers from misusing an answer: on every kind of answer.

import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Server } from '../../src/server/server.ts';
import { QUEUES_KEY } from '../../src/store/keys.ts';
import { eventually } from '../support/eventually.ts';
import { makeKey } from '../support/keys.ts';
import { rawExchange, type RawRequest, rawRequest } from '../support/raw-http.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { startServer } from '../support/server.ts';

const LIMIT = 1_024;
const ALWAYS = {
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-origin',
};
const key = makeKey();
const limited = makeKey(['enqueue']);
const JSON_TYPE = { 'content-type': 'application/json' };

let redis: TestRedis;
let server: Server;
let secure: Server;

beforeAll(async () => {
  redis = await startRedis();
  const apiKeys = [key.apiKey, limited.apiKey];
  server = await startServer(redis.url, LIMIT, { apiKeys, corsOrigins: ['https://app.example.org'] });
  secure = await startServer(redis.url, LIMIT, { apiKeys, publicUrl: 'https://tasks.example.org' });
  for (const { url } of [server, secure]) await eventually(async () => (await fetch(`${url()}/readyz`)).ok);
});

afterAll(async () => {
  await server?.stop();
  await secure?.stop();
  await redis?.stop();
});

const send = (body: string, headers: Record<string, string> = JSON_TYPE): RawRequest => ({
  method: 'POST',
  path: '/add',
  headers: { ...key.bearer, ...headers },
  body,
});

const ANSWERS: readonly [what: string, status: number, request: RawRequest][] = [
  ['a probe', 200, { path: '/healthz' }],
  ['a HEAD', 200, { method: 'HEAD', path: '/healthz' }],
  ['JSON', 200, { path: '/v1/queues', headers: key.bearer }],
  ['CBOR', 200, { path: '/v1/queues', headers: { ...key.bearer, accept: 'application/cbor' } }],
  ['a task', 202, send('{"one":1,"two":2}')],
  ['no content', 204, { method: 'DELETE', path: '/v1/session', headers: key.bearer }],
  ['a bad body', 400, send('{')],
  ['no key', 401, { path: '/v1/queues' }],
  ['a key without the scope', 403, { path: '/v1/queues', headers: limited.bearer }],
  ['nothing', 404, { path: '/nowhere/at/all', headers: key.bearer }],
  ['another method', 405, { method: 'PATCH', path: '/v1/queues', headers: key.bearer }],
  ['a body too large', 413, send(' '.repeat(LIMIT + 1))],
  ['a type of no body', 415, send('x', { 'content-type': 'text/plain' })],
  ['bad input', 422, send('{"one":"x"}')],
  [
    'a preflight',
    204,
    {
      method: 'OPTIONS',
      path: '/add',
      headers: { origin: 'https://app.example.org', 'access-control-request-method': 'POST' },
    },
  ],
];

test.each(ANSWERS)('%s (%d) has them', async (_, status, request) => {
  const answer = await rawRequest(server.url(), request);
  expect(answer.status).toBe(status);
  expect(answer.headers).toMatchObject({
    ...ALWAYS,
    'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
    'cache-control': 'no-store',
    'x-request-id': expect.stringMatching(/./),
  });
  expect(answer.headers).not.toHaveProperty('strict-transport-security');
  expect(answer.headers).not.toHaveProperty('x-powered-by');
});

test('where browsers use https they are told to go on doing so', async () => {
  for (const [path, host, status] of [
    ['/healthz', 'tasks.example.org', 200],
    ['/v1/queues', 'tasks.example.org', 401],
    ['/v1/queues', 'evil.example', 400],
  ] as const) {
    const answer = await rawRequest(secure.url(), { path, headers: { host } });
    expect(answer.status).toBe(status);
    expect(answer.headers).toMatchObject({ ...ALWAYS, 'strict-transport-security': 'max-age=31536000' });
  }
});

test('a page brings a policy of its own, which still lets nobody frame it', async () => {
  const { status, headers } = await rawRequest(server.url(), { path: '/docs' });
  expect(status).toBe(200);
  expect(headers).toMatchObject(ALWAYS);
  expect(headers['content-security-policy']).toContain("script-src 'self'");
  expect(headers['content-security-policy']).toContain("frame-ancestors 'none'");
  expect(headers['content-security-policy']).not.toContain('unsafe');
});

test('faults of ours (500) and of Redis (503) have them', async () => {
  const own = await startRedis();
  const alone = await startServer(own.url, LIMIT);
  try {
    await eventually(async () => (await fetch(`${alone.url()}/readyz`)).ok);
    // Nobody has planned for a text where the set of queues is.
    await own.client.set(QUEUES_KEY, 'text');
    const broken = await rawRequest(alone.url(), { path: '/v1/queues' });
    expect([broken.status, broken.headers]).toMatchObject([500, { ...ALWAYS, 'cache-control': 'no-store' }]);
    await own.signal('SIGKILL');
    const away = await rawRequest(alone.url(), { path: '/v1/queues' });
    expect([away.status, away.headers]).toMatchObject([503, { ...ALWAYS, 'cache-control': 'no-store' }]);
  } finally {
    await alone.stop();
    await own.stop();
  }
});

test('a request that cannot be read at all is 400, has them too, and its connection ends', async () => {
  const answer = await rawExchange(server.url(), 'GET /healthz HTTP/1.1\r\nHost: a/b\r\n\r\n');
  expect(answer).toMatch(/^HTTP\/1\.1 400 /);
  for (const [name, value] of Object.entries(ALWAYS)) {
    expect(answer.toLowerCase()).toContain(`${name}: ${value}\r\n`);
  }
});
