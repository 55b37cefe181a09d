// What happened in the last minutes, hours or day, by HTTP, from samples as the sweep writes them; and what is behind a server.

import { beforeEach, expect, test } from 'vitest';
import { COUNT_FIELDS } from '../../src/store/totals.ts';
import { makeKey } from '../support/keys.ts';
import { call } from '../support/http.ts';
import { withServer } from '../support/with-server.ts';

const all = makeKey(['read']);
const some = makeKey(['read'], ['mail']);
const { url, redis, empty } = withServer({ apiKeys: [all.apiKey, some.apiKey] });

interface SeriesBody {
  readonly queues: number;
  readonly stepMs: number;
  readonly until: string;
  readonly accepted: readonly (number | null)[];
  readonly succeeded: readonly (number | null)[];
  readonly ready: readonly (number | null)[];
  readonly waitMs: readonly (number | null)[];
}

function ask(path: string, key = all): Promise<{ status: number; body: Record<string, unknown> }> {
  return call(`${url()}${path}`, { headers: { authorization: `Bearer ${key.text}` } });
}

async function series(query: string, key = all): Promise<SeriesBody> {
  const { status, body } = await ask(`/v1/series${query}`, key);
  expect({ status, body }).toMatchObject({ status: 200 });
  return body as unknown as SeriesBody;
}

/** @param samples counts by seconds before now, the newest first; those of now are as the newest */
async function write(
  queue: string,
  list: 'series' | 'series-minutes',
  now: number,
  samples: readonly (readonly [secondsAgo: number, counts: Readonly<Record<string, number>>])[],
): Promise<void> {
  const [newest] = samples;
  const texts = samples.map(([secondsAgo, values]) =>
    [now - secondsAgo * 1_000, ...COUNT_FIELDS.map((field) => values[field] ?? 0)].join(' '),
  );
  await redis().client.rpush(`pf:{${queue}}:${list}`, ...texts);
  await redis().client.hset(`pf:{${queue}}:count`, newest?.[1] ?? {});
  await redis().client.sadd('pf:queues', queue);
}

/** Tasks that came and succeeded at once, and some that wait. */
function counts(accepted: number, ready = 0): Record<string, number> {
  return { accepted, ready, succeeded: accepted - ready };
}

let run = 0;
/** A server shares what it has read for a while: each test has queues of its own. */
const fresh = (): string => `queue-${(run += 1)}`;

beforeEach(() => empty());

test('rates are those of each step, and levels those at its end', async () => {
  const queue = fresh();
  const now = Date.now();
  const steady = Array.from({ length: 30 }, (_, at) => [at * 10, counts(3_000 - at * 100)] as const);
  await write(queue, 'series', now, steady);
  const { stepMs, accepted, succeeded, ready, until } = await series(`?queue=${queue}`);
  expect(stepMs).toBe(10_000);
  expect(Date.parse(until) % stepMs).toBe(0);
  expect([accepted.length, succeeded.length, ready.length]).toEqual([61, 61, 61]);
  // The last value is of the moment, the one before of a step that has only just ended.
  for (const rate of accepted.slice(-20, -2)) expect(rate).toBeCloseTo(10, 1);
  for (const rate of succeeded.slice(-20, -2)) expect(rate).toBeCloseTo(10, 1);
  // Before its first sample the queue was not there.
  expect(accepted.slice(0, 28)).toEqual(Array(28).fill(null));
});

test('while nothing changes there is no sample: the rate is 0, and what comes next has come in the time just before', async () => {
  const queue = fresh();
  await write(queue, 'series', Date.now(), [
    [60, counts(600)],
    [360, counts(0)],
  ]);
  const { accepted, until } = await series(`?queue=${queue}`);
  const sum = accepted.slice(0, -1).reduce<number>((total, rate) => total + (rate ?? 0) * 10, 0);
  expect(sum).toBeCloseTo(600, 0);
  const busy = accepted.flatMap((rate, at) =>
    (rate ?? 0) > 0 ? [Date.parse(until) - (60 - at) * 10_000] : [],
  );
  for (const end of busy) expect(Date.now() - end).toBeLessThan(82_000);
  expect(accepted.at(-1)).toBe(0);
});

test('the mean wait is that of the tasks that were started; nobody knows it where none was', async () => {
  const queue = fresh();
  const now = Date.now();
  // 100 tasks a step, of which each has waited for two seconds.
  const samples = Array.from({ length: 10 }, (_, at) => {
    const begun = 1_000 - at * 100;
    return [at * 10, { ...counts(begun), 'ready-ms': begun * 2_000 }] as const;
  });
  await write(queue, 'series', now, samples);
  const { waitMs } = await series(`?queue=${queue}`);
  for (const ms of waitMs.slice(-7, -2)) expect(ms).toBeCloseTo(2_000, 0);
  const idle = fresh();
  await write(idle, 'series', now, [[500, counts(5)]]);
  expect((await series(`?queue=${idle}`)).waitMs.slice(-20)).toEqual(Array(20).fill(null));
});

