// node scripts/bench/instructions.mjs [--beside <folder>]: instructions that Redis needs for calls of the store, in this build and
// beside another one, counted by callgrind (Debian package valgrind). They are the same however busy the machine is: two runs differ by 1 %.

import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { Redis } from 'ioredis';
import { openBuild } from './build-calls.mjs';
import { freePort, ROOT, start, temporaryFolder } from './processes.mjs';
import { REDIS_SERVER } from './redis.mjs';
import { markdownTable } from './table.mjs';

const { values } = parseArgs({ options: { beside: { type: 'string' } } });
/** Tasks a call, and calls that are counted. */
const SIZES = [
  [1, 300],
  [50, 20],
];
/** Calls before them: Redis has read the scripts then. */
const WARM_UP = 5;

/** Instructions a call, by step and size. */
async function count(root) {
  const dir = temporaryFolder();
  const port = await freePort();
  const callgrind = ['--tool=callgrind', '--instr-atstart=no', `--callgrind-out-file=${dir}/out`];
  const settings = ['--port', String(port), '--save', '', '--appendonly', 'no', '--dir', dir];
  const child = start('valgrind', [...callgrind, REDIS_SERVER, ...settings]);
  const redis = new Redis(port, '127.0.0.1', { retryStrategy: () => 200, maxRetriesPerRequest: null });
  redis.on('error', () => undefined);
  await redis.ping();
  const control = (...words) =>
    execFileSync('callgrind_control', [...words, String(child.pid)], { stdio: 'ignore' });
  const build = await openBuild(root, port, 'one', 0);
  const counts = {};
  const measure = async (name, calls, run) => {
    const before = new Set(readdirSync(dir));
    control('-z');
    control('-i', 'on');
    await run();
    control('-i', 'off');
    control('-d');
    for (;;) {
      const file = readdirSync(dir).find((one) => !before.has(one) && one.startsWith('out.'));
      const total = file && /^totals: (\d+)$/m.exec(readFileSync(`${dir}/${file}`, 'utf8'));
      if (total) return void (counts[name] = Number(total[1]) / calls);
      await sleep(50);
    }
  };
  for (const [size, calls] of SIZES) {
    for (let turn = 0; turn < WARM_UP; turn += 1) {
      await build.enqueue(size);
      await build.finish(await build.claim(size));
    }
    const claimed = [];
    const times = async (step) => {
      for (let call = 0; call < calls; call += 1) await step(call);
    };
    await measure(`enqueue ${size}`, calls, () => times(() => build.enqueue(size)));
    await measure(`claim ${size}`, calls, () => times(async () => claimed.push(await build.claim(size))));
    await measure(`finish ${size}`, calls, () => times((call) => build.finish(claimed[call])));
  }
  build.close();
  redis.disconnect();
  child.kill('SIGKILL');
  return counts;
}

const own = await count(ROOT);
const base = values.beside && (await count(values.beside));
const thousands = (number) => String(Math.round(number / 1_000));
const title = 'thousand instructions a call of so many tasks';
const names = Object.keys(own);
const table = base
  ? markdownTable(
      [title, 'beside', 'this build', 'ratio'],
      names.map((name) => [
        name,
        thousands(base[name]),
        thousands(own[name]),
        (own[name] / base[name]).toFixed(2),
      ]),
    )
  : markdownTable(
      [title, 'this build'],
      names.map((name) => [name, thousands(own[name])]),
    );
console.log(table);
process.exit(0);
