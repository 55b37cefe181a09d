// REDIS_URL names Sentinels: the fleet finds the primary by them, and goes on by itself when another one has become it.

import { expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { reasonsOf, redisCheck } from '../support/health.ts';
import { JOURNAL_TASKS, openQueueFacts } from '../support/queue-facts.ts';
import { openSentinelPair, PRIMARY_NAME, startSentinels, whenCopied } from '../support/sentinels.ts';
import { openStage } from '../support/stage.ts';

const LONG = { timeout: 180_000 };
const EXIT_CONFIG = 78;
/** Three times what it takes: the goal is 5 s on a machine with nothing else to do. */
const GOES_ON_WITHIN_MS = 15_000;

test(
  'a primary that is killed, and one that answers no more: all goes on with the new one',
  LONG,
  async (context) => {
    const stage = openStage(context);
    const { sentinels, primary: first, replica: second } = await openSentinelPair(stage);
    const env = { ...JOURNAL_TASKS, REDIS_URL: sentinels.url, CONCURRENCY: '2', BLOCK_MS: '60000' };
    const [server] = await Promise.all([stage.here('server', env), stage.here('worker', env)]);
    const send = async (facts: ReturnType<typeof openQueueFacts>): Promise<string> =>
      eventually(async () => {
        const answer = await facts.post(server.url(), 0);
        return answer.status === 202 && String(answer.body['id']);
      }, GOES_ON_WITHIN_MS);
    const [before = ''] = await openQueueFacts(first).send(server.url(), 1, 0);
    await openQueueFacts(first).untilSucceeded([before]);

    for (const [old, next, signal] of [
      [first, second, 'SIGKILL'],
      [second, first, 'SIGSTOP'],
    ] as const) {
      await whenCopied(next);
      await old.signal(signal);
      await eventually(async () => (await sentinels.primaryPort()) === next.port);
      const facts = openQueueFacts(next);
      // An idle worker, whose pop would wait for a minute, has it too.
      const id = await send(facts);
      await facts.untilSucceeded([id], GOES_ON_WITHIN_MS);
      await eventually(async () => (await redisCheck(server)).status === 200, GOES_ON_WITHIN_MS);
      if (signal === 'SIGSTOP') await old.signal('SIGCONT');
      else await old.start();
    }
  },
);

test(
  'Sentinels that do not know the name stop the start; those that are away do not',
  LONG,
  async (context) => {
    const stage = openStage(context);
    const redis = await stage.redis();
    const sentinels = await startSentinels(redis);
    stage.atEnd(sentinels.stop);
    await sentinels.whenReady(0);

    const wrong = stage.spawn('server', { REDIS_URL: sentinels.url.replace(PRIMARY_NAME, 'other') });
    await eventually(() => wrong.child.exitCode !== null);
    expect(wrong.child.exitCode).toBe(EXIT_CONFIG);
    expect(wrong.errors()).toContain('REDIS_URL: the Sentinels know no primary named "other"');

    const lonely = stage.spawn('server', { REDIS_URL: `redis+sentinel://127.0.0.1:1/${PRIMARY_NAME}` });
    await eventually(() => lonely.url().startsWith('http'));
    await eventually(() => reasonsOf(lonely).some((reason) => String(reason).includes('127.0.0.1:1')));
    expect(await redisCheck(lonely)).toEqual({ status: 503, detail: 'unreachable' });
  },
);
