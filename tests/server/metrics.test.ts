// GET /metrics of a server, and the same on a port of its own.

import { readdirSync } from 'node:fs';
import { expect, test } from 'vitest';
import { docsPaths } from '../../src/docs-pages.ts';
import { createProcessMetrics } from '../../src/metrics/process-metrics.ts';
import { createMetricsListener } from '../../src/server/metrics-listener.ts';
import { createKey, readApiKeys } from '../../src/server/auth/api-keys.ts';
import { eventually } from '../support/eventually.ts';
import { call, post } from '../support/http.ts';
import { HAS_PROMTOOL, lintMetrics, promtool, readMetrics } from '../support/promlint.ts';
import { startServer } from '../support/server.ts';
import { silentLog } from '../support/store.ts';
import { withServer } from '../support/with-server.ts';

const one = withServer();
const INPUT = { one: 1, two: 2 };

async function scrape(accept = 'text/plain', url = one.url()): Promise<string> {
  const response = await fetch(`${url}/metrics`, { headers: { accept } });
  expect(response.status).toBe(200);
  return response.text();
}

/** Value of a sample whose labels are these among others. */
function valueOf(text: string, name: string, labels: Record<string, string> = {}): number | undefined {
  const family =
    readMetrics(text).get(name.replace(/_(?:bucket|sum|count)$/, '')) ?? readMetrics(text).get(name);
  const wanted = Object.entries(labels);
  return family?.samples.find(
    (sample) => sample.name === name && wanted.every(([label, value]) => sample.labels.get(label) === value),
  )?.value;
}

/** Scrapes until one has been taken after what happened before: readers within a second share one. */
function scrapeWhere(check: (text: string) => boolean): Promise<string> {
  return eventually(async () => {
    const text = await scrape();
    return check(text) && text;
  });
}

async function work(queue: string): Promise<void> {
  const send = () => post(`${one.url()}/v1/tasks`, { type: 'add', input: INPUT, queue });
  for (let tasks = 0; tasks < 4; tasks += 1) await send();
  const worker = one.worker();
  await worker.end(await worker.take(queue), 'succeeded', 3);
  await worker.end(await worker.take(queue), 'dead', { name: 'Error', message: 'no' });
  await worker.take(queue);
}

test('what happened to the tasks of a queue', async () => {
  await one.empty();
  await work('mails');
  const text = await scrapeWhere(
    (found) => valueOf(found, 'popfleet_tasks', { queue: 'mails', state: 'running' }) === 1,
  );
  const mails = (name: string, labels = {}): number | undefined =>
    valueOf(text, `popfleet_${name}`, { queue: 'mails', ...labels });
  expect({
    accepted: mails('tasks_accepted_total'),
    started: mails('tasks_started_total'),
    succeeded: mails('tasks_finished_total', { outcome: 'succeeded' }),
    dead: mails('tasks_finished_total', { outcome: 'dead' }),
    cancelled: mails('tasks_finished_total', { outcome: 'cancelled' }),
    ready: mails('tasks', { state: 'ready' }),
    workers: mails('workers'),
    imbalance: mails('ledger_imbalance'),
    high: mails('oldest_ready_age_seconds', { lane: 'high' }),
  }).toEqual({
    accepted: 4,
    started: 3,
    succeeded: 1,
    dead: 1,
    cancelled: 0,
    ready: 1,
    workers: 1,
    imbalance: 0,
    high: 0,
  });
  expect(mails('oldest_ready_age_seconds', { lane: 'normal' })).toBeGreaterThan(0);
  expect(mails('tasks_running_seconds_total')).toBeGreaterThan(0);
  expect(valueOf(text, 'popfleet_redis_up')).toBe(1);
  // Both accept tasks: the first one also hands them to workers that may be idle.
  const accepting = ['hand', 'enqueue'].map((script) =>
    Number(valueOf(text, 'popfleet_redis_command_duration_seconds_count', { script })),
  );
  expect(accepting.reduce((sum, count) => sum + count)).toBeGreaterThan(3);
});

test('requests are told apart by the pattern of their route, not by their path', async () => {
  for (const id of ['a', 'b']) await call(`${one.url()}/v1/tasks/${id}`);
  await call(`${one.url()}/nothing/is/here`);
  const text = await scrape();
  const count = (labels: Record<string, string>): number | undefined =>
    valueOf(text, 'popfleet_http_request_duration_seconds_count', labels);
  expect(count({ method: 'GET', route: '/v1/tasks/:id', status: '404' })).toBe(2);
  expect(count({ method: 'GET', route: 'none', status: '404' })).toBe(1);
  expect(text).not.toContain('/nothing');
});

