// How metrics are written.

import { expect, test } from 'vitest';
import { type Family, mergeFamilies, writeFamilies } from '../../src/metrics/family.ts';
import { createCounters, createHistograms } from '../../src/metrics/histogram.ts';
import { lintMetrics, readMetrics } from '../support/promlint.ts';

const counter: Family = {
  name: 'popfleet_tasks',
  type: 'counter',
  help: 'Tasks in C:\\temp\nor not',
  samples: [{ labels: [['queue', 'a"b\\c\nd']], value: 3 }],
};

test('the text format, in which the ending of a counter belongs to its name', () => {
  expect(writeFamilies([counter], 'text/plain')).toBe(
    [
      '# HELP popfleet_tasks_total Tasks in C:\\\\temp\\nor not.',
      '# TYPE popfleet_tasks_total counter',
      'popfleet_tasks_total{queue="a\\"b\\\\c\\nd"} 3',
      '',
    ].join('\n'),
  );
});

test('OpenMetrics, in which it belongs to the sample', () => {
  expect(writeFamilies([counter], 'application/openmetrics-text').split('\n')).toEqual([
    '# HELP popfleet_tasks Tasks in C:\\\\temp\\nor not.',
    '# TYPE popfleet_tasks counter',
    'popfleet_tasks_total{queue="a\\"b\\\\c\\nd"} 3',
    '# EOF',
    '',
  ]);
});

test('a histogram counts each bucket with those below it', () => {
  const times = createHistograms('popfleet_test_seconds', 'Times', ['type'], [0.5, 1, 2.5]);
  for (const seconds of [0, 0.5, 0.500_1, 2, 7]) times.observe(seconds, 'add');
  const samples = times
    .collect()
    .samples.map(({ suffix, labels, value }) => [suffix, labels.at(-1)?.[1], value]);
  expect(samples).toEqual([
    ['_bucket', '0.5', 2],
    ['_bucket', '1.0', 3],
    ['_bucket', '2.5', 4],
    ['_bucket', '+Inf', 5],
    ['_sum', 'add', 0 + 0.5 + 0.500_1 + 2 + 7],
    ['_count', 'add', 5],
  ]);
  expect(lintMetrics(writeFamilies([times.collect()], 'text/plain'))).toEqual([]);
});

test('families of one name become one, and those without samples are left out', () => {
  const runs = createCounters('popfleet_runs', 'Runs', ['type', 'outcome']);
  expect(writeFamilies([runs.collect()], 'text/plain')).toBe('\n');
  runs.add(1, 'add', 'succeeded');
  runs.add(2, 'add', 'succeeded');
  const other = createCounters('popfleet_runs', 'Runs', ['type', 'outcome']);
  other.add(1, 'add', 'dead');
  const text = writeFamilies(mergeFamilies([runs.collect(), counter, other.collect()]), 'text/plain');
  expect(
    readMetrics(text)
      .get('popfleet_runs_total')
      ?.samples.map(({ value }) => value),
  ).toEqual([3, 1]);
});

test('the rules find what promtool would', () => {
  const lines = (name: string, type: string, label = ''): string =>
    `# HELP ${name} Help.\n# TYPE ${name} ${type}\n${name}${label} 1\n`;
  for (const bad of [
    lines('popfleet_runs', 'counter'),
    lines('popfleet_runs_total', 'gauge'),
    lines('popfleet_wait_ms', 'gauge'),
    lines('popfleet_wait_milliseconds', 'gauge'),
    lines('popfleet_wait_count', 'gauge'),
    lines('popfleet_wait_gauge', 'gauge'),
    lines('popfleet_waitTime', 'gauge'),
    lines('popfleet_wait_seconds', 'gauge', '{le="1"}'),
    lines('popfleet_wait_seconds', 'gauge', '{quantile="1"}'),
  ])
    expect(lintMetrics(bad), bad).toHaveLength(1);
  expect(() => readMetrics(`${lines('a', 'gauge')}a 1\n`)).toThrow('twice');
  expect(() => readMetrics(`${lines('a', 'gauge')}b 1\n`)).toThrow('not of its family');
  expect(() => readMetrics('a{b=c} 1')).toThrow('no sample');
});
