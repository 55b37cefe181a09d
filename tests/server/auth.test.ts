// API keys over HTTP: who gets in, what the others are told, and what happens to those who try many.

import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import type { Server, ServerSettings } from '../../src/server/server.ts';
import { createFailures } from '../../src/server/auth/failures.ts';
import { eventually } from '../support/eventually.ts';
import { type Answer, call, post } from '../support/http.ts';
import { makeKey } from '../support/keys.ts';
import { rawRequest } from '../support/raw-http.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { startServer } from '../support/server.ts';

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

const session = (url: string, headers: Record<string, string> = {}): Promise<Answer> =>
  call(`${url}/v1/session`, { headers });

/** A problem without what differs from request to request. */
function withoutIds({ status, headers, body }: Answer): unknown {
  const { requestId: _, instance: __, ...rest } = body;
  const names = [...headers.keys()].filter((name) => name !== 'date' && name !== 'x-request-id');
  return { status, rest, headers: names.map((name) => [name, headers.get(name)]) };
}

test('without keys everyone may do everything', async () => {
  const url = await serve({});
  expect(await session(url)).toMatchObject({ status: 200, body: { scopes: ['enqueue', 'read', 'admin'] } });
  expect((await post(`${url}/add`, { one: 1, two: 2 })).status).toBe(202);
});

test('a valid key gets in, however its scheme is written', async () => {
  const key = makeKey(['read']);
  const url = await serve({ apiKeys: [key.apiKey] });
  for (const scheme of ['Bearer', 'bearer', 'BEARER', 'Bearer  ']) {
    const answer = await session(url, { authorization: `${scheme} ${key.text}` });
    expect(answer).toMatchObject({ status: 200, body: { key: key.id, scopes: ['read'] } });
  }
});

test('missing, unknown, malformed and removed keys get the same answer', async () => {
  const key = makeKey();
  const removed = makeKey();
  const url = await serve({ apiKeys: [key.apiKey] });
  const last = key.text.at(-1) === 'A' ? 'E' : 'A';
  const wrong: Record<string, string>[] = [
    {},
    removed.bearer,
    { authorization: `Bearer pf_${key.id}_${randomBytes(32).toString('base64url')}` },
    { authorization: `Bearer ${key.text.slice(0, -1)}${last}` },
    { authorization: `Bearer ${key.text.slice(0, -1)}` },
    { authorization: `Bearer ${key.text}x` },
    { authorization: `Bearer ${key.text} ${key.text}` },
    { authorization: `Bearer ${key.apiKey.digest.toString('hex')}` },
    { authorization: 'Bearer' },
    { authorization: 'Bearer pf__' },
    { authorization: `Basic ${Buffer.from(`${key.id}:${key.text}`).toString('base64')}` },
    { authorization: key.text },
    { cookie: 'popfleet=x' },
  ];
  const answers = await Promise.all(wrong.map((headers) => session(url, headers)));
  for (const answer of answers) {
    expect(answer).toMatchObject({ status: 401, body: { code: 'unauthenticated' } });
    expect(answer.headers.get('www-authenticate')).toBe('Bearer');
    expect(withoutIds(answer)).toEqual(withoutIds(answers[0] as Answer));
  }
});

test('the parts of a key that are in the configuration do not open anything', async () => {
  const key = makeKey();
  const url = await serve({ apiKeys: [key.apiKey] });
  for (const text of key.entry.split(':').concat(key.entry, `pf_${key.id}_`)) {
    expect((await session(url, { authorization: `Bearer ${text}` })).status).toBe(401);
  }
});

test('two keys work side by side, and one goes without the other: rotation', async () => {
  const [old, young] = [makeKey(), makeKey()];
  const both = await serve({ apiKeys: [old.apiKey, young.apiKey] });
  for (const { bearer, id } of [old, young]) {
    expect(await session(both, bearer)).toMatchObject({ status: 200, body: { key: id } });
  }
  const after = await serve({ apiKeys: [young.apiKey] });
  expect((await session(after, old.bearer)).status).toBe(401);
  expect((await session(after, young.bearer)).status).toBe(200);
});

