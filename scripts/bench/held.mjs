// node scripts/bench/held.mjs: what it costs Redis to keep which tasks each worker holds, in three layouts.
// docs/decisions/0025 has what came out.

import { Redis } from 'ioredis';
import { randomUUID } from 'node:crypto';
import { startRedis } from './redis.mjs';
import { median } from './stats.mjs';
import { markdownTable } from './table.mjs';

const ROUNDS = 30;
const CALLS = 200;
const WORKERS = 20;
const HELD_EACH = 100;

/** Each takes hold of the tasks, and lets them go. ARGV: worker, ids. */
const LAYOUTS = {
  'a set of ids, and a count a worker': `
    redis.call('SADD', KEYS[1], unpack(ids))
    redis.call('HINCRBY', KEYS[2], worker, #ids)
    redis.call('SREM', KEYS[1], unpack(ids))
    redis.call('HINCRBY', KEYS[2], worker, -#ids)`,
  'a sorted set of `<worker> <id>`': `
    local added, removed = {}, {}
    for at = 1, #ids do
      removed[at] = worker .. ' ' .. ids[at]
      added[2 * at - 1], added[2 * at] = 0, removed[at]
    end
    redis.call('ZADD', KEYS[1], unpack(added))
    redis.call('ZREM', KEYS[1], unpack(removed))`,
  'a hash from id to worker, and a count a worker': `
    local added = {}
    for at = 1, #ids do added[2 * at - 1], added[2 * at] = ids[at], worker end
    redis.call('HSET', KEYS[1], unpack(added))
    redis.call('HINCRBY', KEYS[2], worker, #ids)
    redis.call('HDEL', KEYS[1], unpack(ids))
    redis.call('HINCRBY', KEYS[2], worker, -#ids)`,
};

const server = await startRedis({ aof: false });
const redis = new Redis(server.port, '127.0.0.1');
const workers = Array.from({ length: WORKERS }, (_, at) => `worker.example-${1_000 + at}-0a1b2c3d`);
const script = (lua) =>
  `local worker, ids = ARGV[1], {}\nfor at = 2, #ARGV do ids[at - 1] = ARGV[at] end\n${lua}`;
/** Other workers hold tasks meanwhile. */
const fill = (lua) => script(lua.replace(/\n[^\n]*(?:SREM|ZREM|HDEL)[\s\S]*$/, ''));

async function microsecondsOf(digest, layout, ids) {
  await redis.config('RESETSTAT');
  for (let call = 0; call < CALLS; call += 1) {
    await redis.evalsha(digest, 2, `held ${layout}`, `counts ${layout}`, workers[call % WORKERS], ...ids);
  }
  const [, us] = /cmdstat_evalsha:calls=\d+,usec=(\d+)/.exec(await redis.info('commandstats'));
  return Number(us) / CALLS / ids.length;
}

try {
  const digests = {};
  for (const [name, lua] of Object.entries(LAYOUTS)) {
    digests[name] = await redis.script('LOAD', script(lua));
    for (const worker of workers) {
      const ids = Array.from({ length: HELD_EACH }, randomUUID);
      await redis.eval(fill(lua), 2, `held ${name}`, `counts ${name}`, worker, ...ids);
    }
  }
  const rows = Object.keys(LAYOUTS).map((name) => ({ name, 1: [], 50: [] }));
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const row of round % 2 === 0 ? rows : rows.toReversed()) {
      for (const size of [1, 50]) {
        const ids = Array.from({ length: size }, randomUUID);
        row[size].push(await microsecondsOf(digests[row.name], row.name, ids));
      }
    }
  }
  console.log(
    markdownTable(
      ['µs a task to take hold and let go', 'one a call', '50 a call'],
      rows.map((row) => [row.name, median(row[1]).toFixed(1), median(row[50]).toFixed(2)]),
    ),
  );
} finally {
  redis.disconnect();
  await server.stop();
}
