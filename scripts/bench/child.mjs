// One variant of one scenario in a fresh process: `node child.mjs '{"variant":…,"scenario":…}'` prints one JSON line.

import { Redis } from 'ioredis';

const { variant, scenario, redis, ...bench } = JSON.parse(process.argv[2]);
const { scenarios } = await import(`./variants/${variant}.mjs`);
// Looks at Redis without the latency, so that looking costs every variant the same.
const observer = new Redis(redis.directPort, '127.0.0.1');
const result = await scenarios[scenario]({ ...bench, redis, observer, warmUp: Math.ceil(bench.n / 10) });
for (const [name, value] of Object.entries(result)) {
  if (!Number.isFinite(value)) throw new Error(`${name} is ${value}`);
}
process.stdout.write(`${JSON.stringify(result)}\n`, () => process.exit(0));
