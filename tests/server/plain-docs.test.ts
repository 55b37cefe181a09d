// The documents as plain text: found from /llms.txt, open without a key, and nothing else beside them.

import { readdirSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeKey } from '../support/keys.ts';
import { startPathProxy } from '../support/path-proxy.ts';
import { rawRequest } from '../support/raw-http.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { startServer } from '../support/server.ts';
import type { Server } from '../../src/server/server.ts';

const ROOT = new URL('../../', import.meta.url);
const ITEM = /^- \[[^\]]+\]\(([^)]+)\)(?:: \S.*)?$/;
const key = makeKey();
let redis: TestRedis;
let server: Server;

beforeAll(async () => {
  redis = await startRedis();
  server = await startServer(redis.url, undefined, { apiKeys: [key.apiKey] });
});
afterAll(async () => {
  await server?.stop();
  await redis?.stop();
});

/** Addresses of the links of an llms.txt, taken from its own. */
async function linksOf(url: string): Promise<string[]> {
  const text = await (await fetch(url)).text();
  return text.split('\n').flatMap((line) => {
    const link = ITEM.exec(line)?.[1];
    return link === undefined ? [] : [new URL(link, url).href];
  });
}

test('llms.txt has the form of llmstxt.org: a title, what it is, and lists of links below headings', async () => {
  const answer = await fetch(`${server.url()}/llms.txt`);
  expect(answer.headers.get('content-type')).toBe('text/plain; charset=utf-8');
  const parts = (await answer.text()).trimEnd().split('\n\n');
  expect(parts.slice(0, 2)).toEqual(['# popfleet', expect.stringMatching(/^> \S.*\.$/)]);
  const lists = parts.slice(parts.findIndex((part) => part.startsWith('## ')));
  expect(lists.filter((_, at) => at % 2 === 0)).toEqual(['## Docs', '## Optional']);
  for (const list of lists.filter((_, at) => at % 2 === 1)) {
    for (const line of list.split('\n')) expect(line).toMatch(ITEM);
  }
});

test('it leads to every document, and each answers without a key, as data only', async () => {
  const links = await linksOf(`${server.url()}/llms.txt`);
  const paths = links.map((link) => link.slice(server.url().length + 1));
  const files = readdirSync(new URL('docs', ROOT), { recursive: true, encoding: 'utf8' });
  const documents = files.filter((name) => name.endsWith('.md')).map((name) => `docs/${name}`);
  expect(paths.toSorted()).toEqual(['README.md', 'openapi.json', ...documents].toSorted());
  for (const link of links.filter((one) => one.endsWith('.md'))) {
    const answer = await fetch(link);
    expect([link, answer.status]).toEqual([link, 200]);
    expect(answer.headers.get('content-type')).toBe('text/markdown; charset=utf-8');
    expect(answer.headers.get('content-security-policy')).toContain("default-src 'none'");
    expect(answer.headers.get('x-content-type-options')).toBe('nosniff');
    expect(await answer.text()).toMatch(/^# \S/);
  }
});

test('a document comes compressed to who takes that, and once to who keeps it', async () => {
  const path = '/docs/protocol.md';
  const plain = await (
    await fetch(`${server.url()}${path}`, { headers: { 'accept-encoding': 'identity' } })
  ).text();
  const unpacked = await fetch(`${server.url()}${path}`);
  expect(unpacked.headers.get('content-encoding')).toBe('gzip');
  expect(await unpacked.text()).toBe(plain);
  const zipped = await rawRequest(server.url(), { path, headers: { 'accept-encoding': 'gzip' } });
  expect(zipped.text.length).toBeLessThan(plain.length / 2);
  const etag = String(unpacked.headers.get('etag'));
  const again = await fetch(`${server.url()}${path}`, { headers: { 'if-none-match': etag } });
  expect([again.status, await again.text()]).toEqual([304, '']);
});

test.each([
  '/docs/../package.json',
  '/docs/%2e%2e/package.json',
  '/docs/..%2fpackage.json',
  '/docs/..%5cpackage.json',
  '/docs/decisions/../../package.json',
  '/docs/decisions/../../src/cli.ts',
  '/docs//etc/passwd',
  '/docs/protocol.md/../../package.json',
  '/docs/protocol.md%00.png',
  '/docs/ui-dark.png',
  '/docs/decisions',
  '/docs/nowhere.md',
  '/package.json',
  '/CHANGELOG.md',
])('no path leads to another file: %s', async (path) => {
  const answer = await rawRequest(server.url(), { path, headers: key.bearer });
  // A path of one word is the short route of a task type, which takes a POST.
  expect([404, 405]).toContain(answer.status);
  expect(answer.headers['content-type']).toBe('application/problem+json');
});

describe('under a path', () => {
  test.each([
    ['takes the prefix away, without PUBLIC_URL', undefined, true],
    ['takes the prefix away', 'http://127.0.0.1/apps', true],
    ['leaves the prefix', 'http://127.0.0.1/apps', false],
  ])('every link leads back to the server, when the proxy %s', async (_, publicUrl, strips) => {
    const under = await startServer(redis.url, undefined, { publicUrl });
    const proxy = await startPathProxy(under.url(), '/apps', strips);
    try {
      const links = await linksOf(`${proxy.url}/llms.txt`);
      expect(links.length).toBeGreaterThan(30);
      for (const link of links) {
        const answer = await fetch(link);
        expect([link, answer.status]).toEqual([link, 200]);
        await answer.body?.cancel();
      }
    } finally {
      await proxy.close();
      await under.stop();
    }
  });
});
