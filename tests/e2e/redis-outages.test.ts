// Redis goes away, stands still, is full, or drops what it knows of its clients: everything goes on by itself.

import { setTimeout as pause } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { expectBelow, msOf } from '../support/expect-below.ts';
import { type Answer, call } from '../support/http.ts';
import { JOURNAL_TASKS, openQueueFacts, type QueueFacts } from '../support/queue-facts.ts';
import { openJournalStage, openStage } from '../support/stage.ts';

/** Three times what it usually takes. */
const ANSWERED_WITHIN_MS = 3_000;
const GOES_ON_WITHIN_MS = 5_000;
const LONG = { timeout: 180_000 };

test.concurrent(
  'Redis killed for 10 s: callers hear so at once, then all goes on and nothing is lost',
  LONG,
  async (context) => {
    const { stage, redis, facts, env } = await openJournalStage(context, { CONCURRENCY: '2' });
    const server = await stage.here('server', env);
    await stage.here('worker', env);
    const url = server.url();
    const all: string[] = [];
    let unknown = 0;
    await expectBelow(GOES_ON_WITHIN_MS, async () => {
      const running = await facts.send(url, 2, 2_000);
      await facts.untilBegun(running);
      all.push(...running, ...(await facts.send(url, 4, 20)));

      await redis.signal('SIGKILL');
      for (const until = performance.now() + 10_000; performance.now() < until; await pause(1_500)) {
        await expectRefused(facts, url);
        expect((await call(`${url}/healthz`)).status).toBe(200);
        await eventually(async () => (await call(`${url}/readyz`)).status === 503);
      }
      await redis.start();

      const later = async (): Promise<string | false> => {
        const answer = await facts.post(url, 20);
        if (answer.status === 202) return String(answer.body['id']);
        unknown += 1;
        return false;
      };
      const tookMs = [
        await msOf(async () => all.push(await eventually(later))),
        await msOf(() => eventually(async () => (await call(`${url}/readyz`)).status === 200)),
        await msOf(() => facts.expectAllDone(all, { unknown })),
      ];
      // Now idle, so that the next task comes by a pop.
      const popped = await facts.send(url, 1, 0);
      tookMs.push(await msOf(() => facts.untilSucceeded(popped)));
      all.push(...popped);
      for (const id of running) {
        expect(facts.runs(id)).toBe(1);
        expect(await facts.task(id)).toMatchObject({ claims: 1, crashes: 0 });
      }
      return tookMs;
    });
  },
);

test.concurrent(
  'Redis stands still for longer than the lease: no task runs a second time',
  LONG,
  async (context) => {
    const { stage, redis, facts, env } = await openJournalStage(context, { CONCURRENCY: '2' });
    const proxy = await stage.proxy(redis);
    const server = await stage.here('server', env);
    await stage.here('worker', { ...env, REDIS_URL: proxy.url });
    const ids = await facts.send(server.url(), 2, 15_000);
    await facts.untilBegun(ids);
    await stage.here('worker', env); // Idle, so it would take what is given back.

    await redis.signal('SIGSTOP');
    // The first worker is heard again only after the other one has swept, and so has looked at its lease. Otherwise chance
    // decides: its beat may even wait in the socket of Redis.
    proxy.silence();
    const beat = proxy.hold('beat');
    const refused = await expectRefused(facts, server.url());
    await pause(12_000);
    const wokenAtMs = Date.now();
    await redis.signal('SIGCONT');
    await beat.held;
    await eventually(async () => (await facts.sweptAtMs()) >= wokenAtMs);
    beat.release();

    for (const record of await facts.untilSucceeded(ids)) {
      expect(facts.runs(record.id)).toBe(1);
      expect(record).toMatchObject({ claims: 1, failures: 0, crashes: 0 });
    }
    // Redis may have found the refused task in its socket when it woke up, but not twice.
    await facts.expectAllDone(ids, { unknown: refused.length });
  },
);

test('Redis at maxmemory: what is accepted is finished and recorded, new tasks are refused until there is room', async (context) => {
  // Other nodes and replicas take their part of these megabytes.
  context.skip(process.env['POPFLEET_TOPOLOGY'] !== undefined);
  const { stage, redis, facts, env } = await openJournalStage(context, { CONCURRENCY: '2' });
  const server = await stage.here('server', env);
  await stage.here('worker', env);
  const url = server.url();
  const running = await facts.send(url, 2, 1_000);
  await facts.untilBegun(running);
  const waiting = await facts.send(url, 4, 20);

  await redis.client.set('{default}:junk', Buffer.alloc(8_000_000));
  await redis.client.config('SET', 'maxmemory', '4mb');
  for (const { body } of await expectRefused(facts, url)) expect(body['code']).toBe('redis-full');
  await facts.expectAllDone([...running, ...waiting]);

  await redis.client.del('{default}:junk');
  const later = await facts.send(url, 1, 0);
  await facts.expectAllDone([...running, ...waiting, ...later]);
});