test('the files of the dashboard and the documents are one route each', async () => {
  const files = readdirSync('dist/ui').filter((name) => /\.(?:js|css)$/.test(name));
  const documents = docsPaths().filter((path) => path.startsWith('docs/'));
  expect(Math.min(files.length, documents.length)).toBeGreaterThan(5);
  for (const path of [...files.map((name) => `ui/${name}`), ...documents, 'docs/start.js']) {
    const response = await fetch(`${one.url()}/${path}`);
    expect([path, response.status]).toEqual([path, 200]);
    await response.arrayBuffer();
  }
  const text = await scrape();
  const routes = Array.from(text.matchAll(/route="(\/(?:ui|docs)[^"]*)"/g), ([, route = '']) => route);
  expect([...new Set(routes)].toSorted()).toEqual(['/docs/:file', '/ui/:file']);
});

test('what is written keeps the rules of Prometheus', async () => {
  await one.empty();
  await work('mails');
  // The first reading begins to measure the delay of the event loop.
  const text = await scrapeWhere(
    (found) => valueOf(found, 'popfleet_event_loop_delay_seconds', { quantile: '0.99' }) !== undefined,
  );
  expect(lintMetrics(text)).toEqual([]);
});

test.skipIf(!HAS_PROMTOOL)('promtool accepts it without a word', async () => {
  expect(promtool(['check', 'metrics'], await scrape())).toBe('');
});

test('the format is as Accept prefers', async () => {
  const typeFor = async (accept: string): Promise<string | null> =>
    (await fetch(`${one.url()}/metrics`, { headers: { accept } })).headers.get('content-type');
  const text = 'text/plain; version=0.0.4; charset=utf-8';
  const open = 'application/openmetrics-text; version=1.0.0; charset=utf-8';
  expect(await typeFor('*/*')).toBe(text);
  expect(await typeFor('text/plain;version=0.0.4;q=0.5,*/*;q=0.1')).toBe(text);
  // As Prometheus asks.
  expect(
    await typeFor(
      'application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.2',
    ),
  ).toBe(open);
  expect(await scrape('application/openmetrics-text')).toMatch(/\n# EOF\n$/);
});

test('a key needs the scope read, and sees its own queues alone', async () => {
  await one.empty();
  await work('mails');
  await work('videos');
  const all = createKey(['read'], undefined);
  const own = createKey(['read'], ['videos']);
  const sender = createKey(['enqueue'], undefined);
  const { keys: apiKeys } = readApiKeys([all, own, sender].map(({ entry }) => entry).join(','));
  const server = await startServer(one.redis().url, 65_536, { apiKeys });
  try {
    await eventually(async () => (await fetch(`${server.url()}/readyz`)).ok);
    const ask = async (key?: string): Promise<string | number> => {
      const headers: Record<string, string> = key === undefined ? {} : { authorization: `Bearer ${key}` };
      const response = await fetch(`${server.url()}/metrics`, { headers });
      return response.ok ? response.text() : response.status;
    };
    const queuesIn = (text: string | number): unknown[] => [
      ...new Set(
        readMetrics(String(text))
          .get('popfleet_tasks')
          ?.samples.map(({ labels }) => labels.get('queue')),
      ),
    ];
    expect(await ask()).toBe(401);
    expect(await ask(sender.key)).toBe(403);
    expect(queuesIn(await ask(all.key))).toEqual(['default', 'mails', 'videos']);
    expect(queuesIn(await ask(own.key))).toEqual(['videos']);
  } finally {
    await server.stop();
  }
});

test('the port of its own needs no key, and has nothing but metrics, and a probe', async () => {
  const metrics = createProcessMetrics('worker');
  metrics.add(() => [
    { name: 'popfleet_test', type: 'gauge', help: 'Test', samples: [{ labels: [], value: 7 }] },
  ]);
  const listener = createMetricsListener({ host: '127.0.0.1', port: 0 }, metrics, silentLog);
  await listener.start();
  try {
    const text = await scrape('text/plain', new URL('.', listener.url()).href.replace(/\/$/, ''));
    expect(valueOf(text, 'popfleet_test')).toBe(7);
    expect(valueOf(text, 'popfleet_build_info', { role: 'worker' })).toBe(1);
    const statusOf = async (path: string, method = 'GET'): Promise<number> =>
      (await fetch(new URL(path, listener.url()), { method })).status;
    expect(await statusOf('/metrics?name=x', 'HEAD')).toBe(200);
    const health = await fetch(new URL('/healthz', listener.url()));
    expect([health.status, await health.json()]).toEqual([200, { status: 'ok' }]);
    expect(health.headers.get('cache-control')).toBe('no-store');
    expect(await statusOf('/')).toBe(404);
    expect(await statusOf('/metrics', 'POST')).toBe(405);
    const other = createMetricsListener(
      { host: '127.0.0.1', port: Number(new URL(listener.url()).port) },
      metrics,
      silentLog,
    );
    await expect(other.start()).rejects.toThrow(/^METRICS_PORT: another program listens/);
    await other.stop();
  } finally {
    await listener.stop();
  }
});
