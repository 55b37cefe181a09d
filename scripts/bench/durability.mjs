// node scripts/bench/durability.mjs [seconds]: what each level of `durability` costs those who send tasks, with one sender and with many
// at once; a primary and a replica of its own on this machine, and the build in dist/.

import { Redis } from 'ioredis';
import { defineTask, openPopfleet } from '../../dist/index.js';
import { startRedis } from './redis.mjs';
import { percentile } from './stats.mjs';
import { markdownTable } from './table.mjs';

const SECONDS = Number(process.argv[2] ?? 5);
const SENDERS = [1, 64];
const anything = { '~standard': { version: 1, vendor: 'bench', validate: (value) => ({ value }) } };
const task = defineTask({ type: 'durable', input: anything, run: () => 1 });

/** @returns tasks a second, and milliseconds until the answer */
async function measure(popfleet, durability, senders) {
  const waits = [];
  const others = new Set();
  const until = performance.now() + SECONDS * 1_000;
  async function send() {
    while (performance.now() < until) {
      const begunAt = performance.now();
      const sent = await popfleet.enqueue(task, { one: 1 }, durability && { durability });
      waits.push(performance.now() - begunAt);
      if (durability && sent.durability !== durability) others.add(sent.durability);
    }
  }
  await Promise.all(Array.from({ length: senders }, send));
  const reached = others.size > 0 ? ` (reached also: ${[...others].join(', ')})` : '';
  return [Math.round(waits.length / SECONDS), percentile(waits, 0.5), percentile(waits, 0.99), reached];
}

const servers = [await startRedis({ aof: true }), await startRedis({ aof: false })];
const [primary, replica] = servers.map(({ port }) => new Redis(port, '127.0.0.1'));
let popfleet;
try {
  await primary.config('SET', 'repl-diskless-sync-delay', '0');
  await replica.call('REPLICAOF', '127.0.0.1', String(servers[0].port));
  while (!(await primary.info('replication')).includes('state=online')) await primary.ping();
  popfleet = await openPopfleet({ redisUrl: `redis://127.0.0.1:${servers[0].port}`, tasks: [task] });
  const knows = (await primary.call('COMMAND', 'INFO', 'WAITAOF'))[0] !== null;
  const cases = [
    [undefined, 'everysec'],
    ['replicas', 'everysec'],
    ...(knows ? [['disk', 'everysec']] : []),
    [undefined, 'always'],
    ['disk', 'always'],
  ];
  const rows = [];
  for (const [durability, appendfsync] of cases) {
    await primary.config('SET', 'appendfsync', appendfsync);
    for (const senders of SENDERS) {
      await primary.del('pf:{default}:ready:normal');
      const [rate, p50, p99, reached] = await measure(popfleet, durability, senders);
      rows.push([
        `${durability ?? 'memory'}${reached}`,
        appendfsync,
        senders,
        rate,
        p50.toFixed(2),
        p99.toFixed(2),
      ]);
    }
  }
  const heads = ['`durability`', '`appendfsync`', 'senders', 'tasks/s', 'p50 ms', 'p99 ms'];
  console.log(`Redis ${servers[0].version}, ${SECONDS} s each\n\n${markdownTable(heads, rows)}`);
} finally {
  popfleet?.close();
  for (const client of [primary, replica]) client.disconnect();
  for (const server of servers) await server.stop();
}