test('clients killed again and again: nothing accepted is lost or recorded twice', async (context) => {
  const { stage, redis, facts, env } = await openJournalStage(context, {
    CONCURRENCY: '2',
    POP_GRACE_MS: '500',
    HEARTBEAT_MS: '500',
  });
  const server = await stage.here('server', env);
  await Promise.all([stage.here('worker', env), stage.here('worker', env)]);

  const accepted: string[] = [];
  let unknown = 0;
  let kills = 0;
  const isEnough = (): boolean => kills > 5 && accepted.length > kills;
  await expectBelow(GOES_ON_WITHIN_MS, async () => {
    for (const until = performance.now() + 4_000; performance.now() < until || !isEnough(); kills += 1) {
      const answers = Promise.all(Array.from({ length: 5 }, () => facts.post(server.url(), 10)));
      await redis.client.call('CLIENT', 'KILL', 'TYPE', 'normal');
      for (const { status, headers, body } of await answers) {
        if (status === 202) accepted.push(String(body['id']));
        else {
          expect([status, headers.has('retry-after')]).toEqual([503, true]);
          unknown += 1;
        }
      }
      await pause(100);
    }
    expect(kills).toBeGreaterThan(5);
    expect(accepted.length).toBeGreaterThan(kills);

    let last: string[] = [];
    const accepting = await msOf(async () => {
      last = await eventually(() => facts.send(server.url(), 4, 0));
    });
    const running = await msOf(() => facts.untilSucceeded(last));
    accepted.push(...last);
    await facts.expectAllDone(accepted, { unknown });
    return [accepting, running];
  });
});

test('scripts flushed again and again: nobody notices', async (context) => {
  const { stage, redis, facts, env } = await openJournalStage(context, {
    CONCURRENCY: '2',
    HEARTBEAT_MS: '200',
  });
  const server = await stage.here('server', env);
  const worker = await stage.here('worker', env);

  const ids: string[] = [];
  await expectBelow(GOES_ON_WITHIN_MS, async () => {
    for (const until = performance.now() + 3_000; performance.now() < until; await pause(50)) {
      const [sent] = await Promise.all([
        facts.send(server.url(), 2, 10),
        redis.client.script('FLUSH', 'SYNC'),
      ]);
      ids.push(...sent);
    }
    return msOf(() => facts.expectAllDone(ids));
  });
  for (const id of ids) expect(facts.runs(id)).toBe(1);
  expect([...server.log(), ...worker.log()].filter(({ level }) => Number(level) > 30)).toEqual([]);
});

test('half-open connections: the fetch loop is alive again within the block time and 5 s', async (context) => {
  const blockMs = 1_000;
  const stage = openStage(context);
  const redis = await stage.redis();
  const facts = openQueueFacts(redis);
  const proxy = await stage.proxy(redis);
  const server = await stage.here('server', { ...JOURNAL_TASKS, REDIS_URL: redis.url });
  await stage.here('worker', { ...JOURNAL_TASKS, REDIS_URL: proxy.url, BLOCK_MS: String(blockMs) });
  await eventually(() => proxy.calls('BRPOP') > 0);

  const ids: string[] = [];
  await expectBelow(blockMs + 5_000, async () => {
    proxy.silence();
    const pops = proxy.calls('BRPOP');
    // One falls into the dead connection, the next ones wait for a living one.
    ids.push(...(await facts.send(server.url(), 3, 0)));

    const tookMs = await msOf(() => eventually(() => proxy.calls('BRPOP') > pops));
    await facts.expectAllDone(ids);
    return tookMs;
  });
});

/** Expects that a new task is refused in time and with the hint to come back. @returns the answers: more than one when one was late */
async function expectRefused(facts: QueueFacts, serverUrl: string): Promise<Answer[]> {
  const answers: Answer[] = [];
  await expectBelow(ANSWERED_WITHIN_MS, () =>
    msOf(async () => {
      const answer = await facts.post(serverUrl, 0);
      answers.push(answer);
      expect(answer.status).toBe(503);
      expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0);
    }),
  );
  return answers;
}
