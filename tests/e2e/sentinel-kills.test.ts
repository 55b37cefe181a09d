// The primary is killed under load, and Sentinels make its only replica the next one: what `replicas` has acknowledged is there, what was
// in memory alone may be gone, and work goes on. POPFLEET_SENTINEL_KILLS says how often; `npm run test:sentinel` has the long form.

import { expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { expectBelow, msOf } from '../support/expect-below.ts';
import { post } from '../support/http.ts';
import { expectBalanced } from '../support/moves.ts';
import { JOURNAL_TASKS, openQueueFacts } from '../support/queue-facts.ts';
import { queueKey } from '../support/queue-key.ts';
import type { TestRedis } from '../support/redis.ts';
import { follow, openSentinelPair } from '../support/sentinels.ts';
import { openStage } from '../support/stage.ts';
import { openStore } from '../support/store.ts';
import { terminalMoves } from '../support/terminal-moves.ts';
import { sendUnderLoad } from '../support/under-load.ts';

const LONG = { timeout: 1_200_000 };
const KILLS = Number(process.env['POPFLEET_SENTINEL_KILLS'] ?? 2);
const GOES_ON_WITHIN_MS = 5_000;
/** A request waits for an answer of Redis, then for the replica, and is tried once more. */
const ANSWERS_WITHIN_MS = 15_000;
const QUEUE = 'default';
/** More than the sockets between a primary and a replica that does not read can hold: the rest dies with the primary. */
const LARGE = { count: 24, bytes: 900_000 };

/** Has the primary acknowledge tasks that a replica which stands still cannot have got. @returns their ids */
async function sendWhileFrozen(serverUrl: string, replica: TestRedis): Promise<string[]> {
  await replica.signal('SIGSTOP');
  const input = { file: 'x'.repeat(LARGE.bytes), ms: 0 };
  // They are never run.
  const task = { type: 'journal', queue: 'large', input, delayMs: 86_400_000 };
  const ids: string[] = [];
  for (let sent = 0; sent < LARGE.count; sent += 1) {
    const { status, body } = await post(`${serverUrl}/v1/tasks`, task);
    expect([202, 503]).toContain(status);
    // The primary has noticed, and takes nothing more.
    if (status === 503) break;
    ids.push(String(body['id']));
  }
  return ids;
}

test(
  `${KILLS} primaries are killed: none that replicas had is lost, and work goes on within 5 s of the next one`,
  LONG,
  async (context) => {
    const stage = openStage(context);
    const pair = await openSentinelPair(stage, { 'min-replicas-to-write': '1' });
    const { sentinels } = pair;
    const store = await openStore(sentinels.url);
    stage.atEnd(async () => store.disconnect());
    const env = { ...JOURNAL_TASKS, REDIS_URL: sentinels.url, CONCURRENCY: '2', HEARTBEAT_MS: '500' };
    const [server] = await Promise.all([stage.here('server', env), stage.here('worker', env)]);
    const facts = openQueueFacts({ client: store, dir: pair.primary.dir }, QUEUE);
    const load = sendUnderLoad(server.url(), [QUEUE], () => `${pair.primary.dir}/${QUEUE}.journal`);
    const accepted = load.accepted.get(QUEUE) ?? [];
    let { primary, replica } = pair;
    let lostLarge = 0;
    const times: number[] = [];

    async function kill(isFrozen: boolean): Promise<number> {
      const from = accepted.length;
      await eventually(() => accepted.length > from + 5);
      const large = isFrozen ? await sendWhileFrozen(server.url(), replica) : [];
      await primary.signal('SIGKILL');
      await replica.signal('SIGCONT');
      await eventually(async () => (await sentinels.primaryPort()) === replica.port);
      // The next one takes nothing before it has a replica again; Sentinels would need ten seconds to make it one.
      [primary, replica] = [replica, primary];
      await replica.start();
      await follow(replica, primary);
      await eventually(async () =>
        (await primary.client.info('replication')).includes('min_slaves_good_slaves:1'),
      );
      const went = await msOf(() =>
        eventually(async () => {
          const { status, body } = await facts.post(server.url(), 0);
          if (status !== 202) return false;
          // On a starved machine Sentinels replace this primary too. What it has accepted may be lost then, and another task shows it.
          await facts.untilSucceeded([String(body['id'])], GOES_ON_WITHIN_MS);
          return true;
        }),
      );
      times.push(Math.round(went));
      const there = new Set(await store.hkeys(`${queueKey('large')}:contents`));
      lostLarge += large.filter((id) => !there.has(id)).length;
      // They have been counted, and are large.
      const keys = await store.keys(`${queueKey('large').replaceAll(/[{}]/g, '\\$&')}:*`);
      if (keys.length > 0) await store.del(keys);
      return went;
    }

    for (let number = 0; number < KILLS; number += 1) {
      await expectBelow(GOES_ON_WITHIN_MS, () => kill(number % 2 === 0));
    }
    await load.stop();
    await facts.whenQuiet();
    await expectBalanced(store, QUEUE);

    const headers = await store.hgetall(`${queueKey(QUEUE)}:headers`);
    for (const header of Object.values(headers)) expect(header).toMatch(/^succeeded /);
    const ends = await terminalMoves(store, queueKey(QUEUE));
    expect([...ends].filter(([, count]) => count !== 1)).toEqual([]);
    const lost = accepted.filter((id) => headers[id] === undefined);
    process.stdout.write(
      `went on after ${times.join(', ')} ms; lost were ${lost.length} of ${accepted.length} accepted tasks and ${lostLarge} that were ` +
        `sent while the replica stood still, none of ${load.copied.size} that replicas had\n`,
    );
    expect(lost.filter((id) => load.copied.has(id))).toEqual([]);
    expect(load.copied.size).toBeGreaterThan(0);
    expect(lostLarge).toBeGreaterThan(0);
    expect(load.slowestMs()).toBeLessThan(ANSWERS_WITHIN_MS);
  },
);
