// What a worker says of itself and of its runs.

import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readConfig } from '../../src/config/config.ts';
import type { Service } from '../../src/lifecycle.ts';
import { writeFamilies } from '../../src/metrics/family.ts';
import { createProcessMetrics, type ProcessMetrics } from '../../src/metrics/process-metrics.ts';
import { DEFAULT_LANE, type Lane } from '../../src/protocol/lane.ts';
import { encodeContent, typeOfContent } from '../../src/protocol/message.ts';
import { newTaskId } from '../../src/protocol/task-id.ts';
import { createProducer } from '../../src/store/producer.ts';
import type { TaskExtras } from '../../src/store/new-task.ts';
import { loadRegistry } from '../../src/tasks/registry.ts';
import { createWorker } from '../../src/worker/worker.ts';
import { eventually } from '../support/eventually.ts';
import { HAS_PROMTOOL, lintMetrics, promtool, readMetrics } from '../support/promlint.ts';
import { recordsOf } from '../support/records.ts';
import { silentLog, startStore } from '../support/store.ts';

const { redis, client } = await startStore();
const producer = createProducer(client);
const QUEUE = 'default';
const FIXTURES = fileURLToPath(new URL('../fixtures/', import.meta.url));

let metrics: ProcessMetrics;
let worker: Service;

beforeAll(async () => {
  const tasks = {
    taskDurationMs: 0,
    taskModules: [`${FIXTURES}life.mjs`, `${FIXTURES}inline.mjs`],
    baseDir: FIXTURES,
  };
  metrics = createProcessMetrics('worker');
  worker = createWorker(
    { ...readConfig({ CONCURRENCY: '2', HEARTBEAT_MS: '100', SHUTDOWN_GRACE_MS: '0' }, 1), tasks },
    {
      connection: { url: redis.url, log: silentLog },
      registry: await loadRegistry(tasks),
      log: silentLog,
      onStuck: () => undefined,
      metrics,
    },
  );
  await worker.start();
});
afterAll(() => worker?.stop());

async function scrape(): Promise<string> {
  return writeFamilies(await metrics.collect(), 'text/plain');
}

/** The value of a sample, 0 when there is none. */
function valueIn(text: string, name: string, labels: Record<string, string>): number {
  const family =
    readMetrics(text).get(name) ?? readMetrics(text).get(name.replace(/_(?:bucket|sum|count)$/, ''));
  const wanted = Object.entries(labels);
  const found = family?.samples.find(
    (sample) => sample.name === name && wanted.every(([label, value]) => sample.labels.get(label) === value),
  );
  return found?.value ?? 0;
}

/** How long the tasks of a type have waited for their claims, as Redis has it. */
async function waitSeconds(type: string): Promise<number> {
  const records = (await recordsOf(client, QUEUE)).filter(({ content }) => typeOfContent(content) === type);
  const waits = records.map(({ acceptedAt, dueAt = 0, startedAt = 0 }) =>
    Math.max(0, startedAt - Math.max(acceptedAt, dueAt)),
  );
  return waits.reduce((sum, ms) => sum + ms, 0) / 1_000;
}

async function send(
  type: string,
  input: object,
  {
    extras,
    lane = DEFAULT_LANE,
    options,
  }: { extras?: TaskExtras; lane?: Lane; options?: Readonly<Record<string, unknown>> } = {},
): Promise<void> {
  await producer.enqueue(QUEUE, [
    { id: newTaskId(), content: encodeContent(type, input, options), lane, extras },
  ]);
}

/** Scrapes once so many runs of the type have ended in one way or another. */
function scrapeAfter(type: string, outcome: string, runs: number): Promise<string> {
  return eventually(async () => {
    const text = await scrape();
    return valueIn(text, 'popfleet_runs_total', { queue: QUEUE, type, outcome }) >= runs && text;
  });
}

test('waits and runs by queue and type, and outcomes', async () => {
  for (let tasks = 0; tasks < 5; tasks += 1) await send('add', { one: 1, two: 2 });
  const text = await scrapeAfter('add', 'succeeded', 5);
  const of = { queue: QUEUE, type: 'add' };
  expect(valueIn(text, 'popfleet_task_run_seconds_count', of)).toBe(5);
  expect(valueIn(text, 'popfleet_task_wait_seconds_count', of)).toBe(5);
  expect(valueIn(text, 'popfleet_task_wait_seconds_sum', of)).toBeCloseTo(await waitSeconds('add'), 6);
  expect(valueIn(text, 'popfleet_slots', {})).toBe(2);
  expect(
    valueIn(text, 'popfleet_redis_command_duration_seconds_count', { script: 'finish' }),
  ).toBeGreaterThan(0);
});

