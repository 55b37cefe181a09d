// docs/operations.md lists every metric, and dashboard and rules use no other.

import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import type { Family } from '../../src/metrics/family.ts';
import { createDeliveryMetrics } from '../../src/metrics/delivery-metrics.ts';
import { createProcessMetrics } from '../../src/metrics/process-metrics.ts';
import { createQueueMetrics } from '../../src/metrics/queue-metrics.ts';
import { createRequestMetrics } from '../../src/metrics/request-metrics.ts';
import { createWorkerMetrics } from '../../src/metrics/worker-metrics.ts';
import { HAS_PROMTOOL, promtool } from '../support/promlint.ts';

const read = (path: string): string => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');
const DASHBOARD = 'deploy/grafana/popfleet.json';
const ALERTS = 'deploy/prometheus/alerts.yml';

/** Those of a process with all roles. */
async function families(): Promise<readonly Family[]> {
  const metrics = createProcessMetrics('all');
  const memory = { usedBytes: 0, limitBytes: 0 };
  metrics.add(createQueueMetrics(() => Promise.resolve({ queues: [], queueCount: 0, memory })));
  metrics.add(createRequestMetrics({ waiters: () => 0, streams: () => 0 }).collect);
  createDeliveryMetrics(metrics);
  createWorkerMetrics(metrics, {
    queues: [],
    slots: 1,
    held: () => 0,
    isOpen: () => true,
    readDueTimes: () => Promise.resolve([]),
  });
  return metrics.collect();
}

async function names(): Promise<string[]> {
  return (await families()).map(({ name, type }) => (type === 'counter' ? `${name}_total` : name));
}

/** What Prometheus calls the samples. */
async function sampleNames(): Promise<ReadonlySet<string>> {
  const all = (await families()).flatMap(({ name, type }) => {
    if (type === 'counter') return [`${name}_total`];
    if (type === 'gauge') return [name];
    return [type === 'histogram' ? `${name}_bucket` : name, `${name}_sum`, `${name}_count`];
  });
  return new Set(all);
}

function mentionedIn(text: string): string[] {
  return [...new Set(Array.from(text.matchAll(/\b(?:popfleet|process)_\w+/g), ([name]) => name))];
}

test('the table has every metric, and no other', async () => {
  const document = read('docs/operations.md');
  const section = document.slice(document.indexOf('\n## Metrics'), document.indexOf('\n## Programs'));
  const rows = section.split('\n').filter((line) => line.startsWith('| `'));
  const listed = rows.flatMap((row) => mentionedIn(row.split('|')[1] ?? ''));
  expect(listed.toSorted()).toEqual((await names()).toSorted());
});

test.each([DASHBOARD, ALERTS])('%s uses metrics that there are', async (path) => {
  const known = await sampleNames();
  const used = mentionedIn(read(path));
  expect(used.length).toBeGreaterThan(8);
  expect(used.filter((name) => !known.has(name))).toEqual([]);
});

test('each panel of the dashboard has a place of its own, a unit and a query of the data source that is chosen', () => {
  const { panels, templating } = JSON.parse(read(DASHBOARD)) as {
    panels: {
      id: number;
      type: string;
      gridPos: { x: number; y: number; w: number; h: number };
      datasource?: { uid: string };
      fieldConfig?: { defaults: { unit?: string } };
      targets?: { expr: string }[];
    }[];
    templating: { list: { name: string }[] };
  };
  const variables = new Set(['__rate_interval', ...templating.list.map(({ name }) => name)]);
  expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
  const cells = panels.flatMap(({ gridPos: { x, y, w, h } }) =>
    Array.from({ length: w * h }, (_, at) => `${x + (at % w)} ${y + Math.floor(at / w)}`),
  );
  expect(new Set(cells).size).toBe(cells.length);
  for (const { type, datasource, fieldConfig, targets = [] } of panels) {
    if (type === 'row') continue;
    expect(datasource?.uid).toBe(['$', '{datasource}'].join(''));
    expect(fieldConfig?.defaults.unit).toBeTruthy();
    for (const { expr } of targets) {
      const used = Array.from(expr.matchAll(/\$(\w+)/g), ([, name = '']) => name);
      expect(used.filter((name) => !variables.has(name))).toEqual([]);
    }
  }
});

test.skipIf(!HAS_PROMTOOL)('promtool accepts the alert rules, and they fire when they shall', () => {
  expect(promtool(['check', 'rules', ALERTS])).toBe('');
  expect(promtool(['test', 'rules', 'deploy/prometheus/alerts.test.yml'])).toBe('');
});
