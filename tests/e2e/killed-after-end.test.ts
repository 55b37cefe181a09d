// A worker is killed in the moment in which a followed task has ended: what follows it is accepted all the same, once.
// POPFLEET_KILLS sets how often; `npm run test:kills` does it two hundred times.

import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { send } from '../support/life.ts';
import { countsOf, expectBalanced } from '../support/moves.ts';
import { openStage } from '../support/stage.ts';
import { openStore } from '../support/store.ts';
import { untilSucceeded } from '../support/until-succeeded.ts';

const KILLS = Number(process.env['POPFLEET_KILLS'] ?? 4);
const FOLLOW = fileURLToPath(new URL('../fixtures/follow.mjs', import.meta.url));
const SHORT = { LEASE_MS: '1500', HEARTBEAT_MS: '250', POP_GRACE_MS: '300' };

test(`${KILLS} workers killed right after the end of a followed task: followed each time, and once`, {
  timeout: 180_000 + KILLS * 10_000,
}, async (context) => {
  const stage = openStage(context);
  const redis = await stage.redis();
  const blocking = await openStore(redis.url);
  stage.atEnd(async () => blocking.disconnect());
  const env = { ...SHORT, TASKS: FOLLOW, REDIS_URL: redis.url, QUEUES: 'default' };
  const url = (await stage.here('server', env)).url();
  let newest = '0-0';
  /** How far the killed worker was: had it begun to relay, or nothing of it? */
  let alreadyFollowed = 0;
  for (let kill = 0; kill < KILLS; kill += 1) {
    const worker = stage.spawn('worker', env);
    const onEnd = { type: 'after', queue: 'side' };
    const id = await send(url, 'add', { one: 1, two: 2 }, { onEnd });
    newest = await untilSucceeded(blocking, id, newest);
    // At once, or up to some milliseconds later, in the middle of its relay.
    if (kill % 4 > 0) await sleep(kill % 4);
    worker.signal('SIGKILL');
    alreadyFollowed += Number((await countsOf(redis.client, 'side'))['accepted'] ?? 0) > kill ? 1 : 0;
    await worker.exited;
    await eventually(async () => (await countsOf(redis.client, 'side'))['accepted'] === kill + 1);
    await eventually(async () => (await redis.client.exists('pf:{default}:outbox')) === 0);
  }
  expect(await countsOf(redis.client, 'side')).toEqual({ accepted: KILLS, ready: KILLS });
  await expectBalanced(redis.client, 'side');
  await expectBalanced(redis.client);
  console.info('killed after an end', { kills: KILLS, followedBeforeTheKill: alreadyFollowed });
});
