// The dashboard in a real browser, on a real server, Redis and worker, which a file of tests shares.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Browser, BrowserContext, Locator, Page, Request } from 'playwright-core';
import { afterAll, afterEach, beforeAll, expect } from 'vitest';
import { createServerRole, type Server, type ServerSettings } from '../../src/server/server.ts';
import { loadRegistry } from '../../src/tasks/registry.ts';
import { createDeliveries } from '../../src/webhooks/deliveries.ts';
import { hasBrowser, startBrowser } from './browser.ts';
import { eventually } from './eventually.ts';
import { endAll, type RoleProcess, startRole } from './fleet.ts';
import { call, post } from './http.ts';
import { faultsOf, faultsZoomed, violationsOf } from './page-faults.ts';
import { freePort, startRedis, type TestRedis } from './redis.ts';
import { SERVER_SETTINGS, silent } from './server.ts';
import { type RoleHere, startHere } from './start-here.ts';

const A_BATCH = 1_000;
const MOST_TABS = 100;
/** Of a click and the like, on a busy machine. */
const ACTION_WITHIN_MS = 90_000;
const FIXTURES = fileURLToPath(new URL('../fixtures', import.meta.url));
const MODULES = ['tasks.mjs', 'life.mjs'];
/** Receivers of webhooks are on this machine. */
const HERE = { bodyLimitBytes: 6_291_456, webhookAllow: ['127.0.0.1'] };

export interface Dashboard {
  /** A server without keys. */
  server(): Server;
  redis(): TestRedis;
  page(): Page;
  context(): BrowserContext;
  /** A folder that goes with the file. */
  folder(): string;
  serve(settings: Partial<ServerSettings>): Promise<Server>;
  /** Stops the server without keys. @returns starts one in its place */
  stopServer(): Promise<() => Promise<void>>;
  /** In this process. */
  startWorker(): Promise<void>;
  /** One that is killed. @param env beside that of all workers */
  startWorkerProcess(env: Readonly<Record<string, string>>): Promise<RoleProcess>;
  /** Opens a place. @param isFresh in a new page, and signed out; else the page goes on */
  open(url: string, isFresh?: boolean): Promise<void>;
  /** All pages read what they show again, without waiting for their time. */
  beat(): Promise<void>;
  /** Goes on within the page. @param place such as `tasks?state=dead` */
  goTo(place: string, heading: string | RegExp): Promise<void>;
  /** Presses the Tab key until it leads there. */
  tabTo(target: Locator): Promise<void>;
  /** Sends a task to the server without keys. @returns its id */
  send(type: string, input: unknown, options?: object): Promise<string>;
  /** Sends many at once. @returns their ids */
  sendMany(type: string, inputs: readonly unknown[], options?: object): Promise<readonly string[]>;
  /** Begins an operation as a program would. @returns its id */
  operate(operation: object): Promise<string>;
  until(id: string, state: string): Promise<void>;
  /** How many requests for the same are under way at most, as long as something is done. */
  mostAtOnce(act: () => Promise<void>): Promise<number>;
  /** What axe finds in the page. @param rules all, unless told */
  violations(rules?: readonly string[]): Promise<string[]>;
  /** What axe finds in the page as it is, light and dark, and whether it is too wide for a narrow phone. @param name of the page */
  faultsNow(name: string): Promise<string[]>;
  /** What is wrong with the page at a zoom of 200 %, for those who want no motion. @param name of the page */
  faultsZoomed(name: string): Promise<string[]>;
}

/** What it shows, beside the failure of a test. */
async function showPage(page: Page): Promise<void> {
  const text = await page
    .evaluate<string>('`${document.visibilityState}: ${document.body.innerText}`')
    .catch(String);
  process.stderr.write(`the page at ${page.url()} shows, ${text}\n`);
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
    await Promise.all([serveFirst(await freePort()), startBrowser().then((started) => (browser = started))]);
  });
  afterEach(async ({ task }) => {
    if (task.result?.state === 'fail' && context) await showPage(page);
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

  async function serveFirst(port: number): Promise<void> {
    const made = await serve({ ...ofFirst, port });
    servers.splice(servers.indexOf(made), 1);
    servers[0] = made;
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

  /** In the browser profile of the file: it has the files of the dashboard, which a page of a new one would load and compile again. */
  async function newPage(): Promise<void> {
    const before = context === undefined ? undefined : page;
    if (context === undefined) {
      context = await browser.newContext();
      context.setDefaultTimeout(ACTION_WITHIN_MS);
    }
    await context.clearCookies();
    page = await context.newPage();
    await before?.close();
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

    async stopServer() {
      const { port } = new URL(server().url());
      await server().stop();
      return () => serveFirst(Number(port));
    },

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

    async beat() {
      const readAgain = async (one: Page): Promise<void> => {
        const answers = ['queues', 'workers'].map((name) =>
          one.waitForResponse((response) => response.url().endsWith(`/v1/${name}`)),
        );
        // As when it is shown again.
        await one.evaluate("document.dispatchEvent(new Event('visibilitychange'))");
        await Promise.all(answers.map(async (answer) => (await answer).finished()));
      };
      await Promise.all(context?.pages().map(readAgain) ?? []);
    },

    async goTo(place, heading) {
      await page.evaluate(`location.hash = ${JSON.stringify(`#/${place}`)}`);
      await page.getByRole('heading', { level: 1, name: heading }).waitFor();
    },

    async tabTo(target) {
      const isThere = (): Promise<boolean> =>
        target.evaluate((element) => element === element.ownerDocument.activeElement);
      for (let presses = 0; !(await isThere()); presses += 1) {
        if (presses === MOST_TABS) throw new Error('the Tab key does not lead there');
        await page.keyboard.press('Tab');
      }
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

    async operate(operation) {
      const url = `${server().url()}/v1/operations`;
      const { body } = await post(url, { ...operation, dryRun: true });
      const begun = await post(url, { ...operation, confirm: body['confirm'] });
      expect(begun).toMatchObject({ status: 202 });
      return String(begun.body['id']);
    },

    async until(id, state) {
      await eventually(async () => (await call(`${server().url()}/v1/tasks/${id}`)).body['state'] === state);
    },

    async mostAtOnce(act) {
      const underWay = new Map<string, number>();
      let most = 0;
      const count = (request: Request, change: number): void => {
        const now = (underWay.get(request.url()) ?? 0) + change;
        underWay.set(request.url(), now);
        most = Math.max(most, now);
      };
      const begun = (request: Request): void => count(request, 1);
      const ended = (request: Request): void => count(request, -1);
      page.on('request', begun).on('requestfinished', ended).on('requestfailed', ended);
      await act();
      page.off('request', begun).off('requestfinished', ended).off('requestfailed', ended);
      return most;
    },

    violations: (rules) => violationsOf(page, rules),

    faultsNow: (name) => faultsOf(page, name),
    faultsZoomed: (name) => faultsZoomed(page, name),
  };
}
