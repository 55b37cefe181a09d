// popfleet/client in a page of another origin, as the build has it: no bundler, no server code.

import { readFileSync } from 'node:fs';
import { createServer, type Server as HttpServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { Server } from '../../src/server/server.ts';
import { defineTask, v } from '../../src/index.ts';
import { hasBrowser, startBrowser } from '../support/browser.ts';
import { eventually } from '../support/eventually.ts';
import { createHandWorker, type HandWorker } from '../support/hand-worker.ts';
import { makeKey } from '../support/keys.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { startServer, testRegistry } from '../support/server.ts';

const REPO = fileURLToPath(new URL('../..', import.meta.url));
const DOCUMENT = readFileSync(`${REPO}docs/client.md`, 'utf8');
const EXAMPLE = /^```html\n(?<page>.*?)^```$/ms.exec(DOCUMENT)?.groups?.['page'] ?? '';
const PAGE = `<!doctype html><title>A page</title>
<script type="module">import * as client from './popfleet/client.js'; Object.assign(globalThis, { client });</script>`;
const hello = defineTask({ type: 'hello', input: v.object({ name: v.string() }), run: () => undefined });
const key = makeKey(['enqueue', 'read']);

let redis: TestRedis;
let browser: Browser;
let worker: HandWorker;
let pages: HttpServer;
/** Origin of the pages that a server names, and of those that it does not. */
let origin: string;
const servers: Server[] = [];
let page: Page;

/** Pages, and the client as docs/client.md says to copy it. */
function servePages(): Promise<HttpServer> {
  const server = createServer((request, response) => {
    const file = /^\/popfleet\/(?<name>[\w.-]+\.js)$/.exec(request.url ?? '')?.groups?.['name'];
    response.setHeader('content-type', file ? 'text/javascript' : 'text/html');
    if (file) response.end(readFileSync(`${REPO}dist/client/${file}`));
    else if (request.url === '/example')
      response.end(EXAMPLE.replace('http://127.0.0.1:3000', servers[0]?.url() ?? ''));
    else response.end(PAGE);
  });
  return new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(server)));
}

beforeAll(async () => {
  if (!hasBrowser) return;
  [redis, pages, browser] = await Promise.all([startRedis(), servePages(), startBrowser()]);
  origin = `http://127.0.0.1:${(pages.address() as AddressInfo).port}`;
  const registry = new Map([...(await testRegistry()), [hello.type, hello]]);
  servers.push(
    await startServer(redis.url, undefined, { corsOrigins: [origin] }, { registry }),
    await startServer(redis.url, undefined, { corsOrigins: [origin], apiKeys: [key.apiKey] }),
    await startServer(redis.url),
  );
  worker = createHandWorker(redis.url);
  await eventually(async () => (await fetch(`${servers[0]?.url()}/readyz`)).ok);
  page = await browser.newPage();
});
afterEach(() => page?.goto('about:blank'));
afterAll(async () => {
  await browser?.close();
  worker?.close();
  await Promise.all(servers.map((one) => one.stop()));
  pages?.close();
  pages?.closeAllConnections();
  await redis?.stop();
});

interface Asked {
  readonly url: string;
  readonly key?: string;
  readonly queue: string;
}

/** Sends a task from a page, and tells what comes of it. */
async function sendFromPage(asked: Asked): Promise<Record<string, unknown>> {
  await page.waitForFunction('globalThis.client');
  return page.evaluate(async ({ url, key: apiKey, queue }) => {
    const { client } = globalThis as unknown as {
      readonly client: typeof import('../../src/client/client.ts');
    };
    const popfleet = new client.Popfleet({ url, key: apiKey, retries: 0 });
    try {
      const { id } = await popfleet.enqueue('add', { one: 1, two: 2 }, { queue });
      const events: string[] = [];
      for await (const event of popfleet.events(id)) events.push(event.name);
      const { state, result } = await popfleet.wait(id);
      return { state, result, events };
    } catch (error) {
      if (!(error instanceof client.ApiError)) throw error;
      return { status: error.status, code: error.code };
    }
  }, asked);
}

async function end(queue: string): Promise<void> {
  await worker.end(await eventually(() => worker.take(queue)), 'succeeded', 3);
}

describe.skipIf(!hasBrowser)('in a page', () => {
  test('the example of the document', async () => {
    await page.goto(`${origin}/example`);
    await worker.end(await eventually(() => worker.take()), 'succeeded', 'Hello you!');
    await page.getByText('Hello you!').waitFor();
    await expect.poll(() => page.locator('#state').textContent()).toBe('succeeded');
  });

  test('sends, follows and waits with a key, also where the page did not come over https', async () => {
    const [, url = ''] = servers.map((one) => one.url());
    await page.goto(origin);
    const asked = { url, key: key.text, queue: 'page' };
    const sent = sendFromPage(asked);
    await end('page');
    const told = { state: 'succeeded', result: 3, events: expect.arrayContaining(['snapshot', 'end']) };
    expect(await sent).toEqual(told);
    // As in such a page: this one comes from the own machine, where browsers are less strict.
    await page.evaluate('delete Crypto.prototype.randomUUID');
    expect(await page.evaluate('crypto.randomUUID === undefined')).toBe(true);
    const again = sendFromPage(asked);
    await end('page');
    expect(await again).toEqual(told);
    expect(await sendFromPage({ url, queue: 'page' })).toEqual({ status: 401, code: 'unauthenticated' });
  });

  test('a server that does not name its origin cannot be reached', async () => {
    await page.goto(origin);
    const answer = await sendFromPage({ url: servers[2]?.url() ?? '', queue: 'unnamed' });
    expect(answer).toEqual({ status: 0, code: 'unreachable' });
  });
});
