// The dashboard in a real browser, on a real server, Redis and worker, which a file of tests shares.

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, expect } from 'vitest';
import { createServerRole, type Server, type ServerSettings } from '../../src/server/server.ts';
import { loadRegistry } from '../../src/tasks/registry.ts';
import { hasBrowser, startBrowser } from './browser.ts';
import { eventually } from './eventually.ts';
import { endAll, type RoleProcess, startRole } from './fleet.ts';
import { call, post } from './http.ts';
import { startRedis, type TestRedis } from './redis.ts';
import { SERVER_SETTINGS, silent } from './server.ts';

const FIXTURES = fileURLToPath(new URL('../fixtures', import.meta.url));
const MODULES = ['tasks.mjs', 'life.mjs'];
const BODY_LIMIT_BYTES = 2_097_152;

export interface Dashboard {
  /** A server without keys. */
  server(): Server;
  redis(): TestRedis;
  page(): Page;
  context(): BrowserContext;
  /** A folder that goes with the file. */
  folder(): string;
  serve(settings: Partial<ServerSettings>): Promise<Server>;
  startWorker(): Promise<void>;
  /** Opens a place. @param isFresh in a new browser profile; else the page goes on */
  open(url: string, isFresh?: boolean): Promise<void>;
  /** Goes on within the page. @param place such as `tasks?state=dead` */
  goTo(place: string, heading: string | RegExp): Promise<void>;
  /** Sends a task to the server without keys. @returns its id */
  send(type: string, input: unknown, options?: object): Promise<string>;
  until(id: string, state: string): Promise<void>;
  /** What axe finds in the page. @param rules all, unless told */
  violations(rules?: readonly string[]): Promise<string[]>;
}

/** Calls the hooks of a file. After each test the page must have had nothing to complain about. */
export function useDashboard(): Dashboard {
  let redis: TestRedis;
  let browser: Browser;
  let folder: string;
  let worker: RoleProcess | undefined;
  let context: BrowserContext | undefined;
  let page: Page;
  const servers: Server[] = [];
  const complaints: string[] = [];

  beforeAll(async () => {
    if (!hasBrowser) return;
    folder = mkdtempSync(join(tmpdir(), 'popfleet-ui-'));
    redis = await startRedis();
    await Promise.all([serve({}), startBrowser().then((started) => (browser = started))]);
  });
  afterEach(() => {
    expect(complaints.splice(0)).toEqual([]);
  });
  afterAll(async () => {
    await browser?.close();
    await endAll([worker]);
    await Promise.all(servers.map((one) => one.stop()));
    await redis?.stop();
    if (folder) rmSync(folder, { recursive: true, force: true });
  });

  async function serve(settings: Partial<ServerSettings>): Promise<Server> {
    const connection = silent(redis.url);
    const registry = await loadRegistry({ taskDurationMs: 0, taskModules: MODULES, baseDir: FIXTURES });
    const deps = { connection, registry, log: connection.log };
    const made = createServerRole(
      { ...SERVER_SETTINGS, bodyLimitBytes: BODY_LIMIT_BYTES, ...settings },
      deps,
    );
    servers.push(made);
    await made.start();
    await eventually(async () => (await fetch(`${made.url()}/readyz`)).ok);
    return made;
  }

  function server(): Server {
    const [first] = servers;
    if (!first) throw new TypeError('not started');
    return first;
  }

  async function newPage(): Promise<void> {
    await context?.close();
    context = await browser.newContext();
    page = await context.newPage();
    page.on('request', (request) => {
      if (!/^(?:http:\/\/127\.0\.0\.1:|data:)/.test(request.url())) complaints.push(`asked ${request.url()}`);
    });
    // Chromium says there what the policy forbids. An answer that is no success is told as well, and is none of the page.
    page.on('console', (message) => {
      if (message.type() === 'error' && !message.text().startsWith('Failed to load resource')) {
        complaints.push(message.text());
      }
    });
    page.on('pageerror', (error) => complaints.push(error.message));
  }

  return {
    server,
    redis: () => redis,
    page: () => page,
    context() {
      if (!context) throw new TypeError('nothing is open');
      return context;
    },
    folder: () => folder,
    serve,

    async startWorker() {
      const TASKS = MODULES.map((name) => join(FIXTURES, name)).join(',');
      const env = { REDIS_URL: redis.url, TASKS, CONCURRENCY: '2', QUEUES: 'default,mail' };
      worker = await startRole('worker', env);
    },

    async open(url, isFresh = false) {
      if (isFresh || context === undefined) await newPage();
      await page.setViewportSize({ width: 1_280, height: 800 });
      await page.goto(url);
    },

    async goTo(place, heading) {
      await page.evaluate(`location.hash = ${JSON.stringify(`#/${place}`)}`);
      await page.getByRole('heading', { level: 1, name: heading }).waitFor();
    },

    async send(type, input, options = {}) {
      const { status, body } = await post(`${server().url()}/v1/tasks`, { type, input, ...options });
      expect({ status, body }).toMatchObject({ status: 202 });
      return String(body['id']);
    },

    async until(id, state) {
      await eventually(async () => (await call(`${server().url()}/v1/tasks/${id}`)).body['state'] === state);
    },

    violations: (rules) => violationsOf(page, rules),
  };
}

async function violationsOf(page: Page, rules: readonly string[] | undefined): Promise<string[]> {
  const file = createRequire(import.meta.url).resolve('axe-core/axe.min.js');
  if (!(await page.evaluate("'axe' in globalThis"))) await page.evaluate(readFileSync(file, 'utf8'));
  const options = { resultTypes: ['violations'], ...(rules ? { runOnly: rules } : {}) };
  return page.evaluate(async (given) => {
    const { axe } = globalThis as unknown as {
      axe: { run(options: object): Promise<{ violations: { id: string; nodes: { html: string }[] }[] }> };
    };
    const found = await axe.run(given);
    return found.violations.map(({ id, nodes }) => `${id}: ${nodes[0]?.html ?? ''}`);
  }, options);
}
