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
import { createDeliveries } from '../../src/webhooks/deliveries.ts';
import { hasBrowser, startBrowser } from './browser.ts';
import { eventually } from './eventually.ts';
import { endAll, type RoleProcess, startRole } from './fleet.ts';
import { call, post } from './http.ts';
import { startRedis, type TestRedis } from './redis.ts';
import { SERVER_SETTINGS, silent } from './server.ts';
import { type RoleHere, startHere } from './start-here.ts';

const A_BATCH = 1_000;
const FIXTURES = fileURLToPath(new URL('../fixtures', import.meta.url));
const MODULES = ['tasks.mjs', 'life.mjs'];
/** Receivers of webhooks are on this machine. */
const HERE = { bodyLimitBytes: 2_097_152, webhookAllow: ['127.0.0.1'] };

export interface Dashboard {
  /** A server without keys. */
  server(): Server;
  redis(): TestRedis;
  page(): Page;
  context(): BrowserContext;
  /** A folder that goes with the file. */
  folder(): string;
  serve(settings: Partial<ServerSettings>): Promise<Server>;
  /** In this process. */
  startWorker(): Promise<void>;
  /** One that is killed. @param env beside that of all workers */
  startWorkerProcess(env: Readonly<Record<string, string>>): Promise<RoleProcess>;
  /** Opens a place. @param isFresh in a new browser profile; else the page goes on */
  open(url: string, isFresh?: boolean): Promise<void>;
  /** Goes on within the page. @param place such as `tasks?state=dead` */
  goTo(place: string, heading: string | RegExp): Promise<void>;
  /** Sends a task to the server without keys. @returns its id */
  send(type: string, input: unknown, options?: object): Promise<string>;
  /** Sends many at once. @returns their ids */
  sendMany(type: string, inputs: readonly unknown[], options?: object): Promise<readonly string[]>;
  until(id: string, state: string): Promise<void>;
  /** What axe finds in the page. @param rules all, unless told */
  violations(rules?: readonly string[]): Promise<string[]>;
  /** What axe finds in the page as it is, light and dark, and whether it is too wide for a narrow phone. @param name of the page */
  faultsNow(name: string): Promise<string[]>;
}

/**
 * Calls the hooks of a file. After each test the page must have had nothing to complain about.
 * @param ofFirst settings of the server without keys; it sweeps only when they say so
 */
export function useDashboard(ofFirst: Partial<ServerSettings> = {}): Dashboard {
  let redis: TestRedis;
  let browser: Browser;
  let folder: string;
  let worker: RoleHere | undefined;
  let workerProcess: RoleProcess | undefined;
  let context: BrowserContext | undefined;
  let page: Page;
  const servers: Server[] = [];
  const complaints: string[] = [];

  beforeAll(async () => {
    if (!hasBrowser) return;
    folder = mkdtempSync(join(tmpdir(), 'popfleet-ui-'));
    redis = await startRedis();
    await Promise.all([serve(ofFirst), startBrowser().then((started) => (browser = started))]);
  });
  afterEach(() => {
    expect(complaints.splice(0)).toEqual([]);
  });
  afterAll(async () => {
    await browser?.close();
    await endAll([workerProcess]);
    await worker?.stop();
    await Promise.all(servers.map((one) => one.stop()));
    await redis?.stop();
    if (folder) rmSync(folder, { recursive: true, force: true });
  });

  async function serve(settings: Partial<ServerSettings>): Promise<Server> {
    const connection = silent(redis.url);
    const registry = await loadRegistry({ taskDurationMs: 0, taskModules: MODULES, baseDir: FIXTURES });
    const { log } = connection;
    const all = { ...SERVER_SETTINGS, ...HERE, ...settings };
    const made = createServerRole(all, {
      connection,
      registry,
      log,
      // Opened when there is a webhook to deliver.
      openDeliveries: async (endpoints) =>
        createDeliveries(
          { ...all, blockMs: 500, lowLanesPercent: 0, webhookConcurrency: 2 },
          { connection, endpoints, log },
        ),
    });
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

  function workerEnv(): Record<string, string> {
    const TASKS = MODULES.map((name) => join(FIXTURES, name)).join(',');
    return { REDIS_URL: redis.url, TASKS, CONCURRENCY: '2', QUEUES: 'default,mail' };
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
      worker = await startHere('worker', workerEnv());
    },

    async startWorkerProcess(more) {
      workerProcess = await startRole('worker', { ...workerEnv(), ...more });
      return workerProcess;
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

    async sendMany(type, inputs, options = {}) {
      const ids: string[] = [];
      for (let at = 0; at < inputs.length; at += A_BATCH) {
        const tasks = inputs.slice(at, at + A_BATCH).map((input) => Object.assign({ type, input }, options));
        const answer = await fetch(`${server().url()}/v1/tasks/batch`, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify(tasks),
        });
        const { items } = (await answer.json()) as { readonly items: readonly { readonly id: string }[] };
        ids.push(...items.map(({ id }) => id));
      }
      return ids;
    },

    async until(id, state) {
      await eventually(async () => (await call(`${server().url()}/v1/tasks/${id}`)).body['state'] === state);
    },

    violations: (rules) => violationsOf(page, rules),

    async faultsNow(name) {
      await page.locator('main .loading').waitFor({ state: 'detached' });
      const found = await violationsOf(page, undefined);
      await page.emulateMedia({ colorScheme: 'dark' });
      // Nothing but the colours is different.
      found.push(...(await violationsOf(page, ['color-contrast'])));
      await page.setViewportSize({ width: 320, height: 640 });
      const wide = await page.evaluate<number>('document.documentElement.scrollWidth - innerWidth');
      if (wide > 0) found.push(`${wide} px too wide`);
      await page.emulateMedia({ colorScheme: 'light' });
      await page.setViewportSize({ width: 1_280, height: 800 });
      return found.map((fault) => `${name}: ${fault}`);
    },
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
