// A session that was signed out is over, on every server of the fleet.

import { request } from 'node:http';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openCommandConnection } from '../../src/store/connection.ts';
import { createSessions } from '../../src/store/sessions.ts';
import type { Server } from '../../src/server/server.ts';
import { eventually } from '../support/eventually.ts';
import { call, post } from '../support/http.ts';
import { makeKey, type TestKey } from '../support/keys.ts';
import { silent, startServer } from '../support/server.ts';
import { openForTest } from '../support/sse.ts';
import { withServer } from '../support/with-server.ts';

const HOURS_12 = 43_200_000;
const ENDED = 'pf:sessions:ended';
const key = makeKey(['read', 'enqueue']);
const other = makeKey(['admin']);
const settings = { apiKeys: [key.apiKey, other.apiKey], eventHeartbeatMs: 200 };
const one = withServer(settings);
let two: Server;

beforeAll(async () => {
  two = await startServer(one.redis().url, undefined, settings);
  await eventually(async () => (await fetch(`${two.url()}/readyz`)).ok);
});
afterAll(async () => {
  await two?.stop();
});

async function signIn(url: string, who: TestKey = key): Promise<string> {
  const { status, headers } = await post(`${url}/v1/session`, { key: who.text });
  expect(status).toBe(204);
  return (headers.get('set-cookie') ?? '').split('; ', 1)[0] ?? '';
}

const statusOf = async (url: string, cookie: string): Promise<number> =>
  (await call(`${url}/v1/session`, { headers: { cookie } })).status;

const signOut = async (url: string, headers: Record<string, string>): Promise<number> =>
  (await call(`${url}/v1/session`, { method: 'DELETE', headers })).status;

test('case 26: after a sign-out the cookie is refused, here at once and on other servers soon', async () => {
  const cookie = await signIn(one.url());
  const kept = await signIn(two.url(), other);
  expect([await statusOf(one.url(), cookie), await statusOf(two.url(), cookie)]).toEqual([200, 200]);
  expect(await signOut(one.url(), { cookie })).toBe(204);
  expect(await statusOf(one.url(), cookie)).toBe(401);
  await eventually(async () => (await statusOf(two.url(), cookie)) === 401);
  expect(await statusOf(two.url(), kept)).toBe(200);
  expect(await signOut(two.url(), { cookie })).toBe(401);
  // It goes when the cookie would have been over.
  const ttl = await one.redis().client.pttl(ENDED);
  expect(ttl).toBeGreaterThan(HOURS_12 - 60_000);
  expect(ttl).toBeLessThanOrEqual(HOURS_12);
});

test('case 26: a session ends also for a server that starts later, and when a key is sent with the cookie', async () => {
  const cookie = await signIn(one.url());
  expect(await signOut(one.url(), { cookie, ...other.bearer })).toBe(204);
  const later = await startServer(one.redis().url, undefined, settings);
  try {
    await eventually(async () => (await fetch(`${later.url()}/readyz`)).ok);
    expect(await statusOf(later.url(), cookie)).toBe(401);
  } finally {
    await later.stop();
  }
});

test('case 26: an event stream that was opened with the cookie ends as well', async () => {
  const cookie = await signIn(one.url());
  const stream = await openForTest(`${two.url()}/v1/events`, { headers: { cookie } });
  const byKey = await openForTest(`${two.url()}/v1/events`, { headers: key.bearer });
  await eventually(() => stream.comments.length > 1);
  expect(await signOut(one.url(), { cookie })).toBe(204);
  await eventually(() => stream.isOver());
  expect(stream.comments.at(-1)).toBe('bye');
  expect(byKey.isOver()).toBe(false);
});

test('case 26: a Redis that has lost its data does not bring signed-out sessions back', async () => {
  const cookie = await signIn(one.url());
  expect(await signOut(one.url(), { cookie })).toBe(204);
  await one.redis().client.flushall();
  // The secret that signed it is gone as well, which each server sees within a second.
  for (const url of [one.url(), two.url()]) {
    await eventually(async () => (await statusOf(url, cookie)) === 401);
  }
  await eventually(async () => (await statusOf(two.url(), await signIn(one.url()))) === 200, 90_000, 300);
  expect(await statusOf(one.url(), cookie)).toBe(401);
});

