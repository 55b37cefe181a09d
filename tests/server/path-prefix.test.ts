// A server that a proxy has under a path: everything that it names is found from outside.

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Server } from '../../src/server/server.ts';
import { eventually } from '../support/eventually.ts';
import { call, post } from '../support/http.ts';
import { makeKey } from '../support/keys.ts';
import { type PathProxy, startPathProxy } from '../support/path-proxy.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { startServer } from '../support/server.ts';
import { openForTest } from '../support/sse.ts';

const INPUT = { one: 1, two: 2 };
const key = makeKey();

let redis: TestRedis;
const servers: Server[] = [];
const proxies: PathProxy[] = [];

async function serve(settings: Parameters<typeof startServer>[2]): Promise<Server> {
  const server = await startServer(redis.url, undefined, settings);
  servers.push(server);
  await eventually(async () => (await fetch(`${server.url()}/readyz`)).ok);
  return server;
}

async function proxy(server: Server, prefix: string, strips: boolean): Promise<string> {
  const made = await startPathProxy(server.url(), prefix, strips);
  proxies.push(made);
  return made.url;
}

beforeAll(async () => {
  redis = await startRedis();
});
afterAll(async () => {
  await Promise.all(proxies.map((one) => one.close()));
  await Promise.all(servers.map((one) => one.stop()));
  await redis?.stop();
});

describe('case 25: under a path', () => {
  const PUBLIC_URL = 'http://127.0.0.1/apps/tasks';
  const links: Readonly<Record<string, string>> = {};

  it.each([
    ['takes the prefix away', true],
    ['leaves the prefix', false],
  ])('every link leads back to the server, when the proxy %s', async (_, strips) => {
    const server = await serve({ apiKeys: [key.apiKey], publicUrl: PUBLIC_URL });
    const url = await proxy(server, '/apps/tasks', strips);
    const { origin } = new URL(url);
    const headers = key.bearer;
    const get = (path: string): ReturnType<typeof call> => call(`${origin}${path}`, { headers });

    const sent = await post(`${url}/v1/tasks`, { type: 'add', input: INPUT }, headers);
    const location = String(sent.headers.get('location'));
    expect(sent.status).toBe(202);
    expect(location).toBe(`/apps/tasks/v1/tasks/${String(sent.body['id'])}`);
    expect((await post(`${url}/add`, INPUT, headers)).headers.get('location')).toMatch(
      /^\/apps\/tasks\/v1\//,
    );
    const task = await get(location);
    expect(task.body['links']).toMatchObject({ self: location, log: `${location}/log` });
    for (const link of Object.values(task.body['links'] as typeof links)) {
      const answer = await fetch(`${origin}${link}`, { headers });
      expect(answer.status, link).toBe(200);
      await answer.body?.cancel();
    }

    const page = await get(`/apps/tasks/v1/tasks?limit=1`);
    expect((page.body['items'] as { links: object }[])[0]?.links).toEqual({
      self: expect.stringMatching(/^\/apps\/tasks\/v1\/tasks\/[0-9a-f-]+$/),
    });
    const next = /^<([^>]+)>; rel="next"$/.exec(page.headers.get('link') ?? '')?.[1] ?? '';
    expect((await get(next)).status).toBe(200);

    const problem = await get('/apps/tasks/v1/tasks/nope');
    expect(problem.body['type']).toBe('/apps/tasks/problems/not-found');
    expect((await get(String(problem.body['type']))).body['code']).toBe('not-found');
    expect((await call(`${url}/v1/tasks`)).body['type']).toBe('/apps/tasks/problems/unauthenticated');

    const { body } = await call(`${url}/openapi.json`);
    expect(body['servers']).toEqual([{ url: PUBLIC_URL }]);
    expect((await fetch(`${url}/v1/../../v1/tasks`)).status).toBe(404);
  });

  it('a stream of events tells the same links', async () => {
    const server = await serve({ publicUrl: PUBLIC_URL });
    const { body } = await post(`${server.url()}/v1/tasks`, { type: 'add', input: INPUT, delayMs: 60_000 });
    const stream = await openForTest(`${server.url()}/v1/tasks/${String(body['id'])}/events`);
    const [snapshot] = await stream.until('snapshot');
    expect(snapshot?.data).toMatchObject({ links: { self: expect.stringMatching(/^\/apps\/tasks\/v1/) } });
  });

  it.each([
    ['http://127.0.0.1/apps', /^popfleet=[^;]+; Max-Age=43200; Path=\/apps; HttpOnly; SameSite=Strict$/],
    [
      'https://127.0.0.1/apps',
      /^__Secure-popfleet=[^;]+; Max-Age=43200; Path=\/apps; HttpOnly; SameSite=Strict; Secure$/,
    ],
  ])('the cookie of a session is for the path alone: %s', async (publicUrl, expected) => {
    const server = await serve({ apiKeys: [key.apiKey], publicUrl });
    const url = await proxy(server, '/apps', true);
    const signedIn = await post(`${url}/v1/session`, { key: key.text });
    const cookie = String(signedIn.headers.get('set-cookie'));
    expect(cookie).toMatch(expected);
    const headers = { cookie: cookie.split(';', 1)[0] ?? '' };
    expect((await call(`${url}/v1/session`, { headers })).body['key']).toBe(key.id);
    const out = await call(`${url}/v1/session`, { method: 'DELETE', headers });
    expect(out.headers.get('set-cookie')).toMatch(/; Path=\/apps; /);
    const document = await call(`${url}/openapi.json`);
    const { components } = document.body as { components: { securitySchemes: { session: object } } };
    expect(components.securitySchemes.session).toMatchObject({ name: cookie.split('=', 1)[0] });
  });

  it('a path that only begins like the prefix is another one, and needs a key like any', async () => {
    const server = await serve({ apiKeys: [key.apiKey], publicUrl: 'http://127.0.0.1/healthz' });
    expect((await fetch(`${server.url()}/healthz`)).status).toBe(200);
    expect((await fetch(`${server.url()}/healthz/healthz`)).status).toBe(200);
    expect((await fetch(`${server.url()}/healthz/v1/tasks`)).status).toBe(401);
    expect((await fetch(`${server.url()}/healthzv1/tasks`)).status).toBe(401);
  });

  it('without PUBLIC_URL the document says that its paths begin where it is itself', async () => {
    const server = await serve({});
    const { body } = await call(`${server.url()}/openapi.json`);
    expect(body['servers']).toEqual([{ url: '.' }]);
  });
});
