// What becomes of a finished task: how large its result may be, how long it is kept, and what goes first.

import { fileURLToPath } from 'node:url';
import { expect, type TestContext, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { call } from '../support/http.ts';
import { finished, LIFE_TASKS, look, send } from '../support/life.ts';
import { countsOf, expectBalanced, largestSliceOf, movesOf, openJournal } from '../support/moves.ts';
import type { TestRedis } from '../support/redis.ts';
import { openStage } from '../support/stage.ts';

const DEFAULTS = fileURLToPath(new URL('../fixtures/with-defaults.mjs', import.meta.url));
const TASKS = { TASKS: `${DEFAULTS},${LIFE_TASKS.TASKS}` };
/** What the sweep removes of each kind in one call. */
const SLICE = 100;
const FLEET_TTL_MS = 5_000;
/** A script's own clock and that of the stream it writes to differ by its run time. */
const CALL_MS = 20;

interface Fleet {
  readonly redis: TestRedis;
  readonly url: string;
}

async function openFleet(context: TestContext, settings: Record<string, string>): Promise<Fleet> {
  const stage = openStage(context);
  const redis = await stage.redis();
  const env = {
    ...TASKS,
    HEARTBEAT_MS: '300',
    LEASE_MS: '10000',
    CONCURRENCY: '2',
    REDIS_URL: redis.url,
    ...settings,
  };
  const [server] = await Promise.all([stage.here('server', env), stage.here('worker', env)]);
  return { redis, url: server.url() };
}

async function isGone(url: string, id: string): Promise<boolean> {
  const { status, headers, body } = await call(`${url}/v1/tasks/${id}`);
  if (status !== 404) return false;
  expect(headers.get('content-type')).toBe('application/problem+json');
  expect(body).toMatchObject({ code: 'not-found', title: 'Not found' });
  expect(body['detail']).toBe('There is no such task. Finished tasks are kept for a limited time only.');
  return true;
}

/** Hashes that have a field of the task, and keys that name it: everything that is kept of it. */
async function keptOf({ client }: TestRedis, id: string): Promise<string[]> {
  const found = await client.keys(`*${id}*`);
  for (const key of await client.keys('pf:{default}:*')) {
    if ((await client.type(key)) !== 'hash') continue;
    const fields = await client.hkeys(key);
    if (fields.some((field) => field.startsWith(id))) found.push(key.slice('pf:{default}:'.length));
  }
  return found.sort();
}

test.concurrent('a result within the limit is kept, one byte more is a clear failure that is not tried again', async (context) => {
  // CBOR puts three bytes in front of a text of this length.
  const { redis, url } = await openFleet(context, { RESULT_LIMIT_BYTES: '1003' });
  const fits = await finished(url, await send(url, 'sized', { chars: 1_000 }));
  expect(fits).toMatchObject({ state: 'succeeded', result: 'x'.repeat(1_000) });

  const tooLarge = await finished(url, await send(url, 'sized', { chars: 1_001 }, { maxAttempts: 5 }));
  expect(tooLarge).toMatchObject({ state: 'dead', attempt: 1, error: { name: 'PermanentError' } });
  expect(tooLarge.error?.message).toBe(
    "the handler's result has 1004 bytes, 1003 are allowed: store it elsewhere and return where",
  );
  expect(tooLarge.result).toBeUndefined();
  // The thread that made it works on.
  expect(await finished(url, await send(url, 'sized', { chars: 1 }))).toMatchObject({ state: 'succeeded' });
  await expectBalanced(redis.client);
});

test.concurrent('a task is kept as long as its call says, else its type, else the fleet', async (context) => {
  const { redis, url } = await openFleet(context, { RESULT_TTL_MS: String(FLEET_TTL_MS) });
  const tasks = {
    byCall: await send(url, 'add', { one: 1, two: 2 }, { resultTtlMs: 400 }),
    byType: await send(url, 'short-lived'),
    dead: await send(url, 'failing', {}, { resultTtlMs: 400 }),
    byFleet: await send(url, 'add', { one: 1, two: 2 }),
    deadByFleet: await send(url, 'failing'),
    callOverType: await send(url, 'short-lived', {}, { resultTtlMs: 60_000 }),
    longerThanFleet: await send(url, 'add', { one: 2, two: 2 }, { resultTtlMs: 60_000 }),
    deadForLong: await send(url, 'failing', {}, { resultTtlMs: 60_000 }),
  };
  const { byCall, byType, dead, byFleet, deadByFleet, callOverType, longerThanFleet, deadForLong } = tasks;
  await finished(url, deadForLong);
  // Of all of these nothing is left of the others below.
  const columns = [
    'contents',
    'dead-terms',
    'errors',
    'headers',
    'last-errors',
    'log-lines',
    'logs',
    'result-ttls',
  ];
  expect(await keptOf(redis, deadForLong)).toEqual(columns);

  const gone = [byCall, byType, dead, byFleet, deadByFleet];
  await eventually(async () => {
    for (const id of gone) expect(await isGone(url, id)).toBe(true);
    return true;
  });
  for (const id of gone) expect(await keptOf(redis, id)).toEqual([]);

  // How long each was kept, by the clock of Redis: none went before its time, nor stayed for that of the others.
  const moves = await movesOf(redis.client);
  const timeOf = (id: string, ...states: string[]): number =>
    Number(moves.find((move) => move.id === id && states.includes(move.state))?.call.split('-')[0]);
  const keptMs = (id: string): number => timeOf(id, 'removed') - timeOf(id, 'succeeded', 'dead');
  for (const id of [byCall, byType, dead]) {
    expect(keptMs(id)).toBeGreaterThan(400 - CALL_MS);
    expect(keptMs(id)).toBeLessThan(FLEET_TTL_MS - CALL_MS);
  }
  for (const id of [byFleet, deadByFleet]) expect(keptMs(id)).toBeGreaterThan(FLEET_TTL_MS - CALL_MS);

  for (const id of [callOverType, longerThanFleet]) {
    expect(await look(url, id)).toMatchObject({ state: 'succeeded' });
  }
  expect(await look(url, deadForLong)).toMatchObject({ state: 'dead', errors: [{ claim: 1 }] });
  expect(await countsOf(redis.client)).toMatchObject({ accepted: 8, succeeded: 2, dead: 1, removed: 5 });
  await expectBalanced(redis.client);
});

test.concurrent('with a time to live of nothing a task goes once it is finished', async (context) => {
  const { redis, url } = await openFleet(context, {});
  const id = await send(url, 'add', { one: 1, two: 2 }, { resultTtlMs: 0 });
  await eventually(() => isGone(url, id));
  expect((await movesOf(redis.client)).map(({ state }) => state)).toEqual([
    'ready',
    'running',
    'succeeded',
    'removed',
  ]);
  expect(await countsOf(redis.client)).toEqual({ accepted: 1, removed: 1 });
});

test.concurrent('beyond the retention by size the oldest go first, in slices, and what is not finished stays', async (context) => {
  const limit = 40_000;
  const { redis, url } = await openFleet(context, { RETENTION_BYTES: String(limit), HEARTBEAT_MS: '2000' });
  const { client } = redis;
  const dead = await send(url, 'failing');
  await finished(url, dead);
  const waits = await send(url, 'sized', { chars: 1 }, { delayMs: 600_000 });
  const runs = await send(url, 'where', { ms: 600_000 });
  await eventually(async () => (await look(url, runs)).state === 'running');

  // Each keeps about 790 bytes; all of them are finished before the next sweep, or soon after.
  const ids: string[] = [];
  const { moves, read } = openJournal(client);
  for (let batch = 0; batch < 6; batch += 1) {
    ids.push(...(await Promise.all(Array.from({ length: 100 }, () => send(url, 'sized', { chars: 300 })))));
    await read();
  }
  await eventually(async () => {
    const { succeeded = 0, removed = 0, bytes = 0 } = await countsOf(client);
    await read();
    return succeeded + removed === ids.length && bytes <= limit;
  }, 60_000);

  /** Milliseconds of the Redis clock. */
  const endOf = new Map(
    moves
      .filter(({ state }) => state === 'succeeded')
      .map((move) => [move.id, Number(move.call.split('-')[0])]),
  );
  const removed = moves.filter(({ state }) => state === 'removed').map(({ id }) => id);
  const kept = ids.filter((id) => !removed.includes(id));
  expect(removed.length).toBeGreaterThan(3 * SLICE);
  expect(largestSliceOf(moves, 'removed')).toBeLessThanOrEqual(SLICE);
  const lastRemoved = Math.max(...removed.map((id) => endOf.get(id) ?? Number.NaN));
  const firstKept = Math.min(...kept.map((id) => endOf.get(id) ?? Number.NaN));
  expect(lastRemoved).toBeLessThanOrEqual(firstKept + 2); // Those of the same millisecond have no order.
  // Not more than had to.
  const { bytes = 0 } = await countsOf(client);
  expect(bytes).toBeGreaterThan(limit - 1_000);
  // Dead ones are looked at by people: they go last.
  expect(await look(url, dead)).toMatchObject({ state: 'dead' });
  expect(await look(url, runs)).toMatchObject({ state: 'running' });
  expect(await look(url, waits)).toMatchObject({ state: 'scheduled' });
  expect(await countsOf(client)).toMatchObject({ accepted: 603, running: 1, scheduled: 1, dead: 1 });
  await expectBalanced(client);
});

test.concurrent('case 17: what a succeeded task has logged counts against the retention by size', async (context) => {
  const { redis, url } = await openFleet(context, {});
  const before = (await countsOf(redis.client))['bytes'] ?? 0;
  const id = await send(url, 'talkative', { calls: 200 });
  expect(await finished(url, id)).toMatchObject({ state: 'succeeded' });
  const log = (await redis.client.call(
    'MEMORY',
    'USAGE',
    'pf:{default}:log-lines',
    'SAMPLES',
    '0',
  )) as number;
  expect(log).toBeGreaterThan(200);
  expect(((await countsOf(redis.client))['bytes'] ?? 0) - before).toBeGreaterThan(log);
});
