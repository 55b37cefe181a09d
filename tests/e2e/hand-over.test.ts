// Tasks that are handed to idle workers in the step in which they are accepted, over whole processes.

import { expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { JOURNAL_TASKS, openQueueFacts } from '../support/queue-facts.ts';
import { queueKey } from '../support/queue-key.ts';
import type { TestRedis } from '../support/redis.ts';
import { openJournalStage, openStage } from '../support/stage.ts';

const SHORT = { LEASE_MS: '1500', HEARTBEAT_MS: '250', POP_GRACE_MS: '300', BLOCK_MS: '500' };

/** How many workers are idle whose connections are open. Their first offer may come before these are. */
async function idle({ client }: TestRedis, queue: string): Promise<number> {
  const names = await client.zrange(`${queueKey(queue)}:idle`, '0', '-1');
  const channels = names.map((name) => `${queueKey(queue)}:hand-${name}`);
  const replies = channels.length === 0 ? [] : await client.pubsub('NUMSUB', ...channels);
  return replies.filter((reply) => Number(reply) === 1).length;
}

/** When the last task was handed to a worker that Redis knows, by the clock of Redis; 0 = never. */
async function lastHandIn({ client }: TestRedis, queue: string): Promise<number> {
  const all = await client.hvals(`${queueKey(queue)}:hands`);
  return Math.max(0, ...all.map((hands) => Number(hands.split(' ')[3])));
}

test('a worker of several queues is handed tasks of one of them, pops those of the others, and runs each once', async (context) => {
  const stage = openStage(context);
  const redis = await stage.redis();
  const queues = ['one', 'two'];
  const env = {
    ...JOURNAL_TASKS,
    ...SHORT,
    REDIS_URL: redis.url,
    QUEUES: queues.join(','),
    CONCURRENCY: '1',
  };
  const server = await stage.here('server', env);
  await stage.here('worker', env);
  await eventually(async () => (await idle(redis, 'one')) === 1);
  expect(await idle(redis, 'two')).toBe(0);

  const facts = queues.map((queue) => openQueueFacts(redis, queue));
  const ids: string[][] = [[], []];
  for (let round = 0; round < 10; round += 1) {
    for (const [at, { send }] of facts.entries()) ids[at]?.push(...(await send(server.url(), 1, 5)));
  }
  expect(await lastHandIn(redis, 'one')).toBeGreaterThan(0);
  for (const [at, one] of facts.entries()) {
    await one.expectAllDone(ids[at] ?? []);
    // One that finds its place taken by the other queue goes back unbegun.
    for (const id of ids[at] ?? []) expect([one.runs(id), (await one.task(id)).crashes]).toEqual([1, 0]);
  }
  // With tasks in the other one alone, it offers its place there before long.
  const handsBefore = await lastHandIn(redis, 'two');
  await eventually(async () => {
    await facts[1]?.untilSucceeded(await facts[1].send(server.url(), 1, 5));
    return (await lastHandIn(redis, 'two')) > handsBefore;
  });
});

test('a worker that is frozen for longer than its lease with a hand in its socket: another one runs the task, once', async (context) => {
  const { stage, redis, facts, env } = await openJournalStage(context, SHORT);
  const server = await stage.here('server', env);
  const frozen = await stage.role('worker', env);
  await eventually(async () => (await idle(redis, 'default')) === 1);
  frozen.signal('SIGSTOP');
  const [id = ''] = await facts.send(server.url(), 1, 0);
  expect(await facts.task(id)).toMatchObject({ state: 'running', worker: frozen.worker() });

  const other = await stage.here('worker', env);
  await facts.untilSucceeded([id]);
  frozen.signal('SIGCONT');
  // It has read its socket, and has asked: it offers places again.
  await eventually(async () => (await idle(redis, 'default')) === 2);
  await facts.expectAllDone([id]);
  expect(facts.runs(id)).toBe(1);
  expect(await facts.task(id)).toMatchObject({ worker: other.worker(), claims: 2 });
});

test('a worker that stops while tasks are handed to it: each runs once, and none waits for its lease', async (context) => {
  const { stage, redis, facts, env } = await openJournalStage(context);
  const server = await stage.here('server', env);
  const leaving = await stage.role('worker', env);
  await eventually(async () => (await idle(redis, 'default')) === 1);
  const ids: string[] = [];
  let hasLeft = false;
  const left = leaving.exited.then(() => (hasLeft = true));
  for (let at = 0; !hasLeft; at += 1) {
    ids.push(...(await facts.send(server.url(), 1, 1)));
    if (at === 5) leaving.signal('SIGTERM');
  }
  await left;
  expect(await idle(redis, 'default')).toBe(0);
  await stage.here('worker', env);
  await facts.expectAllDone(ids);
  for (const id of ids) expect(await facts.task(id)).toMatchObject({ claims: 1, crashes: 0 });
});
