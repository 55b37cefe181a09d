// Signing in from a browser: the cookie, how it ends, and what pages of other sites cannot do with it.

import { createHmac } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { Server, ServerSettings } from '../../src/server/server.ts';
import { eventually } from '../support/eventually.ts';
import { type Answer, call, post } from '../support/http.ts';
import { makeKey, type TestKey } from '../support/keys.ts';
import { rawRequest } from '../support/raw-http.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { startServer } from '../support/server.ts';

const HOURS_12 = 43_200_000;
const TASK = JSON.stringify({ one: 1, two: 2 });

let redis: TestRedis;
const servers: Server[] = [];

beforeAll(async () => {
  redis = await startRedis();
});

afterEach(async () => {
  for (const server of servers.splice(0)) await server.stop();
  await redis.client.flushall();
});

afterAll(async () => {
  await redis?.stop();
});

/** @returns its URL; it ends with the test */
async function serve(settings: Partial<ServerSettings>): Promise<string> {
  const server = await startServer(redis.url, undefined, settings);
  servers.push(server);
  await eventually(async () => (await fetch(`${server.url()}/readyz`)).ok);
  return server.url();
}

async function signIn(url: string, key: TestKey): Promise<{ cookie: string; attributes: string }> {
  const { status, headers } = await post(`${url}/v1/session`, { key: key.text });
  expect(status).toBe(204);
  const [cookie = '', ...attributes] = (headers.get('set-cookie') ?? '').split('; ');
  return { cookie, attributes: attributes.join('; ') };
}

const session = (url: string, cookie: string, bearer: Record<string, string> = {}): Promise<Answer> =>
  call(`${url}/v1/session`, { headers: { cookie, ...bearer } });

/** A token as the server makes it, with another end or signed by something else. */
async function forge(
  key: TestKey,
  endsAt: number | string,
  digest: Buffer | string = key.apiKey.digest,
): Promise<string> {
  const claim = `${key.id}.${endsAt}`;
  const secret = Buffer.from((await redis.client.get('pf:session-secret')) ?? '', 'hex');
  return `popfleet=${claim}.${createHmac('sha256', secret).update(digest).update(claim).digest('base64url')}`;
}

test('a sign-in answers a cookie that no script can read and no other site can send', async () => {
  const key = makeKey(['read'], ['mail']);
  const url = await serve({ apiKeys: [key.apiKey] });
  const before = Date.now();
  const { cookie, attributes } = await signIn(url, key);
  const [, endsAt] = /^popfleet=[a-z0-9]{8}\.(\d+)\.[\w-]{43}$/.exec(cookie) ?? [];
  expect(Number(endsAt)).toBeGreaterThanOrEqual(before + HOURS_12);
  expect(Number(endsAt)).toBeLessThanOrEqual(Date.now() + HOURS_12);
  expect(attributes).toBe('Max-Age=43200; Path=/; HttpOnly; SameSite=Strict');
  expect(cookie).not.toContain(key.text.slice(-43));
  const whose = { key: key.id, scopes: ['read'], queues: ['mail'] };
  expect(await session(url, cookie)).toMatchObject({ status: 200, body: whose });
  expect((await session(url, `a=b; ${cookie}; c=d`)).status).toBe(200);
});

test('where browsers use https the cookie belongs to this very host', async () => {
  const key = makeKey();
  const url = await serve({ apiKeys: [key.apiKey], publicUrl: 'https://tasks.example.org' });
  const { cookie, attributes } = await signIn(url, key);
  expect(cookie).toMatch(/^__Host-popfleet=/);
  expect(attributes).toBe('Max-Age=43200; Path=/; HttpOnly; SameSite=Strict; Secure');
  expect((await session(url, cookie)).status).toBe(200);
  expect((await session(url, cookie.replace('__Host-', ''))).status).toBe(401);
});

test('signing out clears the cookie', async () => {
  const key = makeKey(['enqueue']);
  const url = await serve({ apiKeys: [key.apiKey] });
  const { cookie } = await signIn(url, key);
  const out = await call(`${url}/v1/session`, { method: 'DELETE', headers: { cookie } });
  expect(out.status).toBe(204);
  expect(out.headers.get('set-cookie')).toBe('popfleet=; Max-Age=0; Path=/; HttpOnly; SameSite=Strict');
});

test('all servers of a fleet know a session, and removing its key ends it', async () => {
  const [key, other] = [makeKey(), makeKey()];
  const [one, two] = [
    await serve({ apiKeys: [key.apiKey] }),
    await serve({ apiKeys: [other.apiKey, key.apiKey] }),
  ];
  const { cookie } = await signIn(one, key);
  expect((await session(two, cookie)).status).toBe(200);
  const without = await serve({ apiKeys: [other.apiKey] });
  expect((await session(without, cookie)).status).toBe(401);
});

test('a session that is over, or that the server did not make, is nobody', async () => {
  const [key, admin] = [makeKey(['read']), makeKey(['admin'])];
  const url = await serve({ apiKeys: [key.apiKey, admin.apiKey] });
  const later = Date.now() + 1_000_000;
  const { cookie } = await signIn(url, key);
  expect((await session(url, await forge(key, later))).status).toBe(200); // or the others would prove nothing
  const dot = cookie.lastIndexOf('.');
  const [claim, mac] = [cookie.slice(0, dot), cookie.slice(dot + 1)];
  for (const wrong of [
    await forge(key, Date.now() - 1),
    await forge(key, Date.now() + HOURS_12 + 60_000),
    await forge(key, 0),
    // Of the entry for the key alone.
    `popfleet=${key.id}.${later}.${createHmac('sha256', key.apiKey.digest).update(`${key.id}.${later}`).digest('base64url')}`,
    await forge(key, ''),
    await forge(key, 'Infinity '),
    await forge(key, later, admin.apiKey.digest),
    await forge(key, later, key.text),
    await forge(key, later, ''),
    `popfleet=${admin.id}${claim.slice('popfleet='.length + 8)}.${mac}`,
    `${claim}9.${mac}`,
    `${claim}.${mac.slice(0, -1)}`,
    `${claim}.`,
    claim,
    `${cookie}.x`,
    'popfleet=..',
    `popfleet=.${later}.`,
    'popfleet=',
    `popfleet=${key.text}`,
  ]) {
    expect([wrong, (await session(url, wrong)).status]).toEqual([wrong, 401]);
  }
});

