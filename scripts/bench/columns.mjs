// node scripts/bench/columns.mjs: a column of tasks as one hash beside a ring of parts by the time in the id. Memory, cost of a
// batch, longest call, removal, and the largest hash. docs/decisions/0023 has what came out.

import { parseArgs } from 'node:util';
import { usedMemory } from './command-stats.mjs';
import { machine } from './machine.mjs';
import {
  batchesOf,
  columnKey,
  costInTurn,
  LARGE_COLUMNS,
  longestOf,
  makeIds,
  partByRandom,
  partByTime,
  sendAll,
  withStore,
} from './columns-store.mjs';
import { meanOf, median } from './stats.mjs';
import { markdownTable } from './table.mjs';

const HELP = `node scripts/bench/columns.mjs [--smoke] [options]
  --smoke         small numbers, one round: does it still run?
  --rounds N      rounds of the cost a task (5)
  --tasks N       tasks of such a round (100000)
  --deep N        tasks of the growth (1000000)
  --growths N     runs of the growth (2)
  --only a,b      of cost, keys, memory, growth, removal, largest`;

const BATCH = 50;
const SWEEP_SLICE = 100;
const STEPS = ['accept', 'claim', 'finish', 'remove'];

const ONE = { name: 'one hash', parts: 1 };
const RINGS = [4, 16, 64].map((parts) => ({ name: `${parts} parts`, parts }));
const SIXTEEN = RINGS[1];
const COST_LAYOUTS = [
  ONE,
  { name: 'one hash, 48 more keys declared', parts: 1, idle: 48 },
  ...RINGS,
  { name: '16 parts, each batch in all of them', parts: 16, mixed: true },
];

/** In turn there and back, so that a machine that gets busy favours none. */
async function alternate(rounds, layouts, measure) {
  const results = new Map(layouts.map((layout) => [layout, []]));
  for (let round = 0; round < rounds; round += 1) {
    const order = round % 2 === 0 ? layouts : layouts.toReversed();
    for (const layout of order) results.get(layout).push(await measure(layout));
  }
  return results;
}

const section = (title, head, rows) => console.log(`\n#### ${title}\n\n${markdownTable(head, rows)}`);
const short = (value) => String(Number(value.toPrecision(3)));
const spread = (values) =>
  `${short(median(values))} (${short(Math.min(...values))}–${short(Math.max(...values))})`;

/** Values of all chunks of all rounds, and for each round the median of the ratios of its chunks to the base. */
function beside(own, base) {
  const value = short(median(own.flat()));
  if (own === base) return value;
  const ratios = own.map((chunks, round) => median(chunks.map((us, at) => us / base[round][at])));
  const { mean, from, to } = meanOf(ratios);
  const interval = from === undefined ? '' : ` (${from.toFixed(2)}–${to.toFixed(2)})`;
  return `${value}: ${mean.toFixed(2)}${interval}`;
}

/** A table with a row for each layout; a column is a title and what it shows of the costs of one chunk. */
function costTable(title, layouts, results, columns) {
  const values = (index, show) => results.map((costs) => costs[index].map(show));
  const bases = columns.map(([, show]) => values(0, show));
  section(
    title,
    ['', ...columns.map(([name]) => name)],
    layouts.map(({ name }, index) => [
      name,
      ...columns.map(([, show], at) => beside(index === 0 ? bases[at] : values(index, show), bases[at])),
    ]),
  );
}

async function compareCost({ rounds, tasks }) {
  const results = [];
  for (let round = 0; round < rounds; round += 1) {
    const passes = [['accept', 'claim', 'finish'], ['remove']];
    results.push(await costInTurn(COST_LAYOUTS, passes, { tasks: tasks / 2, batch: BATCH, chunk: 50 }));
  }
  for (const [kind, title] of [
    ['scriptUs', 'time in scripts'],
    ['cpuUs', "processor time of Redis' main thread"],
  ]) {
    const each = STEPS.map((step) => [step, (cost) => cost[step][kind] / BATCH]);
    const all = ['all four', (cost) => STEPS.reduce((us, step) => us + cost[step][kind] / BATCH, 0)];
    costTable(`µs a task in batches of ${BATCH}: ${title}`, COST_LAYOUTS, results, [...each, all]);
  }
}

/** The price of declaring, on calls that do little else: one task each. */
async function compareKeys({ rounds, tasks }) {
  const layouts = [0, 12, 48, 192].map((idle) => ({ name: `${idle} more`, parts: 1, idle }));
  const results = [];
  for (let round = 0; round < rounds; round += 1) {
    results.push(await costInTurn(layouts, [['accept']], { tasks: tasks / 10, batch: 1, chunk: 500 }));
  }
  costTable('keys declared: µs a call that accepts one task', layouts, results, [
    ['in scripts', ({ accept }) => accept.scriptUs],
    ["Redis' main thread, processor", ({ accept }) => accept.cpuUs],
    ['client, processor', ({ accept }) => accept.clientUs],
  ]);
}

