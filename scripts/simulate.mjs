// node scripts/simulate.mjs: from what tasks cost Redis on this machine to fleets that it cannot run: how many primaries, connections and
// bytes they take, and what breaks first. docs/benchmarks.md says how far to believe it.
//   --measure          measures the costs anew (some seconds), and writes them to --costs
//   --costs FILE       costs of an earlier measurement (.popfleet/costs.json)
//   --rate N --run S   another fleet than the two of the report: N tasks a second, each of which runs S seconds
//   --check            holds the prediction for 1, 2 and 3 primaries against a measurement

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { parseArgs } from 'node:util';
import { checkPrediction, measureCosts } from './simulate/measure.mjs';
import { BATCHES, costOfTask, planOf, waitsAt } from './simulate/model.mjs';
import { markdownTable } from './bench/table.mjs';

const { values } = parseArgs({
  options: {
    measure: { type: 'boolean', default: false },
    check: { type: 'boolean', default: false },
    costs: { type: 'string', default: '.popfleet/costs.json' },
    rate: { type: 'string' },
    run: { type: 'string', default: '0.07' },
    threads: { type: 'string', default: '8' },
    ttl: { type: 'string', default: '60' },
    tasks: { type: 'string', default: '30000' },
  },
});
const FLEETS = values.rate
  ? [{ name: 'this fleet', rate: Number(values.rate), runSeconds: Number(values.run) }]
  : [
      { name: '1,000,000 tasks/s of 70 ms', rate: 1e6, runSeconds: 0.07 },
      { name: '100,000 workers with tasks of 20 s', rate: 1e5 / 20, runSeconds: 20 },
    ];
const number = (value, digits = 0) =>
  value.toLocaleString('en-US', { maximumFractionDigits: digits, minimumFractionDigits: digits });

function readCosts() {
  try {
    return JSON.parse(readFileSync(values.costs, 'utf8'));
  } catch {
    process.stderr.write(`There are no costs in ${values.costs}: measure them with --measure.\n`);
    return process.exit(1);
  }
}

async function costsHere() {
  if (!values.measure) return readCosts();
  const costs = await measureCosts();
  mkdirSync(dirname(values.costs), { recursive: true });
  writeFileSync(values.costs, `${JSON.stringify(costs, undefined, 2)}\n`);
  return costs;
}

const costs = await costsHere();
console.log(`Costs of ${costs.machine}, Redis ${costs.redis} (µs of its main thread)\n`);
console.log(
  markdownTable(
    ['tasks a call', ...BATCHES],
    [
      ['µs a task in all', ...BATCHES.map((batch) => number(costOfTask(costs, batch), 1))],
      ['tasks/s of a primary at 60 %', ...BATCHES.map((batch) => number(0.6e6 / costOfTask(costs, batch)))],
    ],
  ),
);
console.log('\n*Simulated*: what a call of a single task waits for its primary (ms), by how busy that is\n');
const shares = [0.2, 0.5, 0.6, 0.8, 0.95];
const waits = shares.map((share) => waitsAt(costs, share));
console.log(
  markdownTable(
    ['', ...shares.map((share) => `${share * 100} %`)],
    [
      ['p50', ...waits.map(({ p50 }) => number(p50, 3))],
      ['p99', ...waits.map(({ p99 }) => number(p99, 3))],
    ],
  ),
);
const threads = Number(values.threads);
for (const fleet of FLEETS) {
  console.log(
    `\n## ${fleet.name}, ${threads} threads a worker process, results kept for ${values.ttl} s (*extrapolated*)\n`,
  );
  const plans = BATCHES.map((batch) =>
    planOf(costs, { ...fleet, batch, threads, ttlSeconds: Number(values.ttl) }),
  );
  const row = (name, of) => [name, ...plans.map(of)];
  console.log(
    markdownTable(
      ['tasks a call', ...BATCHES],
      [
        row('primaries at 60 %, and queues at least', ({ primaries }) => number(primaries)),
        row('worker processes', ({ processes }) => number(processes)),
        row('share of beats in their work', ({ beatShare }) => `${number(beatShare * 100, 1)} %`),
        row('connections a primary, all workers at all', ({ connections }) => number(connections)),
        row('the same, each worker at two', ({ connectionsOfTwo }) => number(connectionsOfTwo)),
        row('GB a primary', ({ gigabytes }) => number(gigabytes, 1)),
        row('breaks first', ({ breaksFirst }) => breaksFirst),
      ],
    ),
  );
}
if (values.check) {
  console.log('\n## The prediction held against a measurement\n');
  const rows = await checkPrediction(costs, Number(values.tasks));
  console.log(
    markdownTable(
      ['primaries', 'predicted µs of the busiest, a task of all', 'measured', 'measured / predicted'],
      rows.map(({ primaries, predicted, measured }) => [
        primaries,
        number(predicted, 2),
        number(measured, 2),
        number(measured / predicted, 2),
      ]),
    ),
  );
}
