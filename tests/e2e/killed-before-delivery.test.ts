// Whoever stands between the end of a task and its webhook is killed: the webhook comes all the same, under one id.
// POPFLEET_KILLS sets how often the worker is; `npm run test:webhook-kills` does it two hundred times.

import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { send } from '../support/life.ts';
import { countsOf, expectBalanced } from '../support/moves.ts';
import { openReceiver, type Received } from '../support/receiver.ts';
import { openStage } from '../support/stage.ts';
import { openStore } from '../support/store.ts';
import { untilSucceeded } from '../support/until-succeeded.ts';

const KILLS = Number(process.env['POPFLEET_KILLS'] ?? 2);
const SHORT = { LEASE_MS: '1500', HEARTBEAT_MS: '250', POP_GRACE_MS: '300', WEBHOOK_ALLOW: '127.0.0.1' };

const taskOf = ({ body }: Received): string => (JSON.parse(body) as { data: { id: string } }).data.id;
const idOf = ({ headers }: Received): string => headers['webhook-id'] ?? '';

test(`${KILLS} workers killed right after the end of a task: each webhook comes`, {
  timeout: 180_000 + KILLS * 10_000,
}, async (context) => {
  const stage = openStage(context);
  const redis = await stage.redis();
  const receiver = await openReceiver();
  stage.atEnd(receiver.close);
  const blocking = await openStore(redis.url);
  stage.atEnd(async () => blocking.disconnect());
  const env = { ...SHORT, REDIS_URL: redis.url };
  const url = (await stage.here('server', env)).url();
  let newest = '0-0';
  /** How far the killed worker was: had it begun to relay, or nothing of it? */
  let alreadyRelayed = 0;
  const sent: string[] = [];
  for (let kill = 0; kill < KILLS; kill += 1) {
    const worker = stage.spawn('worker', env);
    const id = await send(url, 'add', { one: 1, two: 2 }, { webhook: { url: receiver.url } });
    sent.push(id);
    newest = await untilSucceeded(blocking, id, newest);
    // At once, or up to some milliseconds later, in the middle of its relay.
    if (kill % 4 > 0) await sleep(kill % 4);
    worker.signal('SIGKILL');
    alreadyRelayed += Number((await countsOf(redis.client, 'webhooks'))['accepted'] ?? 0) > kill ? 1 : 0;
    await worker.exited;
    await eventually(() => receiver.received.some((one) => taskOf(one) === id));
  }
  for (const id of sent) {
    const ids = receiver.received.filter((one) => taskOf(one) === id).map(idOf);
    expect(new Set(ids).size).toBe(1);
  }
  await eventually(async () => (await countsOf(redis.client, 'webhooks'))['succeeded'] === KILLS);
  await expectBalanced(redis.client, 'webhooks');
  await expectBalanced(redis.client);
  console.info('killed before a delivery', {
    kills: KILLS,
    relayedBeforeTheKill: alreadyRelayed,
    messages: receiver.received.length,
  });
});

test('a server killed while it delivers: another one sends the same message under the same id', async (context) => {
  const stage = openStage(context);
  const redis = await stage.redis();
  const receiver = await openReceiver();
  stage.atEnd(receiver.close);
  const env = { ...SHORT, REDIS_URL: redis.url };
  const front = (await stage.here('server', { ...env, WEBHOOK_CONCURRENCY: '0' })).url();
  const first = stage.spawn('server', env);
  receiver.answer = () => undefined;
  const id = await send(front, 'add', { one: 1, two: 2 }, { webhook: { url: receiver.url } });
  await fetch(`${front}/v1/tasks/${id}/cancel`, { method: 'POST' });
  await eventually(() => receiver.received.length === 1);
  first.signal('SIGKILL');
  await first.exited;
  receiver.answer = 200;
  stage.spawn('server', env);
  await eventually(() => receiver.received.length === 2);
  const [one, other] = receiver.received as [Received, Received];
  expect(taskOf(one)).toBe(id);
  expect(idOf(other)).toBe(idOf(one));
  expect(other.body).toBe(one.body);
});
