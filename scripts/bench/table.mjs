// The report as Markdown: for each scenario the medians of all variants and the ratios of popfleet to them, then goals.

import { SCENARIOS } from './scenarios.mjs';
import { median } from './stats.mjs';

export function renderReport(report, baseline) {
  const measured = SCENARIOS.map((scenario) => ({
    scenario,
    results: report.scenarios.find(({ name }) => name === scenario.name),
  })).filter(({ results }) => results);
  const parts = measured.map(({ scenario, results }) => renderScenario(scenario, results));
  parts.push(renderGoals(measured, report.mode, baseline));
  if (report.skipped.length > 0) parts.push(report.skipped.map((line) => `- ${line}`).join('\n'));
  if (report.failures.length > 0) {
    parts.push(['**Failures**', '', ...report.failures.map((line) => `- ${line}`)].join('\n'));
  }
  return parts.join('\n\n');
}

function renderScenario(scenario, { variants, size }) {
  const own = medians(variants.find(({ name }) => name === 'popfleet'));
  const compares = variants.length > 1;
  const head = scenario.metrics.flatMap((metric) =>
    compares && metric.better ? [metric.title, 'popfleet / this'] : [metric.title],
  );
  const rows = variants.map((variant) => {
    const theirs = medians(variant);
    const cells = scenario.metrics.flatMap(({ key, better }) => {
      const ratio = variant.name === 'popfleet' ? '' : ratioText(own[key], theirs[key]);
      return compares && better ? [spread(variant, key), ratio] : [spread(variant, key)];
    });
    return [variant.title, ...cells];
  });
  const facts = Object.entries(size).map(([name, value]) => `${name} ${value.toLocaleString('en')}`);
  const note = `(${facts.join(', ')}; median, in brackets the least and the most of the rounds)`;
  return [`#### ${scenario.name}: ${scenario.title}`, '', markdownTable(['', ...head], rows), '', note].join(
    '\n',
  );
}

/** Median of each number over the rounds. */
function medians(variant) {
  const rounds = variant?.rounds ?? [];
  const keys = Object.keys(rounds[0] ?? {});
  return Object.fromEntries(keys.map((key) => [key, median(rounds.map((values) => values[key]))]));
}

function spread({ rounds }, key) {
  const values = rounds.map((one) => one[key]).filter((value) => value !== undefined);
  if (values.length === 0) return '';
  const middle = number(median(values));
  return values.length === 1
    ? middle
    : `${middle} (${number(Math.min(...values))}–${number(Math.max(...values))})`;
}

function ratioText(own, other) {
  return own === undefined || other === undefined || other === 0 ? '' : (own / other).toFixed(2);
}

/** Three digits that mean something, whatever the size. */
function number(value) {
  if (value >= 1_000) return Math.round(value).toLocaleString('en');
  return String(Number(value.toPrecision(3)));
}

function renderGoals(measured, { latencyMs }, baseline) {
  const goalsOf = ({ goals, latencyGoals = goals }) => (latencyMs > 0 ? latencyGoals : goals);
  const rows = measured.flatMap(({ scenario, results }) =>
    goalsOf(scenario).map((goal) => {
      const value = goalValue(goal, results);
      const before = goalValue(
        goal,
        baseline?.scenarios.find(({ name }) => name === scenario.name),
      );
      const row = [
        scenario.name,
        sentence(scenario, goal),
        value === undefined ? 'not measured' : value.toFixed(3),
        reached(goal, value),
      ];
      if (baseline) row.push(before === undefined ? '' : before.toFixed(3), asGood(goal, value, before));
      return row;
    }),
  );
  const head = ['scenario', 'goal', 'measured', 'reached'];
  return ['#### Goals', '', markdownTable(baseline ? [...head, 'baseline', 'as good'] : head, rows)].join(
    '\n',
  );
}

function goalValue({ of: who = 'popfleet', metric, against }, results) {
  const find = (name) => medians(results?.variants.find((variant) => variant.name === name))[metric];
  const own = find(who);
  if (against === undefined) return own;
  const other = find(against);
  return own === undefined || other === undefined ? undefined : own / other;
}

function sentence(scenario, { of: who, metric, against, atLeast, atMost }) {
  const { title } = scenario.metrics.find(({ key }) => key === metric);
  const bound = atLeast === undefined ? `≤ ${atMost}` : `≥ ${atLeast}`;
  return `${who ? `${who}: ` : ''}${title} ${bound}${against ? ` × ${against}` : ''}`;
}

function reached({ atLeast, atMost }, value) {
  if (value === undefined) return '';
  return value >= (atLeast ?? -Infinity) && value <= (atMost ?? Infinity) ? 'yes' : 'no';
}

/** A twentieth is what two runs of one thing differ by. */
const NOISE = 0.05;

function asGood({ atLeast }, value, before) {
  if (value === undefined || before === undefined) return '';
  const better = atLeast === undefined ? before / value : value / before;
  return better >= 1 - NOISE ? 'yes' : 'no';
}

export function markdownTable(head, rows) {
  const line = (cells) => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map((_, column) => (column === 0 ? '---' : '---:'))), ...rows.map(line)].join(
    '\n',
  );
}
