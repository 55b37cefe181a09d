// No way around the key: every route, written in every way that could slip past a check, and every route with every method.
// `npm run test:paths` (POPFLEET_ALL_PATHS=1) tries each of these ways with every method.

import { randomUUID } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { Agent } from 'node:http';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Server } from '../../src/server/server.ts';
import { eventually } from '../support/eventually.ts';
import { makeKey } from '../support/keys.ts';
import { rawRequest } from '../support/raw-http.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { startServer } from '../support/server.ts';

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'TRACE', 'PROPFIND'] as const;
/** What a path is read as does not depend on the method: so each way is tried with the first two, and with one of the others in turn. */
const FIRST = ['GET', 'POST'] as const;
const OTHERS = METHODS.filter((method) => method !== 'GET' && method !== 'POST');
const EVERY = process.env['POPFLEET_ALL_PATHS'] === '1';
/** The whole list, once more: what is added to that of the server must be added here on purpose. */
const PUBLIC: ReadonlySet<string> = new Set([
  'GET /healthz',
  'GET /readyz',
  'GET /openapi.json',
  'GET /docs',
  'GET /docs/swagger-ui.css',
  'GET /docs/swagger-ui-bundle.js',
  'GET /docs/start.js',
  'GET /llms.txt',
  'GET /README.md',
  ...markdownIn('docs/'),
  ...markdownIn('docs/decisions/'),
  'GET /',
  'GET /ui',
  ...readdirSync(new URL('../../dist/ui/', import.meta.url)).map((name) => `GET /ui/${name}`),
  'POST /v1/session',
]);

function markdownIn(folder: string): string[] {
  const names = readdirSync(new URL(`../../${folder}`, import.meta.url));
  return names.filter((name) => name.endsWith('.md')).map((name) => `GET /${folder}${name}`);
}
/** Public paths that lead to another one. */
const LEADING: ReadonlySet<string> = new Set(['/', '/ui']);
const VARIANTS: readonly ((path: string) => string)[] = [
  (path) => path,
  (path) => `/${path}`,
  (path) => `${path}/`,
  (path) => `${path}//`,
  (path) => path.replaceAll('/', '//'),
  (path) => `/.${path}`,
  (path) => `${path}/.`,
  (path) => `/healthz/..${path}`,
  (path) => `/healthz/%2e%2e${path}`,
  (path) => `/healthz%2f..${path}`,
  (path) => `/docs/start.js/../..${path}`,
  (path) => `/docs/%2E%2E/${path}`,
  (path) => path.replace(/\/(?=[^/]*$)/, '%2F'),
  (path) => path.replace(/\/(?=[^/]*$)/, '%252F'),
  (path) => path.replaceAll(/[a-z]/g, (letter) => `%${letter.charCodeAt(0).toString(16)}`),
  (path) => path.toUpperCase(),
  (path) => `${path};x`,
  (path) => `${path}?x=/healthz`,
  (path) => `${path}%00`,
  (path) => `${path}%20`,
  (path) => `${path}.json`,
  (path) => `${server.url()}${path}`,
];

let redis: TestRedis;
let server: Server;
let routes: string[];
const key = makeKey();
/** Many thousand requests: to connect for each would cost more than they do. */
const agent = new Agent({ keepAlive: true });

beforeAll(async () => {
  redis = await startRedis();
  server = await startServer(redis.url, undefined, { apiKeys: [key.apiKey] });
  await eventually(async () => (await fetch(`${server.url()}/readyz`)).ok);
  const document = (await (await fetch(`${server.url()}/openapi.json`)).json()) as { paths: object };
  routes = [
    ...Object.keys(document.paths),
    '/docs',
    '/docs/start.js',
    '/docs/protocol.md',
    '/llms.txt',
    '/ui',
    '/ui/main.js',
    '/ui/nowhere.js',
    '/nowhere',
    '/',
    '/v1',
  ].map((path) => path.replaceAll(/\{\w+\}/g, (name) => (name === '{id}' ? randomUUID() : 'default')));
});

afterAll(async () => {
  agent.destroy();
  await server?.stop();
  await redis?.stop();
});

/** What a URL parser makes of a path, with the slashes and letters that the server does not care for. */
function plain(path: string): string {
  const url = path.startsWith('http') ? path : `http://localhost${path}`;
  const decoded = (URL.canParse(url) ? new URL(url).pathname : path).replaceAll(
    /(?:%[\da-f]{2})+/gi,
    (bytes) => {
      try {
        return decodeURI(bytes);
      } catch {
        return bytes;
      }
    },
  );
  return `/${decoded.replaceAll(/^\/+|\/+$/g, '')}`;
}

async function statusOf(method: string, path: string): Promise<number> {
  const headers = { 'content-type': 'application/json', 'content-length': '2' };
  const { status } = await rawRequest(server.url(), { method, path, headers, body: '{}', agent });
  return status;
}

async function expectRefused(method: string, path: string): Promise<void> {
  const status = await statusOf(method, path);
  const isPublic = PUBLIC.has(`${method.replace('HEAD', 'GET')} ${plain(path)}`);
  const said = `${method} ${path} → ${status}`;
  // A sign-in without a key is faulty input; what the adapter cannot read is 400 before anything looks at it.
  const leads = LEADING.has(plain(path)) && status === 302;
  expect(isPublic ? leads || [200, 422, 503].includes(status) : [400, 401].includes(status), said).toBe(true);
}

test('the routes were found', () => {
  expect(routes.length).toBeGreaterThan(15);
  expect(routes).toContain('/v1/queues/default/pause');
});

test('every route × every variant of its path needs a key, whatever the method', async () => {
  for (const [nth, route] of [...new Set(routes)].entries()) {
    for (const [at, variant] of VARIANTS.entries()) {
      // The first is the path as it is. From route to route another method meets a variant.
      const other = OTHERS[(nth + at) % OTHERS.length] ?? 'PUT';
      const methods = EVERY || at === 0 ? METHODS : [...FIRST, other];
      await Promise.all(methods.map((method) => expectRefused(method, variant(route))));
    }
  }
  expect(await redis.client.dbsize()).toBe(0);
});

test('whatever is done to a path, it needs a key', async () => {
  const piece = fc.constantFrom(
    '/',
    '//',
    '/.',
    '/..',
    '%2e',
    '%2F',
    '%5c',
    ';',
    '.',
    'healthz',
    'v1',
    'tasks',
    'docs',
    '%',
  );
  const path = fc.tuple(fc.constantFrom(...routes), fc.array(piece, { maxLength: 4 }), fc.boolean());
  await fc.assert(
    fc.asyncProperty(path, fc.constantFrom(...METHODS), async ([route, pieces, before], method) => {
      const added = pieces.join('');
      await expectRefused(method, before ? `/${added}${route}` : `${route}${added}`);
    }),
    { numRuns: 500 },
  );
});

test('with a key the same paths are found, missing, or take another method', async () => {
  const ask = async (method: string, path: string): Promise<number> =>
    (await rawRequest(server.url(), { method, path, headers: key.bearer })).status;
  expect(await ask('GET', '/v1/queues')).toBe(200);
  expect(await ask('GET', '//v1/queues//')).toBe(200);
  expect(await ask('GET', '/healthz/../v1/queues')).toBe(200);
  expect(await ask('GET', '/nowhere/at/all')).toBe(404);
  for (const method of ['PATCH', 'PUT', 'DELETE', 'TRACE', 'PROPFIND', 'OPTIONS']) {
    expect([method, await ask(method, '/v1/queues')]).toEqual([method, 405]);
  }
});
