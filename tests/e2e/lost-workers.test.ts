// Workers that vanish or freeze while tasks run.

import { expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { expectBelow, msOf } from '../support/expect-below.ts';
import { JOURNAL_TASKS, openQueueFacts } from '../support/queue-facts.ts';
import { openJournalStage, openStage } from '../support/stage.ts';

const LONG = { timeout: 180_000 };
/** Short, so that the tests are; still several times what a busy machine lets a process wait. */
const SHORT_LEASE = { LEASE_MS: '2000', HEARTBEAT_MS: '500' };

test.concurrent(
  'kill -9 of a worker: with default settings its tasks succeed elsewhere within 15 s',
  LONG,
  async (context) => {
    const { stage, redis, env: shared } = await openJournalStage(context, { CONCURRENCY: '2' });
    const server = await stage.here('server', shared);
    let rounds = 0;
    await expectBelow(15_000, async () => {
      rounds += 1;
      const facts = openQueueFacts(redis, `round-${rounds}`);
      const env = { ...shared, QUEUES: `round-${rounds}` };
      const [victim, other] = [await stage.role('worker', env), await stage.here('worker', env)];
      const ids = await facts.send(server.url(), 4, 1_500);
      await facts.untilBegun(ids);
      const lost = await facts.heldBy(victim.worker());
      expect(lost).toHaveLength(2);

      victim.signal('SIGKILL');
      await victim.exited;

      const tookMs = await msOf(() => facts.expectAllDone(ids));
      for (const id of ids) {
        const [claims, crashes] = lost.includes(id) ? [2, 1] : [1, 0];
        expect(await facts.task(id)).toMatchObject({ worker: other.worker(), claims, failures: 0, crashes });
      }
      expect(await facts.workers()).toEqual([other.worker()]);
      return tookMs;
    });
  },
);

test.concurrent(
  'a frozen worker changes nothing when it wakes up, and then works on',
  LONG,
  async (context) => {
    const stage = openStage(context);
    const redis = await stage.redis();
    const facts = openQueueFacts(redis);
    const env = { ...JOURNAL_TASKS, ...SHORT_LEASE, REDIS_URL: redis.url, CONCURRENCY: '2' };
    const server = await stage.here('server', env);
    const [frozen, other] = [await stage.role('worker', env), await stage.here('worker', env)];
    const ids = await facts.send(server.url(), 4, 1_500);
    await facts.untilBegun(ids);
    expect(await facts.heldBy(frozen.worker())).toHaveLength(2);

    frozen.signal('SIGSTOP');
    const records = await facts.untilSucceeded(ids, 15_000);
    expect(records.map(({ worker }) => worker)).toEqual(ids.map(() => other.worker()));
    expect(records.filter(({ claims, crashes }) => claims === 2 && crashes === 1)).toHaveLength(2);
    frozen.signal('SIGCONT');

    // Its own beat, so it is awake and has heard what it lost.
    await eventually(async () => (await facts.workers()).includes(frozen.worker()));
    const later: string[] = [];
    await eventually(async () => {
      const sent = await facts.send(server.url(), 4, 50);
      later.push(...sent);
      const workers = (await facts.untilSucceeded(sent)).map(({ worker }) => worker);
      return workers.includes(frozen.worker());
    });
    expect(await Promise.all(ids.map((id) => facts.task(id)))).toEqual(records);
    await facts.expectAllDone([...ids, ...later]);
  },
);

test.concurrent(
  'an outcome that comes after the lease, while the task runs elsewhere, is not recorded',
  LONG,
  async (context) => {
    const runMs = 1_500;
    const stage = openStage(context);
    const redis = await stage.redis();
    const facts = openQueueFacts(redis);
    const proxy = await stage.proxy(redis);
    const env = { ...JOURNAL_TASKS, ...SHORT_LEASE, REDIS_URL: redis.url, CONCURRENCY: '1' };
    const server = await stage.here('server', env);
    const late = await stage.role('worker', { ...env, REDIS_URL: proxy.url });
    const finish = proxy.hold('finish');
    const [id = ''] = await facts.send(server.url(), 1, runMs);
    await finish.held;
    late.signal('SIGSTOP'); // Or it would lose patience and say it again before its lease ends.
    const other = await stage.here('worker', env);
    await eventually(() => facts.runs(id) === 2);

    finish.release();
    late.signal('SIGCONT');

    await eventually(() =>
      late
        .log()
        .some(({ msg, task }) => msg === 'the outcome came too late and was not recorded' && task === id),
    );
    await facts.expectAllDone([id]);
    const record = await facts.task(id);
    expect(record).toMatchObject({ worker: other.worker(), claims: 2, crashes: 1 });
    // Not the end of the first run, which came at once after the second began.
    expect((record.finishedAt ?? 0) - (record.startedAt ?? 0)).toBeGreaterThanOrEqual(runMs);
  },
);