test('a key does only what its scopes allow', async () => {
  const [sender, reader, admin] = [makeKey(['enqueue']), makeKey(['read']), makeKey(['admin'])];
  const url = await serve({ apiKeys: [sender.apiKey, reader.apiKey, admin.apiKey] });
  const send = (bearer: Record<string, string>) => post(`${url}/add`, { one: 1, two: 2 }, bearer);
  const read = (bearer: Record<string, string>) => call(`${url}/v1/queues`, { headers: bearer });

  expect((await send(sender.bearer)).status).toBe(202);
  expect(await read(sender.bearer)).toMatchObject({ status: 403, body: { code: 'forbidden' } });
  expect(await send(reader.bearer)).toMatchObject({ status: 403, body: { code: 'forbidden' } });
  expect((await read(reader.bearer)).status).toBe(200);
  expect((await send(admin.bearer)).status).toBe(202);
  expect((await read(admin.bearer)).status).toBe(200);
  const pause = { method: 'POST', headers: reader.bearer };
  expect((await call(`${url}/v1/queues/default/pause`, pause)).status).toBe(403);
});

test('to a key for some queues nothing of the others exists', async () => {
  const [mail, admin] = [makeKey(['admin'], ['mail']), makeKey(['admin'])];
  const url = await serve({ apiKeys: [mail.apiKey, admin.apiKey] });
  const send = (queue: string, bearer: Record<string, string>) =>
    post(`${url}/v1/tasks`, { type: 'add', input: { one: 1, two: 2 }, queue }, bearer);

  const foreign = await send('video', admin.bearer);
  const own = await send('mail', mail.bearer);
  expect([foreign.status, own.status]).toEqual([202, 202]);
  expect(await send('video', mail.bearer)).toMatchObject({ status: 403, body: { code: 'forbidden' } });

  const get = (path: string) => call(`${url}${path}`, { headers: mail.bearer });
  const nowhere = await get('/v1/tasks/01890f3a-2b4c-7d5e-8f60-718293a4b5c6');
  const hidden = await get(`/v1/tasks/${String(foreign.body['id'])}`);
  expect(withoutIds(hidden)).toEqual(withoutIds(nowhere));
  expect(hidden.status).toBe(404);
  expect((await get(`/v1/tasks/${String(own.body['id'])}`)).status).toBe(200);
  expect((await get('/v1/queues/video')).status).toBe(404);
  const { items } = (await get('/v1/queues')).body as { items: { name?: string; queue?: string }[] };
  expect(items.map(({ name, queue }) => name ?? queue)).toEqual(['mail']);
  expect((await session(url, mail.bearer)).body).toMatchObject({ key: mail.id, queues: ['mail'] });
});

test('after 20 wrong keys an address waits, but a valid key still works from there', async () => {
  const key = makeKey();
  const url = await serve({ apiKeys: [key.apiKey] });
  const wrong = makeKey().bearer;
  for (let tried = 0; tried < 20; tried += 1) expect((await session(url, wrong)).status).toBe(401);

  const refused = await session(url, wrong);
  expect(refused).toMatchObject({ status: 429, body: { code: 'quota-exceeded' } });
  const seconds = Number(refused.headers.get('retry-after'));
  expect(seconds).toBeGreaterThan(0);
  expect(seconds).toBeLessThanOrEqual(60);
  expect((await post(`${url}/v1/session`, { key: makeKey().text })).status).toBe(429);
  expect((await session(url, { cookie: 'popfleet=x' })).status).toBe(429);

  expect((await session(url, key.bearer)).status).toBe(200);
  expect((await post(`${url}/v1/session`, { key: key.text })).status).toBe(204);
  // Who sends no key guesses nothing: a page still learns that it has to ask for one.
  expect((await session(url)).status).toBe(401);
  expect((await fetch(`${url}/healthz`)).status).toBe(200);
});