test('a bearer key wins over the cookie, also when it is wrong', async () => {
  const [key, other] = [makeKey(), makeKey(['read'])];
  const url = await serve({ apiKeys: [key.apiKey, other.apiKey] });
  const { cookie } = await signIn(url, key);
  expect((await session(url, cookie, other.bearer)).body).toMatchObject({ key: other.id });
  expect((await session(url, cookie, makeKey().bearer)).status).toBe(401);
  // Not meant for us: a proxy asks for such passwords.
  expect((await session(url, cookie, { authorization: 'Basic dTpw' })).body).toMatchObject({ key: key.id });
});

test('a sign-in takes JSON with a valid key, and nothing else', async () => {
  const key = makeKey();
  const url = await serve({ apiKeys: [key.apiKey] });
  const send = (body: string, type: string): Promise<Answer> =>
    call(`${url}/v1/session`, { method: 'POST', headers: { 'content-type': type }, body });
  const right = JSON.stringify({ key: key.text });
  expect((await send(right, 'application/json; charset=utf-8')).status).toBe(204);
  for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'application/cbor', 'text/json']) {
    expect((await send(right, type)).status).toBe(415);
  }
  expect((await send(`key=${key.text}`, 'application/x-www-form-urlencoded')).status).toBe(415);
  expect((await send('{"key":1}', 'application/json')).status).toBe(422);
  expect((await send(`{"key":"${'x'.repeat(300)}"}`, 'application/json')).status).toBe(422);
  expect((await send('{', 'application/json')).status).toBe(400);
  const unknown = await send(JSON.stringify({ key: makeKey().text }), 'application/json');
  expect(unknown).toMatchObject({ status: 401, body: { code: 'unauthenticated' } });
  expect(unknown.headers.get('set-cookie')).toBeNull();
});

/** What a browser says of a request, and whether one that changes something may pass. */
const SITES: readonly [headers: Record<string, string>, passes: boolean][] = [
  [{}, true],
  [{ 'sec-fetch-site': 'same-origin' }, true],
  [{ 'sec-fetch-site': 'same-origin', origin: 'http://evil.example' }, true], // browsers never lie about themselves
  [{ 'sec-fetch-site': 'none' }, true],
  [{ 'sec-fetch-site': 'same-site' }, false],
  [{ 'sec-fetch-site': 'cross-site' }, false],
  [{ 'sec-fetch-site': 'cross-site', origin: 'http://localhost' }, false],
  [{ 'sec-fetch-site': '' }, false],
  [{ 'sec-fetch-site': 'Same-Origin' }, false],
  [{ origin: 'http://localhost' }, true],
  [{ origin: 'https://localhost' }, true], // behind a proxy that ends TLS
  [{ origin: 'http://localhost:1' }, false],
  [{ origin: 'http://evil.example' }, false],
  [{ origin: 'http://localhost.evil.example' }, false],
  [{ origin: 'null' }, false],
  [{ origin: '' }, false],
];

describe('a request that changes something', () => {
  const ours = { host: 'localhost', 'content-type': 'application/json' };
  const send = (url: string, path: string, headers: Record<string, string>, body?: string, method = 'POST') =>
    rawRequest(url, { method, path, headers: { ...ours, ...headers }, ...(body ? { body } : {}) });
  const expected = (passes: boolean, status: number): object =>
    passes ? { status } : { status: 403, text: expect.stringContaining('"code":"cross-site"') };

  test('with a cookie needs to come from our own page, with a bearer key it does not', async () => {
    const key = makeKey();
    const url = await serve({ apiKeys: [key.apiKey] });
    const signInBody = JSON.stringify({ key: key.text });
    for (const [site, passes] of SITES) {
      const { cookie } = await signIn(url, key);
      const withCookie = { ...site, cookie };
      expect(await send(url, '/v1/session', withCookie, undefined, 'GET')).toMatchObject({ status: 200 });
      expect([site, await send(url, '/add', withCookie, TASK)]).toMatchObject([site, expected(passes, 202)]);
      expect((await redis.client.llen('pf:{default}:ready:normal')) > 0).toBe(passes);
      const out = await send(url, '/v1/session', withCookie, undefined, 'DELETE');
      expect([site, out]).toMatchObject([site, expected(passes, 204)]);
      expect(await send(url, '/v1/session', site, signInBody)).toMatchObject(expected(passes, 204));

      expect(await send(url, '/add', { ...site, ...key.bearer }, TASK)).toMatchObject({ status: 202 });
      await redis.client.del('pf:{default}:ready:normal');
    }
  });

  test('needs to come from our own page where no keys are asked for', async () => {
    const url = await serve({});
    for (const [site, passes] of SITES) {
      expect([site, await send(url, '/add', site, TASK)]).toMatchObject([site, expected(passes, 202)]);
      const withKey = { ...site, authorization: 'Bearer x' };
      expect(await send(url, '/add', withKey, TASK)).toMatchObject(expected(passes, 202));
      expect(await send(url, '/v1/queues', site, undefined, 'GET')).toMatchObject({ status: 200 });
    }
  });
});
