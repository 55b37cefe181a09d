// A store of tasks whose large columns are one hash each, or a ring of parts by the time in the id; its Redis is its own.

import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { Redis } from 'ioredis';
import { scriptStats } from './command-stats.mjs';
import { startRedis } from './redis.mjs';
import { median } from './stats.mjs';

const LUA = readFileSync(new URL('./fixtures/columns.lua', import.meta.url), 'utf8');
const PREFIX = 'pf:{bench}';
export const LARGE_COLUMNS = ['contents', 'headers', 'results'];

/** Milliseconds of one part: the 24 bits of a time that fixtures/columns.lua leaves out. */
const PERIOD_MS = 2 ** 24;
/** Some time of 2026, where a period begins whose part is the first of a ring of 64. */
const START_MS = Math.floor(1_780_000_000_000 / PERIOD_MS / 64) * 64 * PERIOD_MS;

const CONTENT = '\x82cadd\xa2cone\x01ctwo\x02';
const RESULT = '\x03';
const TOKEN = 'running 1 0 0 normal 0 1780000000000 bench-4711-a1b2c3';
const HEADER = 'succeeded 1 0 0 normal 0 1780000000000 bench-4711-a1b2c3 1780000000020 352';

const CALLS_A_PIPELINE = 20;

/**
 * Ids as UUIDv7 has them, so many in each period that they fill the ring once.
 * @param mixed neighbours are in different periods, so that a batch meets every part
 */
export function makeIds(number, { parts, mixed = false }) {
  const random = randomBytes(number * 8).toString('hex');
  return Array.from({ length: number }, (_, at) => {
    const period = mixed ? at % parts : Math.floor((at * parts) / number);
    const time = (START_MS + period * PERIOD_MS + at).toString(16).padStart(12, '0');
    const tail = random.slice(at * 16, at * 16 + 15);
    return `${time.slice(0, 8)}-${time.slice(8)}-7${tail.slice(0, 3)}-8${tail.slice(3, 6)}-${tail.slice(6)}000`;
  });
}

/** The part of an id in a ring, as fixtures/columns.lua counts, from 0. */
export const partByTime = (id, parts) => Number.parseInt(id.slice(0, 6), 16) % parts;
export const partByRandom = (id, parts) => Number.parseInt(id.slice(-9, -3), 16) % parts;

export const columnKey = (column, part) => `${PREFIX}:${column}:${part}`;

/** Runs `measure` with a store in a Redis that was just started. */
export const withStore = (layout, measure) => withStores([layout], ([store]) => measure(store));

/** Likewise with a store for each layout, each in a Redis of its own. */
async function withStores(layouts, measure) {
  const opened = [];
  try {
    for (const layout of layouts) {
      const server = await startRedis({ aof: false });
      const redis = new Redis(server.port, '127.0.0.1');
      opened.push({ server, redis, store: await openStore(redis, layout) });
    }
    return await measure(opened.map(({ store }) => store));
  } finally {
    for (const { server, redis } of opened) {
      redis.disconnect();
      await server.stop();
    }
  }
}

async function openStore(redis, { parts, idle = 0 }) {
  const sha = await redis.script('LOAD', LUA);
  const columns = LARGE_COLUMNS.flatMap((column) =>
    Array.from({ length: parts }, (_, part) => columnKey(column, part)),
  );
  const more = Array.from({ length: idle }, (_, at) => columnKey('more', at));
  const keys = [PREFIX, ...columns, ...more];
  const pid = Number(/process_id:(\d+)/.exec(await redis.info('server'))?.[1]);
  const call = (step, ...args) => ['evalsha', sha, keys.length, ...keys, parts, step, ...args];
  const rowsOf = (ids) => ids.flatMap((id) => [id, CONTENT]);
  return {
    redis,
    /** Nanoseconds that the main thread of Redis has run; up to date whenever it sleeps. */
    cpuNs: () => Number(readFileSync(`/proc/${pid}/task/${pid}/schedstat`, 'utf8').split(' ', 1)[0]),
    /** Commands, a call each. */
    fill: (ids) => call('fill', RESULT, HEADER, ...rowsOf(ids)),
    accept: (ids) => call('accept', ...rowsOf(ids)),
    claim: (ids) => call('claim', TOKEN, ids.length),
    finish: (ids) => call('finish', HEADER, RESULT, ...ids),
    remove: (ids) => call('remove', ids.length),
    forget: (ids) => call('forget', ids.length),
  };
}