test('a delay that was asked for is no wait', async () => {
  await send('where', { ms: 20 }, { extras: { delayMs: 300 } });
  await send('where', { ms: 20 }, { lane: 'high' });
  const of = { queue: QUEUE, type: 'where' };
  const text = await eventually(async () => {
    const found = await scrapeAfter('where', 'succeeded', 2);
    return valueIn(found, 'popfleet_task_wait_seconds_count', of) === 2 && found;
  });
  expect(valueIn(text, 'popfleet_task_wait_seconds_sum', of)).toBeCloseTo(await waitSeconds('where'), 6);
  expect(valueIn(text, 'popfleet_task_run_seconds_sum', of)).toBeGreaterThan(0.039);
});

test('the first attempt alone has waited; each has run', async () => {
  await send(
    'flaky',
    { failures: 1 },
    { options: { backoff: { type: 'fixed', baseMs: 10, jitter: 'none' } } },
  );
  const text = await scrapeAfter('flaky', 'succeeded', 1);
  const of = { queue: QUEUE, type: 'flaky' };
  expect(valueIn(text, 'popfleet_runs_total', { ...of, outcome: 'failed' })).toBe(1);
  expect(valueIn(text, 'popfleet_task_wait_seconds_count', of)).toBe(1);
  expect(valueIn(text, 'popfleet_task_run_seconds_count', of)).toBe(2);
});

test('a run that was ended by force has run, was stopped, and its thread was replaced', async () => {
  await send('spin-limited', {});
  await send('exit', { code: 1 }, { options: { maxAttempts: 1 } });
  await scrapeAfter('exit', 'dead', 1);
  const text = await scrapeAfter('spin-limited', 'dead', 1);
  const of = { queue: QUEUE, type: 'spin-limited' };
  expect(valueIn(text, 'popfleet_stop_seconds_count', of)).toBe(1);
  expect(valueIn(text, 'popfleet_task_run_seconds_count', of)).toBe(1);
  expect(valueIn(text, 'popfleet_task_run_seconds_sum', of)).toBeGreaterThan(0.3);
  expect(valueIn(text, 'popfleet_threads_replaced_total', { reason: 'timed-out' })).toBe(1);
  expect(valueIn(text, 'popfleet_threads_replaced_total', { reason: 'thread-exit' })).toBe(1);
});

test('its heartbeats and its fetches are seen, and the rules of Prometheus kept', async () => {
  const text = await eventually(async () => {
    const found = await scrape();
    const beats = valueIn(found, 'popfleet_lease_renewals_total', { result: 'renewed' });
    return beats > 1 && valueIn(found, 'popfleet_event_loop_delay_seconds_count', {}) > 0 && found;
  });
  expect(valueIn(text, 'popfleet_fetch_age_seconds', {})).toBeLessThan(60);
  expect(lintMetrics(text)).toEqual([]);
  if (HAS_PROMTOOL) expect(promtool(['check', 'metrics'], text)).toBe('');
});

test('the beats of a worker bring how long tasks waited and ran to the counts of their queue, for percentiles over time', async () => {
  await eventually(async () => {
    const counts = Object.entries(await client.hgetall(`pf:{${QUEUE}}:count`));
    const families = readMetrics(await scrape());
    for (const span of ['wait', 'run'] as const) {
      const name = `popfleet_task_${span}_seconds`;
      const samples = families.get(name)?.samples ?? [];
      const seen = samples
        .filter((one) => one.name === `${name}_count` && one.labels.get('queue') === QUEUE)
        .reduce((sum, { value }) => sum + value, 0);
      const kept = counts
        .filter(([field]) => field.startsWith(`${span}-`))
        .reduce((sum, [, value]) => sum + Number(value), 0);
      expect([span, kept]).toEqual([span, seen]);
      expect(seen).toBeGreaterThan(0);
    }
    return true;
  });
});