test('case 26: while Redis does not answer no session is let in, and none is said to be signed out', async () => {
  const cookie = await signIn(one.url());
  expect(await statusOf(one.url(), cookie)).toBe(200);
  await one.redis().signal('SIGSTOP');
  try {
    await eventually(async () => (await statusOf(one.url(), cookie)) === 503);
    expect(await signOut(one.url(), { cookie })).toBe(503);
  } finally {
    await one.redis().signal('SIGCONT');
  }
  await eventually(async () => (await statusOf(one.url(), cookie)) === 200);
});

test('case 26: the set of signed-out sessions is bounded: beyond it all sessions of that key end', async () => {
  await one.redis().client.del(ENDED);
  const client = openCommandConnection(silent(one.redis().url), 'test', { socketTimeoutMs: 1_500 });
  try {
    await eventually(() => client.status === 'ready');
    const sessions = createSessions(client, HOURS_12, 3);
    const endsAt = Date.now() + HOURS_12 - 10_000;
    await one.redis().client.zadd(ENDED, 1, 'is over');
    for (let count = 0; count < 10; count += 1) await sessions.end({ key: 'a', endsAt: endsAt + count });
    expect(await one.redis().client.zcard(ENDED)).toBe(4);
    expect(await sessions.isEnded({ key: 'a', endsAt: endsAt + 5_000 })).toBe(true);
    expect(await sessions.isEnded({ key: 'b', endsAt: endsAt + 1 })).toBe(false);
    // One that is signed in later.
    expect(await sessions.isEnded({ key: 'a', endsAt: Date.now() + HOURS_12 + 1_000 })).toBe(false);
  } finally {
    client.disconnect();
  }
});

test('case 19: a sign-in costs nothing: more than 1 KB is refused unread, and refusals count as wrong keys', async () => {
  const fresh = await startServer(one.redis().url, undefined, settings);
  try {
    await eventually(async () => (await fetch(`${fresh.url()}/readyz`)).ok);
    const send = (body: string, type = 'application/json', headers = {}): Promise<number> =>
      fetch(`${fresh.url()}/v1/session`, {
        method: 'POST',
        headers: { 'content-type': type, ...headers },
        body,
      }).then(async (response) => {
        await response.arrayBuffer();
        return response.status;
      });
    const valid = JSON.stringify({ key: key.text });
    expect(await send(valid.padEnd(1_024))).toBe(204);
    expect(await send(valid.padEnd(1_025))).toBe(413);
    expect(await send('['.repeat(1_000))).toBe(400);
    expect(await send('{}')).toBe(422);
    expect(await send(valid, 'text/plain')).toBe(415);
    expect(await send(valid, 'application/json', { 'content-encoding': 'gzip' })).toBe(415);
    expect(await sendChunked(fresh.url(), '[', 2_000)).toBe(413);
    for (let count = 0; count < 14; count += 1) expect(await send('['.repeat(100_000))).toBe(413);
    // The 21st of this minute.
    expect(await send('['.repeat(100_000))).toBe(429);
    expect(await send('nope')).toBe(429);
    expect(await sendChunked(fresh.url(), '[', 2_000)).toBe(429);
    expect(await statusOf(fresh.url(), 'popfleet=forged.1.x')).toBe(429);
    // A right key works on.
    expect(await send(valid)).toBe(204);
  } finally {
    await fresh.stop();
  }
});

/** Without a length. */
function sendChunked(url: string, piece: string, pieces: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': 'application/json', 'transfer-encoding': 'chunked' };
    const sending = request(`${url}/v1/session`, { method: 'POST', headers, agent: false }, (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    });
    sending.on('error', reject);
    for (let count = 0; count < pieces; count += 1) sending.write(piece);
    sending.end();
  });
}