test('percentiles are those of the tasks of each step', async () => {
  const queue = fresh();
  const samples = Array.from({ length: 10 }, (_, at) => {
    const ended = 1_000 - at * 100;
    // Of a hundred 94 take up to 50 ms, and 6 between one and two and a half seconds.
    return [at * 10, { ...counts(ended), 'run-3': (ended / 100) * 94, 'run-8': (ended / 100) * 6 }] as const;
  });
  await write(queue, 'series', Date.now(), samples);
  const { body } = await ask(`/v1/series?queue=${queue}`);
  const { runs, waits } = body as Record<string, Record<string, (number | null)[]>>;
  for (const [name, ms] of Object.entries({
    p50: 25 + (25 * 50) / 94,
    p95: 1_000 + 1_500 / 6,
    p99: 1_000 + 7_500 / 6,
  })) {
    for (const value of runs?.[name]?.slice(-7, -2) ?? [null]) expect(value).toBeCloseTo(ms, 0);
  }
  expect(waits?.['p99']?.slice(-7)).toEqual(Array(7).fill(null));
});

test('a count that has fallen tells no rate', async () => {
  const queue = fresh();
  await write(queue, 'series', Date.now(), [
    [20, counts(10)],
    [30, counts(1_000)],
    [40, counts(1_000)],
  ]);
  const { accepted } = await series(`?queue=${queue}`);
  expect(accepted.slice(-6)).toContain(null);
  expect(Math.min(...accepted.map((rate) => rate ?? 0))).toBe(0);
});

test('a day comes from the samples of minutes, and all queues of a key come together', async () => {
  const now = Date.now();
  const samples = Array.from({ length: 300 }, (_, at) => [at * 60, counts(30_000 - at * 60)] as const);
  for (const queue of ['day', 'mail']) await write(queue, 'series-minutes', now, samples);
  const both = await series('?range=24h');
  // The queue "default" is there, and had nothing to do.
  expect([both.queues, both.stepMs, both.accepted.length]).toEqual([3, 300_000, 289]);
  expect(both.accepted.at(-10)).toBeCloseTo(2, 1);
  const own = await series('?range=24h', some);
  expect(own.queues).toBe(1);
  expect(own.accepted.at(-10)).toBeCloseTo(1, 1);
});

test('one task in hours is a rate, too', async () => {
  const queue = fresh();
  const samples = Array.from({ length: 300 }, (_, at) => [at * 60, counts(at < 100 ? 1 : 0)] as const);
  await write(queue, 'series-minutes', Date.now(), samples);
  const { accepted, stepMs } = await series(`?range=24h&queue=${queue}`);
  const sum = accepted.slice(0, -1).reduce<number>((total, rate) => total + (rate ?? 0), 0);
  expect((sum * stepMs) / 1_000).toBeCloseTo(1, 2);
});

test('without a queue nothing is known; a queue or range that is not there is said to be', async () => {
  await redis().client.flushall();
  const { queues, accepted } = await series('');
  expect([queues, new Set(accepted)]).toEqual([0, new Set([null])]);
  expect((await ask('/v1/series?queue=nowhere')).body['code']).toBe('not-found');
  expect((await ask('/v1/series?range=2h')).body['code']).toBe('invalid-query');
});

test('the system is told without addresses, and to keys for all queues alone', async () => {
  const { status, body } = await ask('/v1/system');
  expect([status, body]).toMatchObject([
    200,
    {
      server: { pid: process.pid, node: process.version },
      redis: { role: 'master', maxmemoryPolicy: 'noeviction', isSaved: true },
      limits: { MAX_QUEUES: 1_000, QUEUE_LIMIT: 0, BODY_LIMIT_BYTES: 65_536 },
    },
  ]);
  expect(Number((body['redis'] as Record<string, unknown>)['latencyMs'])).toBeGreaterThan(0);
  // Valkey says of itself which Redis it is like, too.
  const { name, version } = body['redis'] as { name: string; version: string };
  const own = await redis().client.info('server');
  expect(own).toContain(`\n${name.toLowerCase()}_version:${version}\r`);
  expect(own.includes('valkey_version')).toBe(name === 'Valkey');
  expect(JSON.stringify(body)).not.toMatch(/redis:\/\/|\.sock/);
  expect((await ask('/v1/system', some)).status).toBe(403);
});
