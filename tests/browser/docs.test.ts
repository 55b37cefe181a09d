// The page that shows the API: it works under its own strict policy, and asks no other host for anything.

import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Server } from '../../src/server/server.ts';
import { hasBrowser, startBrowser } from '../support/browser.ts';
import { eventually } from '../support/eventually.ts';
import { call } from '../support/http.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { startPathProxy } from '../support/path-proxy.ts';
import { startServer } from '../support/server.ts';

let redis: TestRedis;
let server: Server;
let browser: Browser;

beforeAll(async () => {
  redis = await startRedis();
  server = await startServer(redis.url);
  await eventually(async () => (await call(`${server.url()}/readyz`)).status === 200);
  if (hasBrowser) browser = await startBrowser();
});
afterAll(async () => {
  await browser?.close();
  await server?.stop();
  await redis?.stop();
});

test.skipIf(!hasBrowser)('it shows every operation, and stays with this server', async () => {
  const page = await browser.newPage();
  const asked: string[] = [];
  const complaints: string[] = [];
  page.on('request', (request) => asked.push(request.url()));
  page.on('console', (message) => {
    if (message.type() === 'error') complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(error.message));
  const answer = await page.goto(`${server.url()}/docs`);
  expect(answer?.headers()['content-security-policy']).toContain("default-src 'none'");
  await page.getByText('Send a task', { exact: true }).waitFor({ timeout: 60_000 });
  const shown = await page.locator('.opblock').count();
  const { body } = await call(`${server.url()}/openapi.json`);
  const paths = Object.values((body as { paths: Record<string, object> }).paths);
  expect(shown).toBe(paths.reduce((sum, methods) => sum + Object.keys(methods).length, 0));
  expect(asked.filter((url) => !url.startsWith(server.url()) && !url.startsWith('data:'))).toEqual([]);
  expect(complaints).toEqual([]);
  await page.close();
});

/** Leaves two operations of the document: to draw all of them takes a browser seconds, and the test above has looked at them. */
async function showFew(page: Page): Promise<void> {
  await page.route('**/openapi.json', async (route) => {
    const response = await route.fetch();
    const document = (await response.json()) as { readonly paths: Readonly<Record<string, object>> };
    const few = Object.entries(document.paths).filter(
      ([path]) => path === '/healthz' || path === '/v1/tasks',
    );
    await route.fulfill({ response, json: { ...document, paths: Object.fromEntries(few) } });
  });
}

test.skipIf(!hasBrowser).each([
  ['without PUBLIC_URL', undefined, true, '/docs'],
  ['without PUBLIC_URL, with a slash at the end', undefined, true, '/docs/'],
  ['with PUBLIC_URL, when the proxy leaves the prefix', '/apps', false, '/docs'],
])('case 25: under a path it works as well: %s', async (_, publicPath, strips, path) => {
  const publicUrl = publicPath && `http://127.0.0.1${publicPath}`;
  const under = await startServer(redis.url, undefined, { publicUrl });
  const proxy = await startPathProxy(under.url(), '/apps', strips);
  const page = await browser.newPage();
  await showFew(page);
  try {
    const complaints: string[] = [];
    page.on('pageerror', (error) => complaints.push(error.message));
    const answers: string[] = [];
    page.on('response', (answer) => answers.push(`${answer.status()} ${answer.url()}`));
    await page.goto(`${proxy.url}${path}`);
    await page.getByText('Send a task', { exact: true }).waitFor({ timeout: 60_000 });
    expect(answers.filter((answer) => !answer.startsWith('200 '))).toEqual([]);
    // What the page sends by itself goes to the same server; a `PUBLIC_URL` of the test has no port.
    if (publicUrl === undefined) {
      await page.locator('#operations-service-getHealth').click();
      await page.getByRole('button', { name: 'Try it out' }).click();
      await page.getByRole('button', { name: 'Execute' }).click();
      await eventually(() => answers.includes(`200 ${proxy.url}/healthz`));
    }
    expect(complaints).toEqual([]);
  } finally {
    await page.close();
    await proxy.close();
    await under.stop();
  }
});