test('wrong keys are forgotten after a minute, and those of many addresses do not pile up', () => {
  let now = 0;
  const failures = createFailures(() => now);
  const noteMany = (address: string, times: number): (number | undefined)[] =>
    Array.from({ length: times }, () => failures.note(address));

  expect(noteMany('a', 20)).toEqual(Array(20).fill(undefined));
  now = 15_500;
  expect(failures.note('a')).toBe(45);
  expect(failures.note('b')).toBeUndefined();
  now = 60_000;
  expect(failures.note('a')).toBeUndefined();

  noteMany('c', 21);
  for (let index = 0; index < 10_000; index += 1) failures.note(`flood ${index}`);
  expect(failures.note('c')).toBeUndefined(); // it was the oldest
});

test('without keys only a page that calls this machine by a name of its own is answered (DNS rebinding)', async () => {
  const key = makeKey();
  const url = await serve({});
  const open = await serve({ allowAnonymous: true });
  const locked = await serve({ apiKeys: [key.apiKey] });
  const ask = async (server: string, host: string, path = '/v1/queues'): Promise<number> =>
    (await rawRequest(server, { path, headers: { host, ...key.bearer } })).status;

  for (const host of ['localhost', '127.0.0.1', '127.8.9.1:3000', '[::1]', '[::1]:80', 'LOCALHOST:3000']) {
    expect([host, await ask(url, host)]).toEqual([host, 200]);
  }
  for (const host of [
    'evil.example',
    'localhost.evil.example',
    '127.0.0.1.evil.example',
    '127.0.0.256',
    '10.0.0.1',
    '[::2]',
    '0.0.0.0',
  ]) {
    for (const path of ['/v1/queues', '/healthz', '/nowhere']) {
      expect([host, path, await ask(url, host, path)]).toEqual([host, path, 400]);
    }
    expect([host, await ask(open, host), await ask(locked, host)]).toEqual([host, 200, 200]);
  }
  const { text } = await rawRequest(url, { headers: { host: 'evil.example' } });
  expect(JSON.parse(text)).toMatchObject({ code: 'bad-host', detail: expect.stringContaining('API keys') });
});

test('with PUBLIC_URL only its host name, this machine and probes get in', async () => {
  const key = makeKey();
  const url = await serve({ apiKeys: [key.apiKey], publicUrl: 'https://tasks.example.org' });
  const ask = async (host: string, path = '/v1/session'): Promise<number> =>
    (await rawRequest(url, { path, headers: { host, ...key.bearer } })).status;
  for (const host of ['tasks.example.org', 'Tasks.Example.org', 'tasks.example.org:443', 'localhost']) {
    expect([host, await ask(host)]).toEqual([host, 200]);
  }
  for (const host of ['example.org', 'x.tasks.example.org', 'tasks.example.org.evil.example', '10.0.0.1']) {
    expect([host, await ask(host)]).toEqual([host, 400]);
  }
  expect(await ask('10.0.0.1', '/healthz')).toBe(200);
  expect(await ask('10.0.0.1', '/readyz')).toBe(200);
  expect(await ask('10.0.0.1', '/openapi.json')).toBe(400);
});

test('connections over the limit are closed, and it works again when some have gone', async () => {
  const server = await startServer(redis.url, undefined, { maxConnections: 1 });
  servers.push(server);
  const ask = () => rawRequest(server.url(), { path: '/healthz' });
  expect((await ask()).status).toBe(200);
  const { hostname, port } = new URL(server.url());
  const idle = connect(Number(port), hostname);
  await once(idle, 'connect');
  await expect(ask()).rejects.toThrow(/hang up|ECONNRESET/);
  idle.destroy();
  await eventually(async () => (await ask()).status === 200);
});