export function batchesOf(ids, size) {
  return Array.from({ length: Math.ceil(ids.length / size) }, (_, at) =>
    ids.slice(at * size, (at + 1) * size),
  );
}

/** Sends a command for each batch, as fast as Redis takes them. @throws when one of them failed */
export async function sendAll({ redis }, batches, command) {
  for (let from = 0; from < batches.length; from += CALLS_A_PIPELINE) {
    const commands = batches.slice(from, from + CALLS_A_PIPELINE).map(command);
    for (const [error] of await redis.pipeline(commands).exec()) if (error) throw error;
  }
}

/**
 * What the steps cost with each layout. All stores are there at once and take turns, a chunk of batches each, there and back:
 * so whatever else the machine does meanwhile meets all of them.
 * @param passes steps that follow each other chunk by chunk; the next pass begins when all chunks have had this one
 * @returns for each layout and each chunk what `costOf` says of each step
 */
export async function costInTurn(layouts, passes, { tasks, batch, chunk }) {
  return withStores(layouts, async (stores) => {
    const chunks = layouts.map((layout) => batchesOf(batchesOf(makeIds(tasks, layout), batch), chunk));
    const costs = chunks.map((own) => own.map(() => ({})));
    const order = layouts.map((_, index) => index);
    for (const steps of passes) {
      for (const at of chunks[0].keys()) {
        for (const step of steps) {
          for (const index of at % 2 === 0 ? order : order.toReversed()) {
            const store = stores[index];
            costs[index][at][step] = await costOf(store, chunks[index][at], store[step]);
          }
        }
      }
    }
    return costs;
  });
}

/**
 * What a step costs a call, in microseconds: by Redis' own count of the time in scripts, by the processor time of its main
 * thread, which also reads the arguments and which other programs disturb less, and by that of this client.
 */
async function costOf(store, batches, command) {
  await store.redis.config('RESETSTAT');
  const cpuBefore = store.cpuNs();
  const clientBefore = process.cpuUsage();
  await sendAll(store, batches, command);
  const client = process.cpuUsage(clientBefore);
  // The next question comes when Redis has slept since, so that its time is up to date.
  const { usec } = await scriptStats(store.redis);
  const cpuUs = (store.cpuNs() - cpuBefore) / 1_000;
  const each = (us) => us / batches.length;
  return { scriptUs: each(usec), cpuUs: each(cpuUs), clientUs: each(client.user + client.system) };
}

/**
 * Sends one command after the other and looks at each: the longest in milliseconds of processor time, which other programs
 * disturb little, and by Redis' slow log, which has the time that they took from it too.
 */
export async function longestOf({ redis, cpuNs }, batches, command) {
  await redis.config('SET', 'slowlog-log-slower-than', '1000', 'slowlog-max-len', '100000');
  await redis.slowlog('RESET');
  const took = [];
  let before = cpuNs();
  for (const batch of batches) {
    await redis.call(...command(batch));
    const now = cpuNs();
    took.push((now - before) / 1e6);
    before = now;
  }
  const slow = await redis.slowlog('GET', -1);
  const cpuMs = Math.max(...took);
  return {
    cpuMs,
    /** The share of the calls that went before the longest. */
    at: took.indexOf(cpuMs) / took.length,
    usualMs: median(took),
    slowLogMs: slow.reduce((most, [, , us]) => Math.max(most, us / 1_000), 0),
    totalMs: took.reduce((sum, ms) => sum + ms, 0),
  };
}