/** From nothing to many tasks and back, a call at a time. The control writes as much to hashes that do not grow. */
async function compareGrowth({ deep, growths }) {
  const control = { name: 'control: no hash grows', parts: 1, isControl: true };
  const layouts = [ONE, SIXTEEN, control];
  const results = await alternate(growths, layouts, (layout) =>
    withStore(layout, async (store) => {
      const all = batchesOf(makeIds(deep, layout), BATCH);
      const batches = layout.isControl ? all.map(() => all[0]) : all;
      const grow = await longestOf(store, batches, store.fill);
      return { grow, shrink: await longestOf(store, batches, store.remove) };
    }),
  );
  const ways = ['grow', 'shrink'];
  const kinds = ['usualMs', 'cpuMs', 'slowLogMs'];
  section(
    `longest call of ${BATCH} tasks in ms, from none to ${deep.toLocaleString('en')} tasks and back`,
    ['', ...ways.flatMap((way) => [`${way}: median`, 'longest, processor', 'longest, slow log'])],
    layouts.map((layout) => {
      const show = (way, kind) => spread(results.get(layout).map((run) => run[way][kind]));
      return [layout.name].concat(ways.flatMap((way) => kinds.map((kind) => show(way, kind))));
    }),
  );
  const places = results.get(ONE).map(({ grow, shrink }) => `${short(grow.at)} and ${short(1 - shrink.at)}`);
  console.log(`\n(One hash: longest when this share of the tasks was there: ${places.join('; ')})`);
}

async function compareMemory({ tasks, deep }) {
  const rows = [];
  for (const layout of [ONE, ...RINGS]) {
    const bytes = [await bytesOf(layout, tasks), await bytesOf(layout, deep)];
    rows.push([layout.name, ...bytes.map(short)]);
  }
  const head = ['', ...[tasks, deep].map((number) => `${number.toLocaleString('en')} tasks`)];
  section('bytes of Redis a finished task', head, rows);
}

async function bytesOf(layout, number) {
  return withStore(layout, async (store) => {
    const before = await usedMemory(store.redis);
    await sendAll(store, batchesOf(makeIds(number, layout), BATCH), store.fill);
    return ((await usedMemory(store.redis)) - before) / number;
  });
}

/** The tasks are all of one part, so that it can go as a whole. */
async function compareRemoval({ tasks, growths }) {
  const keys = LARGE_COLUMNS.map((column) => columnKey(column, 0));
  const fields = { name: 'HDEL of every value', step: 'remove' };
  const whole = { name: 'the parts stay until UNLINK', step: 'forget' };
  const results = await alternate(growths, [fields, whole], ({ step }) =>
    withStore(ONE, async (store) => {
      const ids = makeIds(tasks, ONE);
      await sendAll(store, batchesOf(ids, BATCH), store.fill);
      const slices = await longestOf(store, batchesOf(ids, SWEEP_SLICE), store[step]);
      const unlink = await longestOf(store, [keys], (names) => ['unlink', ...names]);
      return { totalMs: slices.totalMs, cpuMs: slices.cpuMs, unlinkMs: unlink.cpuMs };
    }),
  );
  section(
    `removal of ${tasks.toLocaleString('en')} tasks in slices of ${SWEEP_SLICE}: ms of Redis' main thread`,
    ['', 'all slices', 'longest slice', 'UNLINK of the three parts'],
    [fields, whole].map((way) => {
      const show = (kind) => spread(results.get(way).map((run) => run[kind]));
      return [way.name, show('totalMs'), show('cpuMs'), way === whole ? show('unlinkMs') : ''];
    }),
  );
}

/** The contents alone, without scripts: which hash gets how much. */
async function compareLargest({ tasks }) {
  const number = Math.ceil(tasks / 10);
  const content = 'x'.repeat(10_000);
  const evenly = makeIds(number, SIXTEEN);
  const soon = makeIds(number, ONE);
  const ways = [
    ['one hash', soon, () => 0],
    ['16 parts by time, sent over all periods', evenly, (id) => partByTime(id, 16)],
    ['16 parts by time, sent within one period', soon, (id) => partByTime(id, 16)],
    ['16 parts by random digits of the id', soon, (id) => partByRandom(id, 16)],
  ];
  const rows = [];
  for (const [name, ids, partOf] of ways) rows.push([name, short(await largest(ids, content, partOf))]);
  section(`largest hash of ${number.toLocaleString('en')} tasks of 10 KB, in MB`, ['', 'MB'], rows);
}

async function largest(ids, content, partOf) {
  return withStore(SIXTEEN, async (store) => {
    const hset = (some) => ['hset', columnKey('contents', partOf(some[0])), some[0], content];
    await sendAll(store, batchesOf(ids, 1), hset);
    let most = 0;
    for (let part = 0; part < 16; part += 1) {
      const usage = await store.redis.memory('USAGE', columnKey('contents', part), 'SAMPLES', 0);
      most = Math.max(most, usage ?? 0);
    }
    return most / 1e6;
  });
}

function readOptions(args) {
  const { values } = parseArgs({
    args,
    options: {
      smoke: { type: 'boolean', default: false },
      rounds: { type: 'string' },
      tasks: { type: 'string' },
      deep: { type: 'string' },
      growths: { type: 'string' },
      only: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  const [rounds, tasks, deep, growths] = values.smoke ? [1, 1_000, 2_000, 1] : [5, 100_000, 1_000_000, 2];
  return {
    help: values.help,
    rounds: Number(values.rounds ?? rounds),
    tasks: Number(values.tasks ?? tasks),
    deep: Number(values.deep ?? deep),
    growths: Number(values.growths ?? growths),
    only: values.only?.split(','),
  };
}

const PARTS_OF_RUN = {
  cost: compareCost,
  keys: compareKeys,
  memory: compareMemory,
  growth: compareGrowth,
  removal: compareRemoval,
  largest: compareLargest,
};

// By themselves signals end a process without what it has planned for its end: to take everything down with it.
process.once('SIGINT', () => process.exit(130)).once('SIGTERM', () => process.exit(143));

const options = readOptions(process.argv.slice(2));
if (options.help) {
  console.log(HELP);
} else {
  const { cpu, cores, system, node } = machine();
  console.log(`${cpu}, ${cores} cores, ${system}, Node ${node}`);
  for (const [name, run] of Object.entries(PARTS_OF_RUN)) {
    if (!options.only || options.only.includes(name)) await run(options);
  }
}
