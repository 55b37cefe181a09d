// Pages of other origins: they read nothing, unless their origin is named.

import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import type { Server, ServerSettings } from '../../src/server/server.ts';
import { eventually } from '../support/eventually.ts';
import { makeKey } from '../support/keys.ts';
import { type RawAnswer, rawRequest } from '../support/raw-http.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { startServer } from '../support/server.ts';

const APP = 'https://app.example.org';
const key = makeKey();

let redis: TestRedis;
const servers: Server[] = [];

beforeAll(async () => {
  redis = await startRedis();
});

afterEach(async () => {
  for (const server of servers.splice(0)) await server.stop();
});

afterAll(async () => {
  await redis?.stop();
});

async function serve(settings: Partial<ServerSettings>): Promise<string> {
  const server = await startServer(redis.url, undefined, { apiKeys: [key.apiKey], ...settings });
  servers.push(server);
  await eventually(async () => (await fetch(`${server.url()}/readyz`)).ok);
  return server.url();
}

const preflight = (url: string, origin: string, path = '/v1/tasks'): Promise<RawAnswer> =>
  rawRequest(url, {
    method: 'OPTIONS',
    path,
    headers: {
      origin,
      'access-control-request-method': 'POST',
      'access-control-request-headers': 'authorization,content-type',
    },
  });

const corsHeaders = ({ headers }: RawAnswer): string[] =>
  Object.keys(headers).filter((name) => name.startsWith('access-control-'));

test('without CORS_ORIGINS no origin is told anything', async () => {
  const url = await serve({});
  for (const origin of [APP, 'null', 'http://localhost']) {
    const asked = await preflight(url, origin);
    expect([asked.status, corsHeaders(asked)]).toEqual([401, []]);
    const read = await rawRequest(url, { path: '/v1/queues', headers: { origin, ...key.bearer } });
    expect([read.status, corsHeaders(read)]).toEqual([200, []]);
  }
});

test('a named origin may ask, with a key, and reads what it needs', async () => {
  const url = await serve({
    corsOrigins: ['https://other.example.org', APP],
    enqueueQuota: { tasks: 10, seconds: 60 },
  });
  const asked = await preflight(url, APP);
  expect(asked.status).toBe(204);
  expect(asked.headers).toMatchObject({
    'access-control-allow-origin': APP,
    'access-control-max-age': '600',
  });
  const allowed = String(asked.headers['access-control-allow-headers']).toLowerCase().split(',');
  for (const name of [
    'authorization',
    'content-type',
    'idempotency-key',
    'prefer',
    'last-event-id',
    'accept',
  ]) {
    expect(allowed).toContain(name);
  }
  expect(String(asked.headers['access-control-allow-methods']).split(',')).toContain('DELETE');
  expect(asked.headers).not.toHaveProperty('access-control-allow-credentials');

  const headers = { origin: APP, 'sec-fetch-site': 'cross-site', 'content-type': 'application/json' };
  const body = '{"type":"add","input":{"one":1,"two":2}}';
  const send = { method: 'POST', path: '/v1/tasks', body };
  const sent = await rawRequest(url, { ...send, headers: { ...headers, ...key.bearer } });
  expect(sent.status).toBe(202);
  expect(sent.headers).toMatchObject({
    'access-control-allow-origin': APP,
    vary: expect.stringContaining('Origin'),
  });
  const readable = String(sent.headers['access-control-expose-headers']).toLowerCase().split(',');
  for (const name of ['location', 'ratelimit', 'ratelimit-policy']) {
    expect(sent.headers).toHaveProperty(name);
    expect(readable).toContain(name);
  }
  expect(sent.headers).not.toHaveProperty('access-control-allow-credentials');
  expect(JSON.parse(sent.text)).toMatchObject({ state: 'ready' });

  // Faults too, or a page could not say what is wrong.
  for (const [path, bearer, status] of [
    ['/v1/queues', {}, 401],
    ['/nowhere/at/all', key.bearer, 404],
    ['/add', key.bearer, 405],
  ] as const) {
    const fault = await rawRequest(url, { path, headers: { origin: APP, ...bearer } });
    expect(fault.status).toBe(status);
    expect(fault.headers).toMatchObject({
      'access-control-allow-origin': APP,
      'content-type': 'application/problem+json',
      'x-content-type-options': 'nosniff',
    });
    expect(JSON.parse(fault.text)).toMatchObject({ status });
  }
});

test.each([
  'https://app.example.org.evil.example',
  'https://evil-app.example.org',
  'http://app.example.org',
  'https://app.example.org:8443',
  'https://APP.example.org',
  'https://app.example.org/',
  'https://x.app.example.org',
  'null',
  '*',
])('the origin %s is another one', async (origin) => {
  const url = await serve({ corsOrigins: [APP] });
  const asked = await preflight(url, origin);
  expect([asked.status, corsHeaders(asked)]).toEqual([401, []]);
  const read = await rawRequest(url, { path: '/healthz', headers: { origin } });
  expect([read.status, corsHeaders(read)]).toEqual([200, []]);
});

test('a named origin gets in by a key only: a session stays that of our own pages', async () => {
  const url = await serve({ corsOrigins: [APP] });
  const headers = { origin: APP, 'sec-fetch-site': 'cross-site', 'content-type': 'application/json' };
  const body = JSON.stringify({ key: key.text });
  const signIn = await rawRequest(url, { method: 'POST', path: '/v1/session', headers, body });
  expect(signIn.status).toBe(403);
  expect(signIn.headers).not.toHaveProperty('set-cookie');
});

test('where no keys are asked for, a named origin may write, and no other one', async () => {
  const url = await serve({ corsOrigins: [APP], apiKeys: [] });
  const send = (origin: string): Promise<{ readonly status: number }> =>
    rawRequest(url, {
      method: 'POST',
      path: '/add',
      headers: { origin, 'sec-fetch-site': 'cross-site', 'content-type': 'application/json' },
      body: '{"one":1,"two":2}',
    });
  expect((await send(APP)).status).toBe(202);
  expect((await send('https://evil.example')).status).toBe(403);
});
