// One variant of a scenario in a fresh process: `node child.mjs '{"variant":…,"scenarios":[…]}'` prints one JSON line: of each
// scenario (a smoke run names several) what was measured.

import { Redis } from 'ioredis';

const { variant, scenarios: wanted, redis, ...shared } = JSON.parse(process.argv[2]);
const { scenarios } = await import(`./variants/${variant}.mjs`);
// Looks at Redis without the latency, so that looking costs every variant the same.
const observer = new Redis(redis.directPort, '127.0.0.1');
const results = {};
for (const { name, ...size } of wanted) {
  const bench = { ...shared, ...size, redis, observer, warmUp: Math.ceil(size.n / 10) };
  results[name] = await scenarios[name](bench);
  for (const [key, value] of Object.entries(results[name])) {
    if (!Number.isFinite(value)) throw new Error(`${name}: ${key} is ${value}`);
  }
}
process.stdout.write(`${JSON.stringify(results)}\n`, () => process.exit(0));
